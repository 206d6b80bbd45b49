"""`selectllm utility import --export` and `agree`: results of training elsewhere, as truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from selectllm.cli.options import AS_JSON, DIRECTORY, FILE, Output, grouped
from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError, UtilityError
from selectllm.core.names import listed
from selectllm.downstream.outcomes.agreement import agreement_by_utility
from selectllm.downstream.outcomes.exported import (
    Exported,
    SetReference,
    check_held,
    check_pool,
    check_source,
    read_exported,
)
from selectllm.downstream.outcomes.importing import import_results
from selectllm.downstream.outcomes.results import ResultsFile, read_results, write_results
from selectllm.downstream.outcomes.scores import (
    ArmScores,
    arm_scores,
    tokens_by_arm,
    tokens_of_sets,
)
from selectllm.evaluation.sets.schema import DAMAGED, SetsResults

RESULTS = "results.jsonl"


@dataclass(frozen=True, slots=True)
class ResultOptions:
    """Of what exported sets results are, where the files do not say it."""

    export: Path | None = None
    arm: str | None = None
    budget: int | None = None
    seed: int | None = None
    training_seed: int | None = None

    @property
    def given(self) -> SetReference | None:
        """The set that was named. Raises UsageError for a budget or seed of no arm."""
        if self.arm is None and (self.budget, self.seed) != (None, None):
            raise UsageError("--budget, --seed: of which set? name its --arm too")
        return None if self.arm is None else SetReference(self.arm, self.budget, self.seed)


result_options = grouped(
    "results",
    ResultOptions,
    click.option(
        "--export", type=DIRECTORY, help="The files are results of what export wrote there."
    ),
    click.option("--arm", help="With --export: the arm, or set, that a file of one model is of."),
    click.option("--budget", type=click.IntRange(1), help="With --arm: the size of its set."),
    click.option("--seed", type=int, help="With --arm: the seed that its set was selected with."),
    click.option("--training-seed", type=int, help="With --export: of results that state none."),
)


def import_outcomes(
    files: Sequence[Path], out: Path | None, options: ResultOptions, output: Output
) -> None:
    """Tie the results in `files` to exported sets, write them as one file, and say what it has."""
    assert options.export is not None
    path = out or Path(RESULTS)
    if path.resolve() in [each.resolve() for each in files]:
        raise UsageError(f"-o {path}: is one of the files to read; name another")
    exported = read_exported(options.export)
    content = import_results(files, exported, options.given, options.training_seed)
    write_results(path, content)
    found = _summary(path, content, exported)
    click.echo(canonical_json(found) if output.as_json else _told(found))
    for note in _notes(found):
        output.note(note)


def _summary(path: Path, content: ResultsFile, exported: Exported) -> dict[str, Any]:
    """What was read, as `--json` prints it; `without_result`: names of exported sets."""
    found = content.results
    there = {(each.arm, each.budget, each.seed) for each in found}
    measured: dict[str, list[str]] = {}
    for metric, benchmark in sorted({(each.metric, each.benchmark) for each in found}):
        measured.setdefault(metric, []).append(benchmark)
    return {
        "file": str(path),
        "results": len(found),
        "runs": len({(each.arm, each.budget, each.seed, each.training_seed) for each in found}),
        "arms": list(dict.fromkeys(each.arm for each in found)),
        "budgets": sorted({each.budget for each in found}),
        "metrics": measured,
        "unsettled": content.unsettled,
        "exported": len(exported.sets),
        "without_result": [
            each.name for each in exported.sets if (each.arm, each.budget, each.seed) not in there
        ],
    }


def _told(found: Mapping[str, Any]) -> str:
    lines = [
        f"{found['file']}: {found['results']} results of {found['runs']} runs",
        f"arms: {', '.join(found['arms'])}",
        f"budgets: {', '.join(map(str, found['budgets']))}",
        *(f"metric {metric}: on {', '.join(names)}" for metric, names in found["metrics"].items()),
        f"next: selectllm utility agree SETS_FOLDER --results {found['file']}",
    ]
    return "\n".join(lines)


def _notes(found: Mapping[str, Any]) -> Iterator[str]:
    """What is missing."""
    if left_out := found["unsettled"]:
        rows = left_out + found["results"]
        yield f"{left_out} of {rows} rows have no value (preference: null), and were left out"
    if absent := found["without_result"]:
        count = f"{len(absent)} of {found['exported']}"
        yield f"{count} exported sets have no result: {listed(absent)}"


@dataclass(frozen=True, slots=True)
class AgreeOptions:
    """Which results are held against which utilities."""

    results: Path
    metric: str | None
    budget: int | None
    benchmark: tuple[str, ...]
    utility: tuple[str, ...]
    export: Path | None


agree_options = grouped(
    "options",
    AgreeOptions,
    click.option(
        "--results", type=FILE, required=True, help="What `utility import --export` wrote."
    ),
    click.option("--metric", help="The metric [the only one]."),
    click.option("--budget", type=click.IntRange(1), help="Sets of this size [the only one]."),
    click.option("--benchmark", multiple=True, help="Only these; repeatable [all]."),
    click.option("--utility", multiple=True, help="Only these; repeatable [all]."),
    click.option(
        "--export", type=DIRECTORY, help="Take the tokens of the sets from what export wrote."
    ),
)


@click.command()
@click.argument("sets_folder", metavar="SETS_FOLDER", type=DIRECTORY)
@agree_options
@AS_JSON
def agree(sets_folder: Path, options: AgreeOptions, as_json: bool) -> None:
    """How far the utilities of SETS_FOLDER order its selectors as results from elsewhere do.

    For each utility the agreement of what the sets capture of it with what training on them was
    worth: rank correlations over selectors, what length alone would have foretold, and how far
    that can be trusted.
    """
    found = _agreement(sets_folder, options)
    if as_json:
        click.echo(canonical_json(found))
        return
    from rich.console import Console

    from selectllm.report.set_agreement import render_arms, render_set_agreement
    from selectllm.report.wording import named

    click.echo(
        f"{found['suite']}: {found['metric']} on {', '.join(found['benchmarks'])}, sets of "
        f"{found['budget']}, {sum(map(len, found['scores'].values()))} runs"
    )
    if left_out := found["tests"]["left_out"]:
        click.echo(
            f"{left_out} of {left_out + found['tests']['shared']} tests were left out, which not "
            "every run was scored on"
        )
    scores = {arm: fmean(runs.values()) for arm, runs in found["scores"].items()}
    rows = [(named(row), row["agreement"]) for row in found["agreement"]]
    console = Console()
    console.print(render_arms(found["agreement"], scores, found["metric"]))
    console.print(render_set_agreement(rows))


def _agreement(folder: Path, options: AgreeOptions) -> dict[str, Any]:
    """What is printed as JSON."""
    compared = _compared(folder)
    content = read_results(options.results)
    check_source(content, str(options.results), compared, str(folder))
    scores = arm_scores(content.results, options.metric, options.budget, options.benchmark)
    check_held(scores.sets, compared, str(folder))
    tokens = _tokens(compared, content, scores, options.export)
    rows = agreement_by_utility(compared, scores.runs, scores.budget, tokens, options.utility)
    return {
        "suite": compared.suite,
        "pool_sha256": content.pool_sha256,
        "metric": scores.metric,
        "budget": scores.budget,
        "benchmarks": list(scores.benchmarks),
        "scores": scores.runs,
        "tests": {"shared": scores.tests, "left_out": scores.left_out},
        "agreement": rows,
    }


def _compared(folder: Path) -> SetsResults:
    """The content of sets.json. Raises RunError if it is not there, or has no utilities."""
    path = folder / "sets.json"
    compared = SetsResults.read(path, DAMAGED)
    if not compared.utilities:
        raise UsageError(f"{path}: has no utilities; name some in the suite and run `sets` again")
    return compared


def _tokens(
    compared: SetsResults, content: ResultsFile, scores: ArmScores, export: Path | None
) -> dict[str, float] | None:
    """Of each arm's sets: as exported, else as sets.json has them."""
    if export is None:
        return tokens_of_sets(compared, scores.budget)
    exported = read_exported(export)
    check_pool(exported, content.pool_sha256, "--results")
    if exported.sha256 != content.export_sha256:
        raise UtilityError(f"--export {export}: the results are of another export; name that one")
    return tokens_by_arm(exported, scores.budget)
