"""Search a better prompt on some clusters of a suite, and confirm it on others."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

from selectllm.core.codec import sha256_json
from selectllm.core.errors import ModelError, PromptError, UsageError, UtilityError
from selectllm.core.files import write_text
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.runs.coverage import check_unassisted
from selectllm.evaluation.runs.prepare import load_prompts
from selectllm.evaluation.suite import Suite
from selectllm.evaluation.suite_entries import ModelEntry
from selectllm.jobs.arguments import parted
from selectllm.jobs.comparing import halves, narrowed
from selectllm.jobs.evaluating import open_run, suite_of
from selectllm.jobs.options import Evaluating, Searching
from selectllm.jobs.outputs import check_begun
from selectllm.jobs.session import Session, opened
from selectllm.jobs.session_settings import Settings
from selectllm.jobs.turns import turn
from selectllm.models.connect import settled
from selectllm.models.model import ModelSpec
from selectllm.models.providers.endpoint import missing_key
from selectllm.optimization.gepa_job import GepaJob, GepaOutcome
from selectllm.optimization.gepa_program import load_dspy
from selectllm.optimization.gepa_report import write_version
from selectllm.optimization.grid_job import GridJob
from selectllm.optimization.schema import OptimizeResults
from selectllm.prompting.library import PromptLibrary

TEACHER_TOKENS = 4096  # room for a reply of a teacher that the suite does not name


class SearchingArguments(Settings, total=False):
    """The same as keyword arguments, with the settings of a session."""

    prompt: str | None
    model: str | None
    grid: bool
    teacher: str | None
    budget: int | None
    demonstrations: int
    force: bool
    out: Path | str | None
    seed: int | None
    limit: int | None


@dataclass(frozen=True, eq=False)
class Optimization:
    """A search that was carried out.

    `results`: what came of it, as optimize.json has it. `folder`: where the search is kept.
    `spent_usd`: what this call cost; replies from the cache are free. `unusable`: where no proposal
    of the teacher could be used, what it was asked for and what it replied, in sentences.
    """

    results: OptimizeResults = field(repr=False)
    folder: Path
    spent_usd: float
    unusable: str | None = None

    @property
    def word(self) -> str | None:
        """The verdict on the winner against its parent; None if nothing did better."""
        return None if self.results.verdict is None else self.results.verdict.word

    @property
    def written(self) -> str | None:
        """The new version, `name@N`; None if none was written."""
        return self.results.written


async def optimize(
    suite: Suite | Path | str,
    *,
    session: Session | None = None,
    **arguments: Unpack[SearchingArguments],
) -> Optimization:
    """Search for a better prompt on some clusters of `suite`, and confirm it on the others.

    `prompt`, `model`: the prompt to improve, and the model that it is for; None for the suite's
    only ones. A `teacher` (a model of the suite or an id, None for the model itself) rewrites the
    system text. With `grid`, the values of the prompt's variables are tried instead. `budget`: the
    most decisions that the search may use; measuring and confirming the result takes further ones.
    `demonstrations`: worked examples to try with the best text, 0 or more. The next version is
    written into the workspace's prompts only if the verdict is `better`, or with `force`. `out`:
    the folder of the search. `seed`, `limit`: replace the suite's seed and number of clusters. The
    other arguments are those of a Session.

    Raises UsageError for input that cannot work, before a model is asked; ReplyMissing,
    BudgetReached or ProviderError if asking a model fails. What was paid for is kept: make the same
    call again to continue.
    """
    search, settings = parted(Searching, arguments)
    if search.grid:
        _check_grid(search)
    else:
        load_dspy()
    suite = suite_of(suite, session, settings)
    suite = Evaluating(seed=search.seed, limit=search.limit).applied(suite)
    async with opened(session, settings, suite.folder) as session:
        prompts = _prompts_folder(session)
        job = _job(session, suite, search)
        session.note(f"{_ahead(job)}\n  {_seen_by(job)}")
        folder = _folder(session, suite, job, search)
        async with turn(folder):
            check_begun(folder)
            before = session.ledger.spent
            outcome = await job.carry_out(folder, session.progress)
            results: OptimizeResults = outcome.results()
            text = outcome.version_file()
            if text is not None:
                as_version = search.force or (results.verdict and results.verdict.word) == "better"
                written = _keep(folder, prompts, results.plan.parent, text, as_version=as_version)
                results = results.model_copy(update={"written": written})
            results.write(folder / "optimize.json")
            unusable = outcome.unusable() if isinstance(outcome, GepaOutcome) else None
            return Optimization(results, folder, session.ledger.spent - before, unusable)


def _check_grid(search: Searching) -> None:
    """Raise UsageError for what means nothing to a grid."""
    for name, value in (("teacher", search.teacher), ("demonstrations", search.demonstrations)):
        if value:
            raise UsageError(
                f"`{name}` and `grid`: a grid tries the values of the prompt's variables, and no "
                "model rewrites it. Leave one of them out",
                argument=name,
            )


def _prompts_folder(session: Session) -> Path:
    """Where the new version is to be written."""
    if session.workspace.prompts is None:
        raise UsageError(
            "optimize writes into prompts/ of a workspace, but the suite is not in a workspace. "
            "Make one with selectllm init, or name a folder with `prompts`",
            argument="prompts",
        )
    return session.workspace.prompts


def _job(session: Session, suite: Suite, search: Searching) -> GepaJob | GridJob:
    """The search, after everything that can be wrong was looked at."""
    prompts = load_prompts(suite, session.library)
    named = halves(suite, prompts, session.library).with_default(
        prompt=search.prompt, model=search.model
    )
    arm = named.only()
    if not suite.utilities:
        raise UtilityError(
            "optimize needs a utility to score decisions by, and the suite has none. Add one "
            "under `utilities:`, or get ratings with selectllm utility ask "
            f"{suite.source or 'SUITE'} -o sheet.csv"
        )
    teacher = None if search.grid else _teacher(session, suite, search.teacher or arm.model or "")
    check_unassisted(suite, "optimize", "every step of the search needs a value for every item")
    suite = narrowed(suite, prompts, [arm])
    run = open_run(session, suite, ComparisonDesign("ab", (arm,)), prompts=prompts)
    parent = run.selectors[0].prompt
    if parent.version == 0:
        raise PromptError(
            f"`prompt` {parent.path} is a file without a version, so optimize cannot write "
            "its next version. To make it a version first, run: selectllm prompts new "
            f"{parent.name} --from {parent.path}",
            argument="prompt",
        )
    if parent.form.shows != "cluster":
        raise PromptError(
            f"`prompt` {parent.ref} has reply: {parent.reply}, which asks several questions about "
            "a cluster, and optimize searches prompts that show whole clusters, such as short@1. "
            "To compare ways of asking, use selectllm ab",
            argument="prompt",
        )
    embedder = session.embedder(named=run.suite.encoder_name).of_pool(run.pool)
    if teacher is None:
        return GridJob.of(run, embedder, budget=search.budget)
    return GepaJob.of(
        run, teacher, embedder, budget=search.budget, demonstrations=search.demonstrations
    )


def _teacher(session: Session, suite: Suite, name: str) -> ModelSpec:
    """A model of the suite as it stands there, or any other by its id.

    Raises ModelError for one that has no key though its provider takes one.
    """
    spec = next((spec for spec in suite.specs() if spec.name == name), None)
    if spec is None:
        spec = ModelEntry(id=name).spec()
        spec = replace(spec, temperature=1.0, max_tokens=TEACHER_TOKENS)
    spec = settled(spec, suite.folder)
    missing = None if session.settings.offline else missing_key(spec, os.environ)
    if missing is not None:
        raise ModelError(f"`teacher` {missing}. Or choose another teacher", argument="teacher")
    return spec


def _ahead(job: GepaJob | GridJob) -> str:
    """What is going to be asked, in words."""
    from selectllm.report import grid, optimize

    if isinstance(job, GridJob):
        return grid.plan_text(job.ahead())
    return optimize.plan_text(job.ahead())


def _seen_by(job: GepaJob | GridJob) -> str:
    """Who is going to see texts of the pool; a teacher is shown what was decided on them."""
    from selectllm.evaluation.planning.destinations import destinations
    from selectllm.evaluation.planning.schema import destinations_told

    asked = [(each.prompt, each.spec) for each in job.run.selectors]
    if isinstance(job, GepaJob):
        asked.append((job.run.selectors[0].prompt, job.teacher))
    return destinations_told(destinations(asked, [], os.environ))


def _folder(session: Session, suite: Suite, job: GepaJob | GridJob, search: Searching) -> Path:
    """Where the search is kept: as named, or in a folder of its own among the runs."""
    if search.out is not None:
        return session.path(search.out)
    return session.workspace.runs / f"optimize-{suite.name}-{sha256_json(job.manifest)[:12]}"


def _keep(folder: Path, prompts: Path, parent: str, text: str, *, as_version: bool) -> str | None:
    """Keep the winner's file with the search; as a version of `parent`, too: its reference."""
    write_text(folder / "winner.jinja", text)
    if not as_version:
        return None
    name, _, _ = parent.rpartition("@")
    return write_version(PromptLibrary(prompts), prompts, name, text)
