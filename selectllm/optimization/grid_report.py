"""What came of a grid: its optimize.json, and the file of the version that it found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.runs.execute import decision_keys
from selectllm.optimization.confirm import Confirmation, confirmation_run
from selectllm.optimization.controls import controls
from selectllm.optimization.gepa_report import guards_of, splits_told, verdict_in_short
from selectllm.optimization.grid_schedule import DEFAULT, FINALISTS
from selectllm.optimization.grid_search import Halved, captured_by, said
from selectllm.optimization.schema import (
    ConfirmedArm,
    GridConfirmation,
    GridPlan,
    GridResults,
    GridRound,
    GridSetting,
    GridVariable,
    PlannedRound,
)
from selectllm.optimization.template import Origin, written

if TYPE_CHECKING:
    from selectllm.optimization.grid_job import GridJob, GridOutcome


def plan(job: GridJob) -> GridPlan:
    """What is going to be asked, as optimize.json has it; known before anything is."""
    parent = job.run.selectors[0]
    return GridPlan(
        parent=parent.prompt.ref,
        model=parent.spec.name,
        seed=job.run.suite.seed,
        budget=job.budget,
        settings=len(job.grid.settings),
        rounds=tuple(
            PlannedRound(**asdict(planned), decisions=planned.decisions)
            for planned in job.schedule.rounds
        ),
        decisions=job.schedule.decisions,
        confirmation=_most_confirmed(job),
    )


def _most_confirmed(job: GridJob) -> int:
    """Decisions that the confirmation takes at most."""
    others = min(FINALISTS, len(job.grid.settings) - 1)
    run = confirmation_run(job.run, job.grid.prompts[1 : 1 + others], job.splits.confirmation)
    return sum(1 for _ in decision_keys(run))


def report(came: GridOutcome) -> GridResults:
    """The content of optimize.json; without a confirmation nothing better was found."""
    job, found, made = came.job, came.found, came.confirmation
    splits = job.splits
    asked = made.asked if made else splits.confirmation
    best, utility = winner(came), job.run.headline
    assert utility is not None
    return GridResults(
        plan=plan(job),
        utility=utility.summary(),
        controls=controls(job.run, splits, asked),
        confirmed_on=len(asked) if made else None,
        splits=splits_told(splits),
        variables=tuple(
            GridVariable(
                name=name,
                values=tuple(dict.fromkeys(setting[name] for setting in job.grid.settings)),
            )
            for name in job.grid.settings[DEFAULT]
        ),
        settings=tuple(_settings(job, found)),
        rounds=tuple(GridRound(**asdict(done)) for done in found.rounds),
        effects=tuple(effect.told() for effect in found.effects),
        finalists=tuple(found.finalists),
        confirmation=None if made is None else _confirmation(found, made),
        winner=best,
        verdict=None if made is None or best is None else _verdict(found, made, best),
    )


def _settings(job: GridJob, found: Halved) -> Iterator[GridSetting]:
    """Every setting on what it was asked; who went further comes first, then who captured more."""

    def place(number: int) -> tuple[int, float, int]:
        measured = found.measured[number]
        return -measured.clusters, -captured_by(measured), number

    for number in sorted(found.measured, key=place):
        measured = found.measured[number]
        yield GridSetting(
            number=number,
            settings=dict(job.grid.settings[number]),
            prompt=job.grid.prompts[number].ref,
            sha256=job.grid.prompts[number].sha256,
            clusters=measured.clusters,
            captured=measured.captured,
        )


def _confirmation(found: Halved, made: Confirmation) -> GridConfirmation:
    """Both sides of every verdict, and what stands guard beside them."""
    first = made.verdicts[0].captured.a
    captured = [first, *(verdict.captured.b for verdict in made.verdicts)]
    arms = zip((DEFAULT, *found.finalists), captured, made.results.pairs, strict=True)
    return GridConfirmation(
        arms=tuple(
            ConfirmedArm(number=number, prompt=pair.prompt, captured=told, **guards_of(pair))
            for number, told, pair in arms
        ),
        verdicts=tuple(made.verdicts),
        noise=made.noise,
    )


def winner(came: GridOutcome) -> int | None:
    """The finalist that is better by most, else the one that came nearest; None without any.

    Among equals the one that did best in the search, or changes least.
    """
    if came.confirmation is None:
        return None
    verdicts = zip(came.found.finalists, came.confirmation.verdicts, strict=True)
    number, _ = max(verdicts, key=lambda each: (each[1].word == "better", _gain(each[1])))
    return number


def _gain(verdict: Verdict) -> float:
    return -math.inf if verdict.difference is None else verdict.difference.estimate


def _verdict(found: Halved, made: Confirmation, number: int) -> Verdict:
    return made.verdicts[found.finalists.index(number)]


def version_file(came: GridOutcome, number: int) -> str:
    """The file of the finalist `number`: its settings as scalars, and where they come from."""
    assert came.confirmation is not None
    job = came.job
    parent = job.run.selectors[0].prompt.ref
    verdict = _verdict(came.found, came.confirmation, number)
    words = verdict_in_short(parent, verdict)
    if (several := len(came.found.finalists)) > 1:
        words += f", one of {several} confirmed, by Holm"
    settings, usual = job.grid.settings[number], job.grid.settings[DEFAULT]
    changed = {name: value for name, value in settings.items() if value != usual[name]}
    origin = Origin(parent, f"{parent} with {said(changed)}.", _in_short(job, number), words)
    return written(job.grid.prompts[number], origin)


def _in_short(job: GridJob, number: int) -> str:
    """The search in one line, for front matter."""
    sizes = "/".join(str(size) for size in job.splits.sizes.values())
    rounds = ", ".join(f"{each.settings} on {each.clusters}" for each in job.schedule.rounds)
    return (
        f"grid, seed {job.run.suite.seed}, model {job.run.selectors[0].spec.name}, "
        f"{len(job.grid.settings)} settings by successive halving ({rounds} clusters), "
        f"{job.schedule.decisions} decisions, found {said(job.grid.settings[number])}; "
        f"clusters {sizes} (sha256 {job.splits.sha256[:12]})"
    )
