"""The sets of a suite side by side, one table for each budget: on a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.core.names import STRATEGY
from selectllm.evaluation.sets.schema import SelectorSets, SetsResults, SetsUtility, Summary
from selectllm.report.as_markdown import LEFT, RIGHT, grid, plain
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.wording import (
    UNKNOWN,
    Fact,
    ceiling,
    counted,
    length_alone,
    named,
    number,
    percent,
    rate,
    spread,
    usd,
)

WIDTH = 100  # columns that the widest table needs


@dataclass(frozen=True, slots=True)
class Column:
    """A figure of every selector: its heading, what it means and which way is better."""

    head: str
    meaning: str
    cell: Callable[[SelectorSets], str]


def render_sets(found: SetsResults) -> RenderableType:
    """The pool, a table for each budget with its yardstick, then what the columns mean."""
    parts: list[RenderableType] = [Text(_heading(found), style="bold"), Text()]
    parts.append(labelled(_facts(found)))
    columns = [*_columns(found), *_likeness(found)]
    for budget in found.budgets:
        parts += [Text(), _table(found, budget, columns)]
        parts += [Text(line) for line in (_yardstick(found, budget), *_fills(found, budget))]
    parts += [Text(), labelled((column.head, f"{column.meaning}.") for column in columns)]
    return Group(*parts)


def markdown_sets(found: SetsResults) -> str:
    """The same for a document, with the overlaps of all selectors."""
    columns = _columns(found, wide=True)
    parts = [f"## {plain(_heading(found))}", _list(_facts(found))]
    for budget in found.budgets:
        rows = _rows(found, budget)
        cells = (
            [str(place), plain(_name(row.selector)), *(column.cell(row) for column in columns)]
            for place, row in enumerate(rows, start=1)
        )
        parts.append(f"### {_title(found, budget)}")
        parts.append(_grid(["#", "selector", *(column.head for column in columns)], cells))
        parts.append("\n".join((_yardstick(found, budget), *map(plain, _fills(found, budget)))))
        parts.append(
            f"How much the sets of {budget:,} overlap: {OVERLAP}. The diagonal compares the seeds "
            "of one selector."
        )
        parts.append(_matrix(found, budget))
    parts.append(_list((column.head, f"{column.meaning}.") for column in columns))
    return "\n\n".join(parts) + "\n"


OVERLAP = "1 = they have the same items, 0 = they share no more than random sets do"


def _heading(found: SetsResults) -> str:
    return f"{found.suite}: sets from a pool of {counted(found.pool.items, 'item')}"


def _facts(found: SetsResults) -> Iterator[Fact]:
    pool, clusters = found.pool, found.clusters
    whole = f"It has {counted(pool.tokens_read, 'token')} to read"
    if pool.tokens_written is not None:
        whole += f" and {pool.tokens_written:,} to write"
    whole += f". Its mean cosine is {number(pool.mean_pairwise_cosine, 3)} and its Vendi score "
    whole += number(pool.vendi, 1)
    if pool.category_entropy is not None:
        whole += f", with {pool.category_entropy:.2f} bits of {found.category}"
    yield "whole pool", f"{whole}."
    yield (
        "prompts",
        f"The model is shown clusters of {counted(clusters.size, 'item')}, divided by "
        f"{clusters.by}.",
    )
    others = [each.name for each in found.utilities if each.name != found.utility]
    if others:
        yield (
            "utilities",
            f"The tables show {found.utility}. The figures of {', '.join(others)} are in "
            "sets.json.",
        )
    if (shown := _shown(found)) is not None:
        yield "ceiling", ceiling(shown)
    yield from (("note", note) for note in found.notes)
    for each in found.left_out:
        yield "left out", f"{_name(each.selector)}: {each.reason}"


def _title(found: SetsResults, budget: int) -> str:
    over = counted(len(found.seeds), "seed")
    items = counted(found.pool.items, "item")
    return f"sets of {budget:,} from {items}, averaged over {over}"


def _table(found: SetsResults, budget: int, columns: Sequence[Column]) -> Table:
    """Selectors are numbered alike at every budget, so that one can point at another."""
    made = table(_title(found, budget), "")
    made.padding = 0  # many narrow columns: one blank between them is enough
    made.add_column("#", justify="right")
    made.add_column("selector", overflow="fold", min_width=16)
    for column in columns:
        made.add_column(column.head, justify="right", overflow="fold")
    for place, row in enumerate(_rows(found, budget), start=1):
        cells = (column.cell(row) for column in columns)
        add_row(made, str(place), _name(row.selector), *cells)
    return made


def _columns(found: SetsResults, wide: bool = False) -> list[Column]:
    """Those that say something of these sets; `wide`: with more room for each."""
    columns = [*_captured(found, wide)]
    columns.append(
        _mean(
            "cosine",
            "mean_pairwise_cosine",
            "how alike two items of the set are on average (cosine). Lower is more varied",
            3,
        )
    )
    columns.append(
        _mean(
            "Vendi",
            "vendi",
            "how many items with nothing in common would be as varied as the set. Higher is more "
            "varied",
            1,
        )
    )
    groups = f"how many of the {found.pool.groups} k-means groups of the pool the set has items "
    groups += "of, in percent. Higher is more varied"
    columns.append(Column("cover", groups, lambda row: rate(_of(row.coverage))))
    if found.category is not None:
        entropy = f"how evenly the set is spread over {found.category}, as entropy in bits. Higher "
        entropy += "is more varied"
        columns.append(_mean("bits", "category_entropy", entropy, 2))
    columns.append(
        _count(
            "read",
            "tokens_read",
            "how many tokens annotators have to read: those of instructions and inputs",
        )
    )
    if found.pool.tokens_written is not None:
        columns.append(
            _count(
                "write",
                "tokens_written",
                "how many tokens annotators had to write: those of the responses in the pool",
            )
        )
    if any(_of(row.calls) for row in found.sets):
        columns.append(
            _count(
                "calls",
                "calls",
                "how many calls of a model the selection takes, including those from the cache",
            )
        )
        cost = "what these calls cost if none of them is cached"
        columns.append(Column("USD", cost, lambda row: usd(_of(row.cost_usd))))
    return columns


def _captured(found: SetsResults, wide: bool) -> Iterator[Column]:
    """What the headline utility says; nothing without one."""
    shown = _shown(found)
    if shown is None:
        return
    name = shown.name
    yield Column(
        "captured",
        f"how much of the possible gain in {named(shown)} the set achieves: 1 = the best possible "
        "set, 0 = random sets. Higher is better",
        lambda row: _signed(_of(row.captured[name])),
    )
    if len(found.seeds) > 1 and wide:
        over = "the lowest and the highest captured among the seeds"
        yield Column("lowest to highest", over, lambda row: spread(row.captured[name]))
    elif len(found.seeds) > 1:
        over = "how far captured varies among the seeds (the highest minus the lowest). Lower is "
        over += "steadier"
        yield Column("range", over, lambda row: _range(row.captured[name]))


def _likeness(found: SetsResults) -> Iterator[Column]:
    """How alike the sets of one selector are, and the other one whose sets are most like them."""
    if len(found.seeds) > 1:
        text = f"how much the selector's own sets overlap from seed to seed: {OVERLAP}"
        yield Column("self", text, lambda row: _two(_of(row.self_overlap)))
    places = {row.selector: place for place, row in enumerate(_rows(found, None), start=1)}
    near = {budget: nearest(found, budget) for budget in found.budgets}

    def cell(row: SelectorSets) -> str:
        if row.selector not in near[row.budget]:
            return UNKNOWN
        other, overlap = near[row.budget][row.selector]
        return f"#{places[other]} {overlap:z.2f}"

    near_to = "the selector whose sets are most like these, and how much they overlap"
    yield Column("near", near_to, cell)


def nearest(found: SetsResults, budget: int) -> dict[str, tuple[str, float]]:
    """For each selector the other one whose sets it overlaps most, and how far."""
    most: dict[str, tuple[str, float]] = {}
    for (a, b), overlap in _overlaps(found, budget).items():
        if overlap is not None and (a not in most or overlap > most[a][1]):
            most[a] = b, overlap
    return most


def _overlaps(found: SetsResults, budget: int) -> dict[tuple[str, str], float | None]:
    """By pair of selectors, in both orders."""
    here = [each for each in found.overlaps if each.budget == budget]
    there = {(each.a, each.b): each.overlap for each in here}
    return there | {(b, a): overlap for (a, b), overlap in there.items()}


def _rows(found: SetsResults, budget: int | None) -> list[SelectorSets]:
    """The selectors at `budget`, None: at the first."""
    return [*found.at(found.budgets[0] if budget is None else budget)]


def _yardstick(found: SetsResults, budget: int) -> str:
    """What chance alone gives."""
    random = next(each for each in found.random if each.budget == budget)
    parts = []
    if found.utility is not None:
        sd = random.captured_sd[found.utility]
        parts.append("captures 0" if sd is None else f"captures 0 \u00b1 {sd:.3f} (sd)")
    if random.coverage is not None:
        parts.append(f"covers {percent(random.coverage)} of the groups")
    return f"A random set of {budget:,} {' and '.join(parts)}{_length(found, budget)}."


def _length(found: SetsResults, budget: int) -> str:
    """`; longest alone captures 0.31`; nothing where sets.json does not say it of any utility."""
    shown = _shown(found)
    if shown is None:
        return ""
    of = {each.budget: _of(each.captured) for each in shown.length or ()}
    return f"; {length_alone(of.get(budget))}"


def _shown(found: SetsResults) -> SetsUtility | None:
    """The utility that the tables show."""
    return next((row for row in found.utilities if row.name == found.utility), None)


def _fills(found: SetsResults, budget: int) -> Iterator[str]:
    """Whoever left gaps, which random items fill."""
    for row in _rows(found, budget):
        if filled := _of(row.filled):
            name = _name(row.selector)
            yield (
                f"{name}: {filled:,.4g} of {budget:,} items were picked at random, because the "
                "model left gaps."
            )


def _mean(head: str, name: str, meaning: str, digits: int) -> Column:
    return Column(head, meaning, lambda row: number(_of(getattr(row, name)), digits))


def _count(head: str, name: str, meaning: str) -> Column:
    return Column(head, meaning, lambda row: _short(_of(getattr(row, name))))


def _of(summary: Summary | None) -> float | None:
    return None if summary is None else summary.mean


def _signed(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:+z.2f}"


def _two(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:z.2f}"


def _range(summary: Summary | None) -> str:
    return UNKNOWN if summary is None else f"{summary.high - summary.low:.2f}"


def _short(value: float | None) -> str:
    """`9500`, `14.3k`, `1.20M`: at most five characters up to a hundred millions."""
    if value is None:
        return UNKNOWN
    if value >= 999_500:
        return f"{value / 1e6:#.3g}M"
    if value >= 99_950:
        return f"{value / 1e3:.0f}k"
    return f"{value / 1e3:.1f}k" if value >= 10_000 else f"{value:.0f}"


def _name(selector: str) -> str:
    return selector.removeprefix(STRATEGY)


def _matrix(found: SetsResults, budget: int) -> str:
    rows, overlaps = _rows(found, budget), _overlaps(found, budget)
    head = ["#", "selector", *(str(place) for place in range(1, len(rows) + 1))]
    lines = []
    for place, row in enumerate(rows, start=1):
        own = row.selector
        across = [
            _of(row.self_overlap) if other.selector == own else overlaps[own, other.selector]
            for other in rows
        ]
        lines.append([str(place), plain(_name(own)), *(_two(each) for each in across)])
    return _grid(head, lines)


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Number and name, then figures."""
    return grid(head, [RIGHT, LEFT, *[RIGHT] * (len(head) - 2)], rows)


def _list(facts: Iterable[Fact]) -> str:
    return "\n".join(f"- **{label}**: {plain(text)}" for label, text in facts)
