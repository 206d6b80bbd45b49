"""Validations on a terminal: what training said of each utility, and what it leaves open."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from selectllm.report.layout import add_row, table
from selectllm.report.wording import UNKNOWN, counted, number, p_value, spread
from selectllm.utility.schema import Correlation, Validation

WIDTH = 110  # columns where there is no terminal to limit them


def render_validations(validations: Sequence[Validation]) -> RenderableType:
    """The score of each utility beside that of the learned tokens alone."""
    first = validations[0]
    of = f"{counted(first.subsets, 'random subset')} of {counted(first.size, 'item')}"
    made = table(
        f"do sums foretell what training {first.student} on {of} gains?",
        "LDS: Spearman of sums and gains, 0 = by chance, 1 = the same order; interval of 95 %; "
        "one-sided: p of an LDS above 0; given tokens: the same at equal learned tokens; tokens "
        "alone: Spearman of these with the gains; status: what that says of the utility",
        ["utility"],
        ["LDS", "interval", "one-sided", "given tokens", "tokens alone", "status"],
    )
    for each in validations:
        add_row(
            made,
            each.utility,
            number(each.lds.value),
            _interval(each.lds),
            UNKNOWN if each.p_above is None else p_value(each.p_above),
            number(each.partial.value),
            number(each.tokens.value),
            each.status,
        )
    repeats = f"Reliability of the gains over training seeds: {number(first.reliability)}."
    notes = [f"{each.utility}: {note}." for each in validations for note in each.notes]
    if len(validations) > 1:
        notes.append(f"Each utility is tested by itself; {len(validations)} were looked at.")
    return Group(made, *map(Text, [repeats, *notes]))


def _interval(found: Correlation) -> str:
    if found.low is None or found.high is None:
        return UNKNOWN
    return spread(found)
