"""Which measure of a table of results foretells which, in sentences and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from selectllm.downstream.outcomes.schema import (
    BeyondUntrained,
    Foretelling,
    ForetellingPart,
    ForetoldTable,
)
from selectllm.report.layout import add_row, table
from selectllm.report.wording import UNKNOWN, counted, number

MEANING = (
    "Spearman: the rank correlation within a stratum, on average over strata (1 = the same order, "
    "0 = by chance, -1 = reversed), with an interval of 95 %. Pairs: the share of pairs of arms "
    "that both measures order alike (0.50 by chance). Groups: strata that differ only in the "
    "budget count as one."
)
NO_BUDGET = (
    "No column is known to be the budget. If one is, name it with --column budget=COLUMN: strata "
    "that differ only in the budget are not independent, so without that the intervals are too "
    "narrow, and the untrained model may have no arms to be compared with."
)


def render_foretold(found: ForetoldTable) -> RenderableType:
    """What `utility agree --table` found."""
    parts: list[RenderableType] = [Text(_head(found))]
    for each in found.measures:
        parts += [Text(""), *map(Text, _sentences(each, found.outcome)), _parts(each)]
    if found.untrained is not None:
        parts += [Text(""), *_untrained(found)]
    return Group(*parts)


def _head(found: ForetoldTable) -> str:
    parts = (part for each in found.measures for part in each.parts)
    budgets = any(part.column == "budget" for part in parts)
    strata = ", ".join([*found.strata_of, *(["budget"] if budgets else [])]) or "the file"
    head = (
        f"The table has {found.rows:,} values of {counted(len(found.arms), 'arm')}. They are "
        f"compared within strata, which agree in: {strata}."
    )
    return head if budgets else f"{head} {NO_BUDGET}"


def _sentences(each: Foretelling, outcome: str) -> Iterator[str]:
    """What one measure says of the outcome, in words."""
    if not each.strata:
        yield f"{each.measure} and {outcome} have no stratum in common."
        return
    overall = each.overall
    yield (
        f"{each.measure} orders the arms as {outcome} does with a mean Spearman correlation of "
        f"{number(overall.spearman)} ({_interval(overall)}) over {_strata(each.strata)}"
        f" in {counted(each.groups, 'group')}. {_conclusion(each, outcome)}"
    )
    if spread := _widest(each):
        least, most = spread
        yield (
            f"It depends on the {most.column}: from {number(least.spearman)} ({least.value}) to "
            f"{number(most.spearman)} ({most.value}). The mean over all of them says little."
        )
    if each.undefined:
        yield f"{_strata(each.undefined)} had no order, since all arms are equal there."
    yield (
        f"Reliability over seeds: {number(each.reliability)} of {each.measure}, "
        f"{number(each.outcome_reliability)} of {outcome}, on average."
    )


def _strata(count: int) -> str:
    return "1 stratum" if count == 1 else f"{count:,} strata"


def _conclusion(each: Foretelling, outcome: str) -> str:
    low, high = each.overall.low, each.overall.high
    if low is None or high is None:
        return "One group gives no interval, so chance cannot be excluded."
    if low > 0:
        return f"So {each.measure} predicts {outcome} to that degree."
    if high < 0:
        return f"So a better {each.measure} goes with a worse {outcome}."
    return (
        f"So these results do not show that {each.measure} predicts {outcome} better than chance."
    )


def _widest(each: Foretelling) -> tuple[ForetellingPart, ForetellingPart] | None:
    """The two values of a column that differ most, if their intervals do not overlap."""
    widest, apart = None, 0.0
    for column in dict.fromkeys(part.column for part in each.parts):
        parts = [p for p in each.parts if p.column == column and p.spearman is not None]
        least = min(parts, key=lambda part: part.spearman or 0.0)
        most = max(parts, key=lambda part: part.spearman or 0.0)
        clear = least.high is not None and most.low is not None and least.high < most.low
        distance = (most.spearman or 0.0) - (least.spearman or 0.0)
        if clear and distance > apart:
            widest, apart = (least, most), distance
    return widest


def _parts(each: Foretelling) -> RenderableType:
    made = table(
        f"{each.measure}, by the circumstances",
        MEANING,
        ["where"],
        ["Spearman", "interval", "pairs", "strata", "groups"],
    )
    for part in [each.overall, *each.parts]:
        add_row(
            made,
            f"{part.column} {part.value}" if part.column else "everywhere",
            number(part.spearman),
            _interval(part),
            number(part.decisions),
            str(part.strata),
            str(part.groups),
        )
    return made


def _interval(part: ForetellingPart) -> str:
    if part.low is None or part.high is None:
        return UNKNOWN
    return f"{part.low:.2f} to {part.high:.2f}"


def _untrained(found: ForetoldTable) -> Iterator[RenderableType]:
    """What training did to the outcome, beside the model before it."""
    for row in found.beyond_untrained:
        if row.above == 0:
            of_budget = f" at {row.budget} items" if row.budget else ""
            yield Text(
                f"Worse than untrained: with {row.column} {row.value}{of_budget}, none of "
                f"{counted(row.arms, 'arm')} reaches the {found.outcome} of {found.untrained!r}. "
                f"The best one, {row.best}, is {number(-row.best_gain)} below it."
            )
    columns = dict.fromkeys(row.column for row in found.beyond_untrained)
    for column in columns:
        yield _beyond([row for row in found.beyond_untrained if row.column == column])


def _beyond(rows: Sequence[BeyondUntrained]) -> RenderableType:
    budgets = list(dict.fromkeys(row.budget for row in rows))
    made = table(
        f"Arms that score above the untrained model, by {rows[0].column} and budget",
        "On average over the other circumstances.",
        [rows[0].column],
        [budget or "all" for budget in budgets],
    )
    for value in dict.fromkeys(row.value for row in rows):
        cells = {row.budget: row for row in rows if row.value == value}
        shown = (cells.get(budget) for budget in budgets)
        add_row(
            made,
            value,
            *(UNKNOWN if row is None else f"{row.above} of {row.arms}" for row in shown),
        )
    return made
