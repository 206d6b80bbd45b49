"""Two runs side by side on a terminal: pair by pair, then the clusters that lost most."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.evaluation.two_runs.schema import (
    ClusterDifference,
    ComparedRun,
    PairedSides,
    RunsCompared,
)
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.next_steps import suite_file
from selectllm.report.wording import counted, estimate, named, rate, spread, usd

DESCRIBED = (
    "This only describes two runs; it is not a verdict. Nothing is corrected for the number of "
    "pairs."
)
WORST = 5  # clusters that a terminal shows


def render_two_runs(compared: RunsCompared) -> RenderableType:
    """What both asked, the pairs (the one that lost most first), and the worst clusters."""
    parts: list[RenderableType] = [Text(_heading(compared), style="bold"), Text()]
    parts += [labelled(_facts(compared)), Text(), _differences(compared), _replies(compared)]
    if any(row.difference for pair in compared.compared for row in pair.clusters):
        parts.append(_worst(compared))
    return Group(*parts)


def _heading(compared: RunsCompared) -> str:
    return (
        f"{compared.b.name} compared with {compared.a.name}: "
        f"{counted(compared.clusters, 'cluster')} that both asked, {compared.picks} "
        "picked in each"
    )


def _facts(compared: RunsCompared) -> Iterator[tuple[str, str]]:
    for letter, run in (("A", compared.a), ("B", compared.b)):
        yield letter, f"{run.name}, suite {run.suite}: {_left_out(run)}"
    if compared.utility is None:
        yield "measured by", "nothing: neither run has a utility, so only the picks are compared"
    else:
        yield "measured by", named(compared.utility)
    for note in compared.notes:
        yield "note", note
    yield from (("note", told) for told in _unusable(compared))
    for run in (compared.a, compared.b):
        if run.alone:
            yield "not compared", f"only in {run.name}: {', '.join(run.alone)}"
    yield "no verdict", f"{DESCRIBED} For a verdict, run: {verdict_command(compared)}"


def _unusable(compared: RunsCompared) -> Iterator[str]:
    """The pairs that did not always give an answer that can be used."""
    for pair in compared.compared:
        for letter, side in (("A", pair.a), ("B", pair.b)):
            if side.valid_rate is not None and side.valid_rate < 1:
                yield (
                    f"{side.name} in {letter}: only {rate(side.valid_rate)} of its decisions can "
                    "be used. In the others, a missing pick counts as a random one"
                )


def _left_out(run: ComparedRun) -> str:
    asked = f"asked {counted(run.clusters, 'cluster')}"
    if not run.left_out:
        return f"{asked}, none left out"
    return f"{asked}, {run.left_out:,} left out, which the other run did not ask"


def shared_facts(compared: RunsCompared) -> Iterator[str]:
    """For a page: what is compared, what measures it, and which command gives a verdict."""
    for run in (compared.a, compared.b):
        yield f"{run.name} (suite {run.suite}) {_left_out(run)}"
    if compared.utility is not None:
        yield (
            f"{named(compared.utility)} says how good the picks are. Captured is the share of "
            "the possible gain over random picks"
        )
    yield f"For a verdict, run: {verdict_command(compared)}"


def verdict_command(compared: RunsCompared) -> str:
    """The command that answers what the first pair asks: the prompt, the model, or neither."""
    suite = str(suite_file(compared.b.suite, compared.b.folder))
    first = next(iter(compared.compared), None)
    if first is None or first.a.name == first.b.name:
        keep = shlex.join(
            ("selectllm", "baseline", "set", compared.a.folder, "-o", "baseline.json")
        )
        then = shlex.join(("selectllm", "regress", suite, "--baseline", "baseline.json"))
        return f"{keep}; then: {then}"
    a, b = first.a, first.b
    if a.prompt == b.prompt:
        models = ("--from", a.model, "--to", b.model, "--prompt", b.prompt)
        return shlex.join(("selectllm", "swap", suite, *models))
    arms = (f"{a.prompt}+{a.model}", f"{b.prompt}+{b.model}")
    return shlex.join(("selectllm", "ab", suite, "--a", arms[0], "--b", arms[1]))


def one_pair(pair: PairedSides) -> str:
    """What a row is of: `criteria@2 + gpt against criteria@1 + gpt`, or one name for both."""
    if pair.a.name == pair.b.name:
        return pair.b.name
    return f"{pair.b.name} against {pair.a.name}"


def told_difference(pair: PairedSides, compared: RunsCompared) -> tuple[str, str, str]:
    """`short@1 + gpt captured `, `0.12 less`, ` in B than in A (-0.20 to -0.04)`: a sentence.

    The pair must have a difference.
    """
    change = pair.difference
    assert change is not None
    amount = f"{abs(change.estimate):.2f}"
    if float(amount) == 0:
        word, than = "as much", "as"
    else:
        word, than = f"{amount} {'more' if change.estimate > 0 else 'less'}", "than"
    other = "" if pair.a.name == pair.b.name else f"{pair.a.name} "
    runs = f" in {compared.b.name} {than} {other}in {compared.a.name} ({spread(change)})."
    return f"{pair.b.name} captured ", word, runs


def _differences(compared: RunsCompared) -> Table:
    made = table(
        "pairs, the biggest loss first",
        "A, B: captured in each run, the share of the possible gain over random picks.\nchange: "
        "B minus A, with the 95 % interval of this pair alone.\nworse, better: the clusters in "
        "which B picked worse or better; same picks: the clusters with the same picks.",
        ["pair"],
        ["A", "B", "change", "interval", "worse", "better", "same picks"],
    )
    for pair in compared.compared:
        change = "-" if pair.difference is None else f"{pair.difference.estimate:+.2f}"
        same = sum(row.same_picks for row in pair.clusters)
        counts = (pair.worse, pair.better, same)
        add_row(
            made,
            one_pair(pair),
            estimate(pair.a.captured),
            estimate(pair.b.captured),
            change,
            spread(pair.difference),
            *map(str, counts),
        )
    return made


def _replies(compared: RunsCompared) -> Table:
    made = table(
        "replies in these clusters",
        "valid: share of the decisions with an answer that can be used.\n"
        "USD: what the replies cost when they were made.",
        ["pair"],
        ["valid A", "valid B", "USD A", "USD B"],
    )
    for pair in compared.compared:
        valid = (rate(each.valid_rate) for each in (pair.a, pair.b))
        cost = (usd(each.cost_usd) for each in (pair.a, pair.b))
        add_row(made, one_pair(pair), *valid, *cost)
    return made


def _worst(compared: RunsCompared) -> Table:
    made = table(
        "clusters that lost most",
        "change: the difference in the share of the cluster's utility range that the picks "
        "reached, from -1 (the best possible picks became the worst) to 1. With --html, the page "
        "shows the picks and replies of all clusters.",
        ["pair"],
        ["cluster", "change"],
    )
    rows = [(pair, row) for pair in compared.compared for row in pair.clusters if row.difference]
    rows.sort(key=lambda each: each[1].difference or 0.0)
    for pair, row in rows[:WORST]:
        add_row(made, one_pair(pair), _number(row), f"{row.difference:+.2f}")
    return made


def _number(row: ClusterDifference) -> str:
    """Its number in the second run; that of the first, where it had another."""
    return str(row.b) if row.a == row.b else f"{row.b} (in A: {row.a})"
