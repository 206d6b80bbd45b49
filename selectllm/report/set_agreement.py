"""Set-level agreement on a terminal: what foretells outcomes, how surely, and the controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.core.names import STRATEGY
from selectllm.downstream.outcomes.schema import (
    AgreementFigure,
    ForetellingUtility,
    OutcomeAgreement,
    SetAgreement,
)
from selectllm.report.layout import Visible, add_row, labelled, table
from selectllm.report.verdict_sentences import Fact
from selectllm.report.wording import UNKNOWN, ceiling, counted, named, number, p_alone

Row = tuple[str, SetAgreement]

MEASURES = (
    ("spearman", "Spearman"),
    ("kendall", "Kendall"),
    ("decisions", "decisions"),
    ("partial", "given tokens"),
    ("tokens", "tokens alone"),
)
MEANINGS: tuple[Fact, ...] = (
    ("Spearman", "rank correlation over arms: 1 = the outcomes' order, 0 = chance, -1 = reversed"),
    ("Kendall", "tau-b, on the same scale: pairs of arms ordered alike less those otherwise"),
    ("decisions", "share of the pairs of arms that are ordered alike; 0.50 by chance"),
    ("given tokens", "Spearman with the tokens of the sets held fixed"),
    ("tokens alone", "Spearman of the tokens with the outcomes: what length alone foretells"),
    ("ceiling", "no correlation can be expected above it; unknown reliability is taken as 1"),
    ("interval", "of 95 %; none below 8 arms. p: two-sided, by permutation of the arms"),
)


def print_agreement(found: OutcomeAgreement, console: Console) -> None:
    """Print what `utility agree` found."""
    for line in _head(found):
        console.print(Visible(Text(line)), soft_wrap=True)
    console.print(Visible(_tables(found)))


def render_outcome_agreement(found: OutcomeAgreement) -> RenderableType:
    """What `utility agree` found."""
    return Group(*map(Text, _head(found)), _tables(found))


def _head(found: OutcomeAgreement) -> Iterator[str]:
    runs = sum(map(len, found.scores.values()))
    yield (
        f"{found.suite}: {found.metric} on {', '.join(found.benchmarks)}, sets of {found.budget}, "
        f"{counted(runs, 'run')}"
    )
    if left_out := found.tests.left_out:
        yield (
            f"{left_out} of {left_out + found.tests.shared} tests were left out, which not every "
            "run was scored on"
        )


def _tables(found: OutcomeAgreement) -> RenderableType:
    scores = {arm: fmean(runs.values()) for arm, runs in found.scores.items()}
    rows = [(named(row), row.agreement) for row in found.agreement]
    arms = render_arms(found.agreement, scores, found.metric)
    return Group(arms, render_set_agreement(rows))


def render_set_agreement(rows: Sequence[Row]) -> RenderableType:
    """A table of all measures of each of `rows`, then ceilings, notes and what the words mean.

    A row: what foretells (a utility with its kind), and how far.
    """
    made = table("set-level agreement", "", ["foretold by"])
    made.add_column("measure", overflow="fold", min_width=12)
    for head in ("value", "interval", "p"):
        made.add_column(head, justify="right", overflow="fold")
    for name, found in rows:
        _add(made, name, found)
    facts = [("ceiling", f"{name}: {_ceiling(found)}") for name, found in rows if _is_ok(found)]
    facts += [("note", note) for note in _notes(rows)]
    if any(_is_ok(found) for _, found in rows):
        facts += MEANINGS
    return Group(made, labelled(facts))


def render_arms(
    rows: Sequence[ForetellingUtility], scores: Mapping[str, float], what: str
) -> RenderableType:
    """Every arm with its score, best first, and what its sets capture of each utility.

    Below it what each utility is, and how high agreement with it can be. What length alone
    captures is the row of `longest`.

    `rows`: of `agreement_by_utility`. `scores`: higher is better; `what`: what they are called.
    """
    names = [row.name for row in rows]
    made = table(
        f"{what}, and what was captured of each utility",
        "captured: 1 = the best possible set, 0 = random sets; of whole sets: their value",
        ["arm"],
        [what, *names],
    )
    for arm, score in sorted(scores.items(), key=lambda each: -each[1]):
        add_row(
            made,
            arm.removeprefix(STRATEGY),
            number(score, 3),
            *(number(row.captured.get(arm)) for row in rows),
        )
    facts = [("ceiling", f"{named(row)}, item by item: {ceiling(row)}") for row in rows]
    return Group(made, labelled(facts))


def _is_ok(found: SetAgreement) -> bool:
    return bool(found.status == "ok")


def _add(made: Table, name: str, found: SetAgreement) -> None:
    """One line a measure, the name on the first; one line alone where there are no figures."""
    arms = f"{name}, {counted(len(found.arms), 'arm')}"
    if not _is_ok(found):
        add_row(made, arms, found.status, UNKNOWN, UNKNOWN, UNKNOWN)
        return
    figures = [(head, getattr(found, key)) for key, head in MEASURES]
    known = [(head, figure) for head, figure in figures if figure.value is not None]
    for first, (head, figure) in zip([arms, *[""] * len(known)], known, strict=False):
        add_row(made, first, head, number(figure.value), _interval(figure), p_alone(figure.p))


def _interval(figure: AgreementFigure) -> str:
    low, high = figure.low, figure.high
    return UNKNOWN if low is None or high is None else f"{low:.2f} to {high:.2f}"


def _ceiling(found: SetAgreement) -> str:
    """The highest correlation to be expected, and of what reliability."""
    sides = (
        ("the outcomes", found.reliability),
        ("what foretells", found.foretold_reliability),
    )
    told = ", ".join(
        f"{side} {'unknown' if value is None else number(value)}" for side, value in sides
    )
    most = "not known" if found.ceiling is None else number(found.ceiling)
    return f"{most} (reliability of {told})"


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    """What keeps figures from being a verdict, each once; then what looking at many does."""
    yield from dict.fromkeys(note for _, found in rows for note in found.notes)
    looked_at = sum(_is_ok(found) for _, found in rows)
    if looked_at > 1:
        yield f"p is of each utility alone; {looked_at} were looked at"
