"""Set-level agreement on a terminal: what foretells outcomes, how surely, and the controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.core.names import STRATEGY
from selectllm.downstream.outcomes.schema import (
    AgreementFigure,
    ForetellingUtility,
    OutcomeAgreement,
    SetAgreement,
)
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.wording import UNKNOWN, Fact, ceiling, counted, named, number, p_alone

Row = tuple[str, SetAgreement]

MEASURES = (
    ("spearman", "Spearman"),
    ("kendall", "Kendall"),
    ("decisions", "decisions"),
    ("partial", "given tokens"),
    ("tokens", "tokens alone"),
)
MEANINGS: tuple[Fact, ...] = (
    (
        "Spearman",
        "This is the rank correlation over the arms: 1 = the order of the outcomes, 0 = as by "
        "chance, -1 = the reverse order.",
    ),
    (
        "Kendall",
        "This is tau-b, on the same scale. It counts the pairs of arms that are in the same order, "
        "minus those in the reverse order.",
    ),
    (
        "decisions",
        "This is the share of the pairs of arms that are in the same order. By chance it is 0.50.",
    ),
    ("given tokens", "This is Spearman among sets of the same number of tokens."),
    (
        "tokens alone",
        "This is Spearman between the tokens and the outcomes: how much length alone predicts.",
    ),
    (
        "ceiling",
        "No correlation above it can be expected. Where a reliability is not known, it is taken "
        "as 1.",
    ),
    (
        "interval",
        "It has 95 % confidence, and there is none below 8 arms. p says how likely chance alone is "
        "to show as much, in either direction (a permutation test of the arms).",
    ),
)


def render_outcome_agreement(found: OutcomeAgreement) -> RenderableType:
    """What `utility agree` found."""
    return Group(*map(Text, _head(found)), *map(Text, _untrained(found)), _tables(found))


def _head(found: OutcomeAgreement) -> Iterator[str]:
    runs = sum(map(len, found.scores.values()))
    yield (
        f"{found.suite}: {found.metric} on {', '.join(found.benchmarks)}, of "
        f"{counted(runs, 'run')} with sets of {counted(found.budget, 'item')}."
    )
    if left_out := found.tests.left_out:
        yield (
            f"{left_out} of {left_out + found.tests.shared} tests were left out, because not every "
            "run was scored on them."
        )


def _untrained(found: OutcomeAgreement) -> Iterator[str]:
    """Which arms' models score below the model before training."""
    before = found.untrained
    if before is None:
        return
    yield f"Before training, the model scores {number(before.score, 3)}."
    for arm, distance in before.below.items():
        sure = "" if arm in before.clearly else " (not clearly: its runs do not exclude chance)"
        yield (
            f"Worse than untrained: training on the sets of {arm.removeprefix(STRATEGY)} scores "
            f"{number(distance, 3)} less{sure}."
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
    made = table("set-level agreement", "", ["predicted by"])
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
        "captured: how much of the possible gain the sets achieve: 1 = the best possible set, "
        "0 = random sets. Of a utility of whole sets it is their value.",
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
    return f"{most} (the reliability of {told})"


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    """What keeps figures from being a verdict, each once; then what looking at many does."""
    yield from dict.fromkeys(note for _, found in rows for note in found.notes)
    looked_at = sum(_is_ok(found) for _, found in rows)
    if looked_at > 1:
        yield (
            f"Every p is of one utility alone, and {looked_at} were looked at. The more you look "
            "at, the likelier is a small p by chance."
        )
