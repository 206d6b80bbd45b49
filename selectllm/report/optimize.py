"""optimize.json on a terminal: the verdict, the optimism, and what stands guard.

What a grid's report (grid.py) says too is here.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.core.shown import capital
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
    explained,
    named,
    number,
    p_value,
    rate,
    spread,
)
from selectllm.stats.interval import Interval

PARENT, WINNER = "parent", "winner"
CONSISTENCY = (
    "how much the picks agree if the same candidates are shown in another order: 0 = no more than "
    "random picks, 1 = the same picks"
)
VALID = "how many of the answers can be used, in percent"
GUARDED = {
    "order consistency": CONSISTENCY,
    "slots": "how often a candidate at the first, second, ... place was picked, and how likely "
    "chance alone is to be as uneven (p)",
    "tokens in": "the tokens of the prompt of one decision",
    "tokens out": "the tokens of its reply",
    "valid": VALID,
}
"""What the columns of the guards say."""
SPLITS = ("training", "validation", "confirmation")


def plan_text(plan: SearchAhead) -> str:
    """What a search is about to ask, in lines."""
    sizes = ", ".join(f"{count} {name}" for name, count in plan.splits.items())
    return (
        f"The search starts from {plan.parent} with {plan.model}, and {plan.teacher} rewrites it. "
        f"The clusters are divided into {sizes}.\n"
        f"  The search takes at most {counted(plan.search, 'decision')}.\n"
        f"  Measuring the parent and the winner on all training clusters takes at most "
        f"{plan.measuring} more.\n"
        f"  The confirmation takes at most {plan.confirmation} more."
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
        "0 = random picks, 1 = the best possible. The search chose its version by the training "
        "and validation clusters, so rely only on the figures of the confirmation.",
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
    columns = ["order consistency", "slots", "tokens in", "tokens out", "valid"]
    made = table(
        "before and after, on the confirmation clusters",
        explained(columns, GUARDED),
        ["version"],
        columns,
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
        f"The search made {counted(search.decisions, 'decision')} of {told.plan.budget:,}. "
        f"{told.plan.teacher} wrote {counted(search.proposals, 'proposal')}, and "
        f"{counted(search.validated, 'new version')} went on to the validation clusters. "
        f"{capital(search.stopped)}.",
    )
    if search.failed:
        yield (
            "teacher",
            f"{search.failed} of {counted(search.proposals, 'proposal')} could not be used. The "
            f"last problem was: {search.problem}",
        )
    if search.demonstrations:
        examples = counted(search.demonstrations, "example")
        yield "demonstrations", f"The text holds {examples} from training clusters."
    yield from utility_facts(told)
    yield from noise_facts(told.noise)
    better = "No version did better than the parent on the validation clusters"
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
            f"Shown in another order, the parent differs from itself by {estimate(floor)} "
            f"captured ({spread(floor, 3)}).",
        )


def written(told: Optimized, nothing_better: str) -> str:
    """The new version, or why there is none; `nothing_better`: of a search without a winner."""
    if told.written is not None:
        return f"{told.written}. To release it, run: selectllm prompts lock"
    if told.verdict is None:
        return f"Nothing was written. {nothing_better}."
    word = in_full(told.verdict, told.verdict.word)
    return f"Nothing was written, because the verdict is {word} and --force was not given."
