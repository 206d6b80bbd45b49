"""A judge held against people on a terminal: how far it agrees, what it leans to, what it saves."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.report.layout import add_row, labelled, table
from selectllm.report.wording import UNKNOWN, Fact, counted, named, number, percent, spread
from selectllm.utility.schema import Calibration, Correlation, Leaning


def render_calibration(found: Calibration) -> RenderableType:
    """Agreement in sentences, then where the two differ most."""
    parts: list[RenderableType] = [
        Text(f"{found.judge.name} against {found.human.name} in {found.suite}", style="bold"),
        Text(),
        labelled([*_facts(found)]),
    ]
    if found.disagreements:
        parts += [Text(), _disagreements(found)]
    return Group(*parts)


def _facts(found: Calibration) -> Iterator[Fact]:
    judge, human = named(found.judge), named(found.human)
    text = f"{counted(found.items, 'item')} rated by both: {human}, and {judge}"
    if found.unjudged:
        text += f"; {counted(found.unjudged, 'more item')} of {found.human.name} not by the judge"
    yield "items", text
    yield from _in_value(found)
    yield "Spearman", f"{_correlation(found.spearman)}: 0 = unrelated, 1 = the same order"
    yield from _in_preference(found)
    yield "length", _leaning(found.length, "longer items")
    yield "position", _leaning(found.position, "items further down the pool")
    yield "saves", _savings(found)
    for note in found.notes:
        yield "note", note


def _in_value(found: Calibration) -> Iterator[Fact]:
    if found.scale is None:
        return
    yield (
        "alpha",
        f"{number(found.alpha)} (Krippendorff, interval level): 1 = the same ratings, 0 = as if "
        "assigned at random",
    )
    yield (
        "kappa",
        f"{number(found.kappa)} (Cohen, quadratic weights): 1 = the same ratings, 0 = no better "
        "than chance",
    )
    if found.mean_difference is not None:
        more = "higher" if found.mean_difference >= 0 else "lower"
        low, high = found.scale
        yield (
            "strictness",
            f"the judge rates {abs(found.mean_difference):.2f} points {more} than people on "
            f"average, on a scale of {low:g} to {high:g}",
        )


def _in_preference(found: Calibration) -> Iterator[Fact]:
    prefer = found.preferences
    if prefer.agree is None:
        yield "pairs", "people prefer no item of a cluster to another"
        return
    text = (
        f"of {counted(prefer.pairs, 'pair')} of items in one cluster of which people prefer one, "
        f"the judge prefers the same in {percent(round(prefer.agree, 3))} (50 % = by chance)"
    )
    if prefer.odds is not None:
        text += (
            f"; one standard deviation of its differences multiplies the odds by {prefer.odds:.2f} "
            "(Bradley-Terry; 1 = it says nothing)"
        )
    yield "pairs", text


def _leaning(found: Leaning, towards: str) -> str:
    """What the judge gives more than people do, by something that should not matter."""
    excess = found.excess
    text = (
        f"Spearman with the judge {_correlation(found.judge)}, with people "
        f"{_correlation(found.human)}"
    )
    if excess.value is None or excess.low is None or excess.high is None:
        return text
    if excess.low <= 0 <= excess.high:
        return (
            f"{text}; it is not shown to favour them more than people do ({_correlation(excess)})"
        )
    which = "favours" if excess.value > 0 else "is hard on"
    return f"{text}; the judge {which} {towards} more than people do ({_correlation(excess)})"


def _correlation(found: Correlation) -> str:
    if found.value is None:
        return UNKNOWN
    if found.low is None:
        return f"{found.value:+.2f}"
    return f"{found.value:+.2f} ({spread(found)})"


def _savings(found: Calibration) -> str:
    savings = found.savings
    if savings.saved is None and savings.clusters:
        return (
            f"not known: in the {counted(savings.clusters, 'cluster')} that both rated in full, "
            "people or the judge give all items of a cluster the same rating"
        )
    if savings.correlation is None or savings.saved is None:
        return (
            "not known: no whole cluster has been rated by both people and the judge. To have a "
            "sample of whole clusters rated, run: selectllm utility ask SUITE --sample N -o "
            "sheet.csv"
        )
    if savings.saved == 0:
        return (
            "nothing. Where two random pickers differ, its correlation with people is "
            f"{savings.correlation:+.2f} ({counted(savings.clusters, 'cluster')})"
        )
    return (
        f"about {percent(round(savings.saved, 2))} of the human ratings, if it "
        "supplements them (gate.assisted_by) and people rate one cluster of ten. Where "
        "two random pickers differ, its correlation with people is "
        f"{savings.correlation:+.2f} ({counted(savings.clusters, 'cluster')})"
    )


def _disagreements(found: Calibration) -> Table:
    unit = "points" if found.scale is not None else "standard deviations"
    made = table(
        "where they differ most",
        f"difference: by how much the judge rates the item higher, in {unit}",
        ["item", "instruction"],
        ["people", "judge", "difference"],
    )
    for each in found.disagreements:
        add_row(
            made,
            each.id,
            each.instruction,
            number(each.human),
            number(each.judge),
            f"{each.difference:+.2f}",
        )
    return made
