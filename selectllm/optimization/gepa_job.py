"""A search by GEPA: checked, carried out, both versions on what it saw, confirmed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selectllm.core.jsonl_log import RowLog
from selectllm.core.progress import ticks
from selectllm.core.shown import shortened
from selectllm.data.embedder import Embedder
from selectllm.evaluation.runs.execute import context_needed, decision_keys, shown_items
from selectllm.evaluation.runs.prepare import connected
from selectllm.evaluation.runs.run import Run
from selectllm.models.model import ModelSpec
from selectllm.models.providers.providers import needs_num_ctx
from selectllm.optimization.confirm import Confirmation, confirm, confirmation_run
from selectllm.optimization.gepa_program import ANSWER, Teacher
from selectllm.optimization.gepa_report import (
    PARENT,
    WINNER,
    SearchSettings,
    Seen,
    package_versions,
    report,
    version_file,
)
from selectllm.optimization.gepa_search import (
    PROPOSALS,
    SHOWN,
    Runner,
    Search,
    SearchResult,
    check_budget,
    check_demonstrations,
    default_budget,
)
from selectllm.optimization.loop import LoopRunner
from selectllm.optimization.metric import Metric
from selectllm.optimization.progress import Progress
from selectllm.optimization.schema import SearchAhead, SearchResults
from selectllm.optimization.splits import Splits, splits_of
from selectllm.optimization.template import (
    Demonstration,
    check_rewritable,
    demonstration,
    system_text,
)
from selectllm.optimization.versions import Versions, open_versions
from selectllm.prompting.prompt import Prompt


@dataclass(frozen=True)
class GepaJob:
    """A search by GEPA that was checked and has not begun. `run` has only the parent to ask."""

    run: Run
    splits: Splits
    plan: SearchSettings
    teacher: ModelSpec
    embedder: Embedder

    @classmethod
    def of(
        cls,
        run: Run,
        teacher: ModelSpec,
        embedder: Embedder,
        *,
        budget: int | None = None,
        demonstrations: int = 0,
    ) -> GepaJob:
        """The search that starts from the prompt of `run`, which `teacher` rewrites.

        Raises a UsageError for everything that cannot work, before anything is asked.
        """
        parent = run.selectors[0]
        check_rewritable(parent.prompt)
        splits = splits_of(run)
        if budget is None:
            budget = default_budget(splits)
        check_budget(budget, splits, demonstrations)
        check_demonstrations(demonstrations, splits)
        longest = None
        if needs_num_ctx((parent.spec, teacher)):  # room for the longest that may be shown
            longest = context_needed(run) * (1 + max(SHOWN, demonstrations))
        plan = SearchSettings(
            parent=parent.prompt.ref,
            model=parent.spec.name,
            teacher=teacher.name,
            seed=run.suite.seed,
            budget=budget,
            demonstrations=demonstrations,
        )
        run = connected(run, replace(run.meter.shared, num_ctx=longest))
        return cls(run, splits, plan, teacher, embedder)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the search is made from: equal manifests and replies take the same way."""
        return {
            "run": self.run.manifest,
            "splits_sha256": self.splits.sha256,
            "teacher": self.teacher.fields(),
            "budget": self.plan.budget,
            "demonstrations": self.plan.demonstrations,
            "packages": package_versions(),
        }

    @property
    def parent(self) -> Prompt:
        """What is to be improved."""
        return self.run.selectors[0].prompt

    @property
    def metric(self) -> Metric:
        """What decisions are scored by."""
        assert self.run.headline is not None
        return Metric(self.parent, self.run.headline.values, self.run.suite.picks)

    def ahead(self) -> SearchAhead:
        """How many decisions the search takes at most. It is known before anything is asked."""
        winner = replace(self.parent, name="winner")
        run = confirmation_run(self.run, [winner], self.splits.confirmation)
        return SearchAhead(
            parent=self.plan.parent,
            model=self.plan.model,
            teacher=self.plan.teacher,
            splits=self.splits.sizes,
            search=self.plan.budget,
            measuring=2 * len(self.splits.training),
            confirmation=sum(1 for _ in decision_keys(run)),
        )

    async def carry_out(self, folder: Path, progress: Progress) -> GepaOutcome:
        """Make the decisions, the proposals and the confirmation that `folder` does not hold yet.

        Closes the models. Raises ProviderError, BudgetReached or ReplyMissing. What was paid for is
        kept, and the same job continues from there when it is carried out again.
        """
        runner, seed = LoopRunner(), self.run.suite.seed
        teacher = Teacher.open(self.teacher, self.run.meter.shared, runner.run, seed)
        try:
            found, seen, winner = await runner.in_thread(
                lambda: _searched(self, folder, teacher, runner, progress)
            )
            if winner is self.parent:
                return GepaOutcome(self, found, seen, winner, None)
            run = confirmation_run(self.run, [winner], self.splits.confirmation)
            settings = self.run.settings
            made = confirm(run, folder / "confirmation", self.embedder, settings, progress)
            return GepaOutcome(self, found, seen, winner, await made)
        finally:
            await teacher.model.close()
            await self.run.selectors[0].model.close()


