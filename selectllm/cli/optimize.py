"""`selectllm optimize`: search a better prompt, and confirm it on clusters never seen."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selectllm.cli.named_model import named_model
from selectllm.cli.optimize_grid import optimize_grid
from selectllm.cli.optimizing import (
    OptimizeOptions,
    arm_of,
    conclude,
    keep,
    optimize_options,
    prompts_folder,
    run_of,
    search_folder,
)
from selectllm.cli.options import Common, ModelOptions, common_options
from selectllm.cli.session import CommandSession, open_session
from selectllm.core.errors import ModelError, ReplyMissing
from selectllm.evaluation.runs.execute import context_needed
from selectllm.evaluation.runs.prepare import load_prompts
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.suite import Suite, load_suite
from selectllm.models.connect import Connections, settled
from selectllm.models.model import ModelSpec
from selectllm.models.providers.endpoint import api_key, key_variable
from selectllm.models.providers.providers import needs_num_ctx, provider_of
from selectllm.optimization.gepa_job import Job, carry_out, planned
from selectllm.optimization.gepa_program import load_dspy
from selectllm.optimization.gepa_report import Plan, report, version_file
from selectllm.optimization.gepa_search import (
    SHOWN,
    check_budget,
    check_demonstrations,
    default_budget,
)
from selectllm.optimization.schema import SearchResults
from selectllm.optimization.splits import split
from selectllm.optimization.template import check_rewritable
from selectllm.selection.selector import open_selector

if TYPE_CHECKING:
    from rich.console import RenderableType

TEACHER_TOKENS = 4096  # room for a reply of a teacher that the suite does not name


@click.command()
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@optimize_options
@common_options
def optimize(suite_file: Path, options: OptimizeOptions, common: Common) -> None:
    """Search a better prompt on some clusters of SUITE, and confirm it on others.

    A teacher rewrites its system text, or --grid tries the values of its variables. The next
    version is written only if it is better there than its parent, or with --force. Exit code: 3 if
    the verdict is inconclusive, else 0.
    """
    carried_out = optimize_grid if options.grid else _optimize_text
    if not options.grid:
        load_dspy()
    suite = options.applied(load_suite(suite_file))
    try:
        carried_out(open_session(common, suite.folder), suite, options)
    except ReplyMissing as error:
        raise ReplyMissing(f"{error}. Ask for them by the same call without --offline") from None


def _optimize_text(session: CommandSession, suite: Suite, options: OptimizeOptions) -> None:
    prompts = prompts_folder(session)
    job = _checked(session, suite, options)
    folder = search_folder(session, options, suite.name, job.manifest)
    from selectllm.report.optimize import plan_text

    session.note(plan_text(planned(job)))
    with asyncio.Runner() as runner:
        came = carry_out(job, folder, runner, session.progress)
    told = report(job.run, job.plan, job.splits, came.found, came.seen, came.confirmation)
    if came.confirmation is not None:  # the parent did not do best
        verdict = came.confirmation.verdict
        written = keep(
            folder,
            prompts,
            job.plan.parent,
            version_file(job.plan, job.splits, came.found, came.winner, verdict),
            as_version=options.force or verdict.word == "better",
        )
        told = told.model_copy(update={"written": written})
    conclude(session, told, folder, _rendered)


def _rendered(told: SearchResults) -> RenderableType:
    from selectllm.report.optimize import render_report

    return render_report(told)


def _checked(session: CommandSession, suite: Suite, options: OptimizeOptions) -> Job:
    """Everything that can be wrong, before anything is asked."""
    prompts = load_prompts(suite, session.library)
    arm = arm_of(suite, prompts, options)
    known = {spec.name: spec for spec in suite.specs()}
    teacher = _teacher(options.teacher or arm.model or "", known, session)
    run = run_of(session, suite, prompts, arm)
    check_rewritable(run.selectors[0].prompt)
    assert run.headline is not None
    splits = split(run.clusters, run.headline.values, run.suite.picks, run.suite.seed)
    budget = default_budget(splits) if options.budget is None else options.budget
    check_budget(budget, splits, options.demonstrations)
    check_demonstrations(options.demonstrations, splits)
    parent = run.selectors[0]
    shared = _connections(run, teacher, options)
    plan = Plan(
        parent=parent.prompt.ref,
        model=parent.spec.name,
        teacher=teacher.name,
        seed=run.suite.seed,
        budget=budget,
        demonstrations=options.demonstrations,
    )
    return Job(
        run=replace(run, selectors=(open_selector(parent.prompt, parent.spec, shared),)),
        splits=splits,
        plan=plan,
        teacher=teacher,
        shared=shared,
        settings=run.settings,
        embedder=session.embedder().of_pool(run.pool),
    )


def _teacher(name: str, known: Mapping[str, ModelSpec], session: CommandSession) -> ModelSpec:
    """A model of the suite as it stands there, or any other by its id.

    Raises ModelError for one that has no key though its provider takes one.
    """
    spec = known.get(name)
    if spec is None:
        spec = named_model(name, ModelOptions(None, ()))
        spec = replace(spec, temperature=1.0, max_tokens=TEACHER_TOKENS)
    spec = settled(spec, session.base)
    if session.common.offline or not provider_of(spec).needs_key:
        return spec
    if api_key(spec, os.environ) is None:
        raise ModelError(
            f"--teacher {spec.name}: no key for it; set {key_variable(spec)}, or name another "
            "teacher"
        )
    return spec


def _connections(run: Run, teacher: ModelSpec, options: OptimizeOptions) -> Connections:
    """What task model and teacher share; room in Ollama for the longest that may be shown."""
    longest = None
    if needs_num_ctx((run.selectors[0].spec, teacher)):
        longest = context_needed(run) * (1 + max(SHOWN, options.demonstrations))
    return replace(run.meter.shared, num_ctx=longest)
