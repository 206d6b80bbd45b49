"""`selectllm optimize --grid`: every combination of a prompt's variables, by successive halving."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from selectllm.cli.optimizing import (
    OptimizeOptions,
    arm_of,
    conclude,
    keep,
    prompts_folder,
    run_of,
    search_folder,
)
from selectllm.cli.session import CommandSession
from selectllm.core.errors import UsageError
from selectllm.evaluation.runs.execute import context_needed
from selectllm.evaluation.runs.prepare import connected, load_prompts
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.suite import Suite
from selectllm.models.providers.providers import needs_num_ctx
from selectllm.optimization.grid_report import plan, report, version_file
from selectllm.optimization.grid_schedule import default_budget, schedule
from selectllm.optimization.grid_search import Grid, GridJob, carry_out
from selectllm.optimization.schema import GridResults
from selectllm.optimization.splits import split

if TYPE_CHECKING:
    from rich.console import RenderableType


def optimize_grid(session: CommandSession, suite: Suite, options: OptimizeOptions) -> None:
    """Search the grid, confirm its finalists, write what was found, and end with the exit code."""
    _check_options(options)
    prompts = prompts_folder(session)
    job = _checked(session, suite, options)
    from selectllm.report.grid import plan_text

    session.note(plan_text(plan(job)))
    folder = search_folder(session, options, suite.name, job.manifest)
    came = asyncio.run(carry_out(job, folder, session.progress))
    told = report(job, came)
    if told.winner is not None and told.verdict is not None:
        written = keep(
            folder,
            prompts,
            told.plan.parent,
            version_file(job, came, told.winner),
            as_version=options.force or told.verdict.word == "better",
        )
        told = told.model_copy(update={"written": written})
    conclude(session, told, folder, _rendered)


def _rendered(told: GridResults) -> RenderableType:
    from selectllm.report.grid import render_grid

    return render_grid(told)


def _check_options(options: OptimizeOptions) -> None:
    """Raise UsageError for options that mean nothing to a grid."""
    for name, value in (("teacher", options.teacher), ("demonstrations", options.demonstrations)):
        if value:
            raise UsageError(
                f"--{name} and --grid: a grid tries what the prompt's variables declare, and has "
                "nobody rewrite it; leave one of them out"
            )


def _checked(session: CommandSession, suite: Suite, options: OptimizeOptions) -> GridJob:
    """Everything that can be wrong, before anything is asked."""
    prompts = load_prompts(suite, session.library)
    run = run_of(session, suite, prompts, arm_of(suite, prompts, options))
    grid = Grid.of(run.selectors[0].prompt)
    assert run.headline is not None
    splits = split(run.clusters, run.headline.values, run.suite.picks, run.suite.seed)
    grid.check(run, run.clusters)
    settings, clusters = len(grid.settings), len(splits.training + splits.validation)
    budget = options.budget or default_budget(settings, clusters)
    return GridJob(
        run=_connected(run, grid),
        splits=splits,
        grid=grid,
        schedule=schedule(settings, clusters, budget),
        budget=budget,
        settings=run.settings,
        embedder=session.embedder().of_pool(run.pool),
    )


def _connected(run: Run, grid: Grid) -> Run:
    """The run with its model; in Ollama with room for the longest that any setting shows."""
    parent = run.selectors[0]
    longest = None
    if needs_num_ctx([parent.spec]):
        longest = max(
            context_needed(replace(run, selectors=(replace(parent, prompt=prompt),)))
            for prompt in grid.prompts
        )
    return connected(run, replace(run.meter.shared, num_ctx=longest))
