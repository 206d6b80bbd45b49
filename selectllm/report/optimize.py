"""optimize.json on a terminal: the verdict, the optimism, and what stands guard.

What a grid's report (grid.py) says too is here.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.evaluation.comparison.schema import Noise
from selectllm.evaluation.metrics.schema import SlotHistogram
from selectllm.optimization.schema import GuardedVersions, Optimized, SearchAhead, SearchResults
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.verdict import render_verdict
from selectllm.report.verdict_sentences import in_full
from selectllm.report.wording import (
    ceiling,
    counted,
    estimate,
    named,
    number,
    p_value,
    rate,
    spread,
)
from selectllm.stats.interval import Interval

PARENT, WINNER = "parent", "winner"
SPLITS = ("training", "validation", "confirmation")


def plan_text(plan: SearchAhead) -> str:
    """What a search is about to ask, in lines."""
    sizes = ", ".join(f"{count} {name}" for name, count in plan.splits.items())
    return (
        f"search from {plan.parent} + {plan.model}, rewritten by {plan.teacher}; "
        f"clusters: {sizes}\n"
        f"  search: at most {counted(plan.search, 'decision')}\n"
        f"  parent and winner on all training clusters: at most {plan.measuring} more\n"
        f"  confirmation: at most {plan.confirmation} more"
    )


def render_report(told: SearchResults) -> RenderableType:
    """What came of a search, the verdict first."""
    parts: list[RenderableType] = []
    if told.verdict is not None:
        parts += [render_verdict(told.verdict), Text()]
    parts.append(_captured(told))
    if told.guards is not None:
        parts.append(_guards(told, told.guards))
    return Group(*parts, labelled(_facts(told)))


def _captured(told: SearchResults) -> Table:
    """Agreement on the three splits: what was chosen by flatters, what was not tells."""
    controls = told.controls
    made = table(
        "captured, by the clusters it was measured on",
        "0 = random picks, 1 = the best possible; the search chose by training and validation, "
        "so that only confirmation is to be believed",
        ["version"],
        [f"{name} ({count})" for name, count in _clusters(told)],
    )
    for version in (PARENT, WINNER):
        add_row(made, _name(told, version), *map(around, told.captured.of(version)))
    for control in controls.training:
        captured = (getattr(controls, name)[control] for name in SPLITS)
        add_row(made, f"{control} alone", *map(around, captured))
    return made


def _clusters(told: SearchResults) -> Iterator[tuple[str, str]]:
    """How many clusters the figures of each split are of."""
    for name in SPLITS:
        count, asked = getattr(told.splits, name), told.confirmed_on
        some = name == SPLITS[-1] and asked not in (None, count)
        yield name, f"{asked} of {count}" if some else str(count)


def around(interval: Interval | None) -> str:
    """`0.31 (+0.12 to +0.50)`: captured, with its interval."""
    return estimate(interval) if interval is None else f"{estimate(interval)} ({spread(interval)})"


def _name(told: SearchResults, version: str) -> str:
    if version == PARENT:
        return f"parent: {told.plan.parent}"
    return "winner" if told.verdict is not None else "winner: the parent"


def _guards(told: SearchResults, guards: GuardedVersions) -> Table:
    """What a prompt must not buy its agreement with, before and after."""
    made = table(
        "before and after, on the confirmation clusters",
        "consistency: 0 = as random picks overlap from one order to another, 1 = the same picks; "
        "slots: picks by place shown, and how likely as uneven a spread is by chance; tokens in, "
        "out: "
        "of the prompt and the reply of one decision; valid: share of answers that can be used",
        ["version"],
        ["order consistency", "slots", "tokens in", "tokens out", "valid"],
    )
    for version, found in ((PARENT, guards.parent), (WINNER, guards.winner)):
        add_row(
            made,
            _name(told, version),
            around(found.order_consistency),
            _slots(found.slots),
            a_decision(found.tokens_in, found.decisions),
            a_decision(found.tokens_out, found.decisions),
            rate(found.valid_rate),
        )
    return made


def _slots(slots: SlotHistogram) -> str:
    counts = " ".join(str(count) for count in slots.counts)
    return counts if slots.p is None else f"{counts} ({p_value(slots.p)})"


def a_decision(tokens: int | None, decisions: int) -> str:
    """Tokens of one decision."""
    return number(None if tokens is None else tokens / decisions, 0)


def _facts(told: SearchResults) -> Iterator[tuple[str, str]]:
    search = told.search
    yield (
        "search",
        f"{counted(search.decisions, 'decision')} of {told.plan.budget:,}, "
        f"{counted(search.proposals, 'proposal')} by {told.plan.teacher}, "
        f"{counted(search.validated, 'new version')} validated; "
        f"{search.stopped}",
    )
    if search.failed:
        yield (
            "teacher",
            f"{search.failed} of {counted(search.proposals, 'proposal')} could not be used; "
            f"the last: {search.problem}",
        )
    if search.demonstrations:
        yield "demonstrations", f"{search.demonstrations} of training clusters are in the text"
    yield from utility_facts(told)
    yield from noise_facts(told.noise)
    better = "no version did better than the parent on the validation clusters"
    yield "written", written(told, better)


def utility_facts(told: Optimized) -> Iterator[tuple[str, str]]:
    """What decided; the report of a verdict says so itself."""
    if told.verdict is None:
        yield "decided by", named(told.utility)
        yield "ceiling", ceiling(told.utility)


def noise_facts(noise: Noise | None) -> Iterator[tuple[str, str]]:
    """How far the parent differs from itself, on the confirmation clusters."""
    floor = None if noise is None else noise.difference
    if floor is not None:
        yield (
            "noise floor",
            f"the parent differs from itself, shown in another order, by {estimate(floor)} "
            f"captured ({spread(floor, 3)})",
        )


def written(told: Optimized, nothing_better: str) -> str:
    """The new version, or why there is none; `nothing_better`: of a search without a winner."""
    if told.written is not None:
        return f"{told.written}; release it with selectllm prompts lock"
    if told.verdict is None:
        return f"nothing; {nothing_better}"
    word = in_full(told.verdict, told.verdict.word)
    return f"nothing; the verdict is {word}, and --force was not given"
