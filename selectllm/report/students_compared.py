"""compare.json on a terminal: what selectors' sets gained, and what keeps it from being more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.core.choices import Aggregation
from selectllm.core.names import STRATEGY
from selectllm.downstream.outcomes.schema import ForetellingUtility
from selectllm.downstream.trials.schema import (
    DRAWN,
    GainComparison,
    GainDifference,
    StudentsCompared,
)
from selectllm.report.layout import add_row, table
from selectllm.report.set_agreement import render_arms, render_set_agreement
from selectllm.report.wording import counted, explained, named, number, p_alone, spread

BY: Mapping[Aggregation, str] = {"per_token": "per token", "per_item": "per item"}
COLUMNS = {
    "tokens": "how many tokens the student learned from",
    "gain": "how much training lowered the loss",
    "over random": "how much more that is than the random sets gained on average (in brackets the "
    "interval of 95 %, of each selector alone)",
    "p": "how likely chance alone is to show as much over random, corrected for the number of "
    "selectors (Holm). The verdict goes by it",
    "above": "the share of the random sets that gained less",
    "over matched": "how much more that is than random items with as many tokens gained",
}
"""What the columns of gains say."""
DIGITS = 3
WIDTH = 126


def render_trials(content: StudentsCompared) -> RenderableType:
    """The primary gain with its verdicts and what foretold it; then the other gain, in short."""
    primary = content.primary
    parts: list[RenderableType] = [Text(_heading(content), style="bold")]
    for by in (primary, *(each for each in BY if each != primary)):
        parts += [Text(), _gains(content, by), *map(Text, _sentences(content, by))]
        rows = content.agreement.by(by)
        if rows and by == primary:
            told = [(named(row), row.agreement) for row in rows]
            beside = render_arms(rows, _by_arm(content, by), f"gain {BY[by]}")
            parts += [Text(), beside, render_set_agreement(told)]
        elif rows:
            parts += [Text(f"What predicts the gain {BY[by]}:"), *map(Text, map(_foretold, rows))]
    return Group(*parts)


def _foretold(row: ForetellingUtility) -> str:
    found = row.agreement.spearman
    if found.value is None:
        return f"  {row.name}: {row.agreement.status}"
    r, p = number(found.value), number(found.p, 3)
    most, tokens = row.agreement.ceiling, row.agreement.tokens.value
    return (
        f"  {named(row)}: Spearman is {r} ({spread(found)}), with p {p}. Its ceiling is "
        f"{number(most)}, and tokens alone reach {number(tokens)}."
    )


def _heading(content: StudentsCompared) -> str:
    count = len(content.sets)
    losses = ", ".join(f"{content.base_loss.by(by):.3f} {words}" for by, words in BY.items())
    return (
        f"{content.suite}: students were trained on {counted(count, 'set')} of "
        f"{counted(content.budget, 'item')}, with {counted(len(content.training_seeds), 'seed')} "
        f"for each. Before training the loss on {counted(content.tests, 'held-out response')} was "
        f"{losses}, in nats."
    )


def _gains(content: StudentsCompared, by: Aggregation) -> Table:
    verdict = ["verdict"] if by == content.primary else []
    made = table(
        f"gain {BY[by]}, in nats" + (" (primary)" if verdict else ""),
        explained(COLUMNS, COLUMNS),
        ["selector"],
    )
    for column in verdict:
        made.add_column(column, no_wrap=True)
    for column in COLUMNS:
        made.add_column(column, justify="right", overflow="fold")
    for arm in content.comparisons.by(by).arms:
        add_row(
            made,
            arm.arm.removeprefix(STRATEGY),
            *([arm.verdict or "refused"] if verdict else []),
            f"{_tokens(content, arm.arm):,.0f}",
            number(arm.gain, DIGITS),
            _difference(arm.over_random),
            p_alone(arm.p_holm),
            number(arm.above),
            _difference(arm.over_matched),
        )
    chance = [each for each in content.sets if each.role == "random"]
    gains = [each.gain.by(by) for each in chance]
    add_row(
        made,
        f"{len(chance)} random sets",
        *["" for _ in verdict],
        f"{fmean(each.learned_tokens for each in chance):,.0f}",
        number(fmean(gains), DIGITS),
    )
    return made


def _difference(found: GainDifference | None) -> str:
    if found is None:
        return "-"
    return f"{found.estimate:+.{DIGITS}f} ({spread(found, DIGITS)})"


def _by_arm(content: StudentsCompared, by: Aggregation) -> dict[str, float]:
    """The mean gain of each selector's own sets; those drawn or matched are nobody's."""
    gains: dict[str, list[float]] = {}
    for each in content.sets:
        if each.role != "matched" and each.arm != DRAWN:
            gains.setdefault(each.arm, []).append(each.gain.by(by))
    return {arm: fmean(values) for arm, values in gains.items()}


def _tokens(content: StudentsCompared, arm: str) -> float:
    own = [s for s in content.sets if s.arm == arm and s.role == "selector"]
    return float(sum(each.learned_tokens for each in own)) / len(own)


def _harm(compared: GainComparison) -> Iterator[str]:
    """Which selectors' sets leave the student worse than it was."""
    harmful = [arm for arm in compared.arms if arm.worse_than_untrained]
    for arm in harmful:
        yield (
            f"Worse than untrained: training on the sets of {arm.arm.removeprefix(STRATEGY)} "
            f"made the held-out loss higher than it was before ({_difference(arm.over_untrained)})."
        )
    below = [arm for arm in compared.arms if arm.gain < 0 and arm not in harmful]
    if below:
        names = ", ".join(arm.arm.removeprefix(STRATEGY) for arm in below)
        yield f"Below the untrained student, but not clearly so: {names}."


def _sentences(content: StudentsCompared, by: Aggregation) -> Iterator[str]:
    compared = content.comparisons.by(by)
    noise = compared.noise
    chance = [each.gain.by(by) for each in content.sets if each.role == "random"]
    yield f"The random sets gained {min(chance):.{DIGITS}f} to {max(chance):.{DIGITS}f} {BY[by]}."
    yield (
        f"The gains {BY[by]} vary by {number(noise.sets, 4)} among random sets, by "
        f"{number(noise.seeds, 4)} among trainings on one set, and by {number(noise.items, 4)} "
        f"with the draw of test items (standard deviations). Their reliability is "
        f"{number(noise.seed_reliability)} with other training seeds and "
        f"{number(noise.test_reliability)} with other test items; among the random sets alone it "
        f"is {number(noise.random_reliability)}."
    )
    yield from _harm(compared)
    if compared.refused:
        yield f"There is no verdict: {compared.refused}."
    smaller = [
        f"{each.arm.removeprefix(STRATEGY)} {each.items}"
        for each in content.sets
        if each.role in ("selector", "random") and each.items < content.budget
    ]
    if smaller:
        yield (
            f"These sets have fewer than {content.budget} items, because some of their "
            f"items are held out: {', '.join(smaller)}. A smaller set teaches less, so "
            "their gains are too low compared with those of whole sets."
        )
