"""Validations on a terminal: what training said of each utility, and what it leaves open."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from selectllm.report.layout import add_row, table
from selectllm.report.wording import UNKNOWN, counted, explained, number, p_value, spread
from selectllm.utility.schema import Correlation, Validation

COLUMNS = {
    "LDS": "the rank correlation (Spearman) of the sums with the gains: 1 = the same order, 0 = as "
    "by chance",
    "interval": "of the LDS, with 95 % confidence",
    "one-sided": "how likely chance alone is to give so high an LDS",
    "given tokens": "the LDS among subsets with as many tokens to learn",
    "tokens alone": "the rank correlation of these tokens with the gains",
    "status": "what that says of the utility",
}
"""What the columns say."""
WIDTH = 110  # columns where there is no terminal to limit them


def render_validations(validations: Sequence[Validation]) -> RenderableType:
    """The score of each utility beside that of the learned tokens alone."""
    first = validations[0]
    of = f"{counted(first.subsets, 'random subset')} of {counted(first.size, 'item')}"
    made = table(
        f"Do the sums of a utility predict what {first.student} gains from training on {of}?",
        explained(COLUMNS, COLUMNS),
        ["utility"],
        list(COLUMNS),
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
    repeats = f"The reliability of the gains over training seeds is {number(first.reliability)}."
    notes = [f"{each.utility}: {note}." for each in validations for note in each.notes]
    if len(validations) > 1:
        notes.append(f"Each utility is tested by itself, and {len(validations)} were looked at.")
    return Group(made, *map(Text, [repeats, *notes]))


def _interval(found: Correlation) -> str:
    if found.low is None or found.high is None:
        return UNKNOWN
    return spread(found)