@dataclass(frozen=True)
class GepaOutcome:
    """What came of a job; `confirmation` is None if `winner` is the parent itself."""

    job: GepaJob
    found: SearchResult
    seen: Seen
    winner: Prompt
    confirmation: Confirmation | None

    def results(self) -> SearchResults:
        """The content of optimize.json."""
        job = self.job
        return report(job.run, job.plan, job.splits, self.found, self.seen, self.confirmation)

    def unusable(self) -> str | None:
        """What to say if there is no winner and no proposal could be used; None otherwise."""
        found = self.found
        if self.confirmation is not None or not 0 < found.failed == found.proposals:
            return None
        said = "" if found.reply is None else f" Its last reply was: {shortened(found.reply)}"
        return (
            f"None of {found.proposals} proposals could be used ({found.problem}). The teacher "
            f'{self.job.plan.teacher} was asked for a JSON object such as {{"{ANSWER}": "..."}}.'
            f"{said}"
        )

    def version_file(self) -> str | None:
        """The file of the version that was found; None if the parent did best."""
        if self.confirmation is None:
            return None
        job, verdict = self.job, self.confirmation.verdict
        return version_file(job.plan, job.splits, self.found, self.winner, verdict)


def _searched(
    job: GepaJob, folder: Path, teacher: Teacher, runner: Runner, progress: Progress
) -> tuple[SearchResult, Seen, Prompt]:
    """What was found, what both versions captured of what the search saw, and the better one."""
    with open_versions(folder / "decisions.jsonl", job.manifest) as log:
        versions = Versions(job.run, job.run.settings, log)
        with (
            progress("searching") as advance,
            RowLog(folder / "proposals.jsonl", job.manifest, PROPOSALS) as proposals,
        ):
            search = Search(
                versions=replace(versions, tick=ticks(advance, job.plan.budget)),
                metric=job.metric,
                splits=job.splits,
                teacher=teacher,
                runner=runner,
                budget=job.plan.budget,
                proposals=proposals,
                demonstrations=_demonstrations(job, versions),
            )
            found = search.found()
        seen = _seen(versions, job.splits, found, runner)
    return found, seen, versions.prompt(found.text)


def _demonstrations(job: GepaJob, versions: Versions) -> tuple[Demonstration, ...]:
    """Worked examples, of the first training clusters."""
    utility = job.metric.utility
    return tuple(
        demonstration(job.parent, shown_items(job.run, cluster, 0), versions.asked, utility)
        for cluster in job.splits.training[: job.plan.demonstrations]
    )


def _seen(versions: Versions, splits: Splits, found: SearchResult, runner: Runner) -> Seen:
    """Parent and winner on all clusters that the search saw."""
    texts = {PARENT: system_text(versions.parent.prompt), WINNER: found.text}
    training, validation = (
        {
            version: versions.agreement(runner.run(versions.decide_all(text, clusters)))
            for version, text in texts.items()
        }
        for clusters in (splits.training, splits.validation)
    )
    return Seen(training, validation)
