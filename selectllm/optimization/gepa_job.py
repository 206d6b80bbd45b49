"""One `optimize`, carried out: search, both versions on what it saw, confirmation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selectllm.core.jsonl_log import RowLog
from selectllm.data.embedder import Embedder
from selectllm.evaluation.runs.execute import shown_items, tasks
from selectllm.evaluation.runs.run import Run
from selectllm.models.connect import Connections
from selectllm.models.model import ModelSpec
from selectllm.optimization.confirm import Confirmation, confirm, confirmation_run
from selectllm.optimization.gepa_program import Teacher
from selectllm.optimization.gepa_report import PARENT, WINNER, Plan, Seen, package_versions
from selectllm.optimization.gepa_search import PROPOSALS, Found, Runner, Search
from selectllm.optimization.metric import Metric
from selectllm.optimization.progress import Progress, ticks
from selectllm.optimization.schema import SearchAhead
from selectllm.optimization.splits import Splits
from selectllm.optimization.template import Demonstration, demonstration, system_text
from selectllm.optimization.versions import Versions, open_versions
from selectllm.prompting.prompt import Prompt
from selectllm.selection.task import AskSettings


@dataclass(frozen=True)
class Job:
    """What is to be done, checked; `run` has the parent as its only selector."""

    run: Run
    splits: Splits
    plan: Plan
    teacher: ModelSpec
    shared: Connections
    settings: AskSettings
    embedder: Embedder

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


@dataclass(frozen=True)
class Outcome:
    """What came of a job; `confirmation` is None if `winner` is the parent itself."""

    found: Found
    seen: Seen
    winner: Prompt
    confirmation: Confirmation | None


def planned(job: Job) -> SearchAhead:
    """What is going to be asked at most, in decisions; known before anything is."""
    run = confirmation_run(job.run, [replace(job.parent, name="winner")], job.splits.confirmation)
    return SearchAhead(
        parent=job.plan.parent,
        model=job.plan.model,
        teacher=job.plan.teacher,
        splits=job.splits.sizes,
        search=job.plan.budget,
        measuring=2 * len(job.splits.training),
        confirmation=sum(1 for _ in tasks(run)),
    )


def carry_out(job: Job, folder: Path, runner: Runner, progress: Progress) -> Outcome:
    """Do what `folder` does not hold yet: decisions, proposals, and the confirmation's run.

    All models are asked on the event loop of `runner`, then closed.

    Raises ProviderError, BudgetReached, ReplyMissing; what was paid for is kept, and the same
    job carried out again goes on from there.
    """
    teacher = Teacher.open(job.teacher, job.shared, runner.run, job.run.suite.seed)
    try:
        with open_versions(folder / "decisions.jsonl", job.manifest) as log:
            versions = Versions(job.run, job.settings, log)
            with progress("searching") as advance:
                ticking = replace(versions, tick=ticks(advance, job.plan.budget))
                found = _search(job, ticking, teacher, runner, folder)
            seen = _seen(versions, job.splits, found, runner)
        winner = versions.prompt(found.text)
        if winner is job.parent:
            return Outcome(found, seen, winner, None)
        run = confirmation_run(job.run, [winner], job.splits.confirmation)
        made = confirm(run, folder / "confirmation", job.embedder, job.settings, progress)
        return Outcome(found, seen, winner, runner.run(made))
    finally:
        runner.run(teacher.model.close())
        runner.run(job.run.selectors[0].model.close())


def _search(job: Job, versions: Versions, teacher: Teacher, runner: Runner, folder: Path) -> Found:
    with RowLog(folder / "proposals.jsonl", job.manifest, PROPOSALS) as proposals:
        search = Search(
            versions=versions,
            metric=job.metric,
            splits=job.splits,
            teacher=teacher,
            runner=runner,
            budget=job.plan.budget,
            proposals=proposals,
            demonstrations=_demonstrations(job, versions),
        )
        return search.found()


def _demonstrations(job: Job, versions: Versions) -> tuple[Demonstration, ...]:
    """Worked examples, of the first training clusters."""
    utility = job.metric.utility
    return tuple(
        demonstration(job.parent, shown_items(job.run, cluster, 0), versions.asked, utility)
        for cluster in job.splits.training[: job.plan.demonstrations]
    )


def _seen(versions: Versions, splits: Splits, found: Found, runner: Runner) -> Seen:
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
