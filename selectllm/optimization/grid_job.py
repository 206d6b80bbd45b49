"""A search over a grid: checked, carried out by successive halving, its finalists confirmed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from selectllm.core.progress import ticks
from selectllm.core.types import Cluster
from selectllm.data.embedder import Embedder
from selectllm.evaluation.runs.execute import context_needed
from selectllm.evaluation.runs.prepare import connected
from selectllm.evaluation.runs.run import Run
from selectllm.models.providers.providers import needs_num_ctx
from selectllm.optimization import grid_report
from selectllm.optimization.confirm import Confirmation, confirm, confirmation_run
from selectllm.optimization.grid_schedule import Schedule, default_budget, schedule
from selectllm.optimization.grid_search import Grid, Halved, halve
from selectllm.optimization.progress import Progress
from selectllm.optimization.schema import GridPlan, GridResults
from selectllm.optimization.splits import Splits, splits_of
from selectllm.optimization.versions import Versions, open_versions


@dataclass(frozen=True)
class GridJob:
    """A search over a grid that was checked and has not begun. `run` has only the parent to ask."""

    run: Run
    splits: Splits
    grid: Grid
    schedule: Schedule
    budget: int
    embedder: Embedder

    @classmethod
    def of(cls, run: Run, embedder: Embedder, *, budget: int | None = None) -> GridJob:
        """The search over the variables of the prompt of `run`.

        Raises a UsageError for whatever cannot work, before anything is asked.
        """
        grid = Grid.of(run.selectors[0].prompt)
        splits = splits_of(run)
        grid.check(run, run.clusters)
        settings, clusters = len(grid.settings), len(splits.training + splits.validation)
        budget = budget or default_budget(settings, clusters)
        planned = schedule(settings, clusters, budget)
        return cls(_roomy(run, grid), splits, grid, planned, budget, embedder)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the search is made from: equal manifests and replies take the same way."""
        return {
            "run": self.run.manifest,
            "splits_sha256": self.splits.sha256,
            "grid": [prompt.sha256 for prompt in self.grid.prompts],
            "rounds": [asdict(planned) for planned in self.schedule.rounds],
        }

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """What the search may ask, in the order in which it does."""
        return self.splits.training + self.splits.validation

    def ahead(self) -> GridPlan:
        """What will be asked. It is known before anything is asked."""
        return grid_report.plan(self)

    async def carry_out(self, folder: Path, progress: Progress) -> GridOutcome:
        """Make the decisions and the confirmation that `folder` does not hold yet.

        Closes the model. Raises ProviderError, BudgetReached or ReplyMissing. What was paid for is
        kept, and the same job continues from there when it is carried out again.
        """
        settings = self.run.settings
        try:
            with open_versions(folder / "decisions.jsonl", self.manifest) as log:
                with progress("searching") as advance:
                    tick = ticks(advance, self.schedule.decisions)
                    versions = Versions(self.run, settings, log, tick)
                    found = await halve(versions, self.grid, self.clusters, self.schedule)
            if not found.finalists:
                return GridOutcome(self, found, None)
            prompts = [self.grid.prompts[number] for number in found.finalists]
            run = confirmation_run(self.run, prompts, self.splits.confirmation)
            made = confirm(run, folder / "confirmation", self.embedder, settings, progress)
            return GridOutcome(self, found, await made)
        finally:
            await self.run.selectors[0].model.close()


@dataclass(frozen=True)
class GridOutcome:
    """What came of a job; `confirmation` is None without finalists."""

    job: GridJob
    found: Halved
    confirmation: Confirmation | None

    def results(self) -> GridResults:
        """The content of optimize.json."""
        return grid_report.report(self)

    def version_file(self) -> str | None:
        """The file of the setting that was found; None if the defaults did best."""
        number = grid_report.winner(self)
        return None if number is None else grid_report.version_file(self, number)


def _roomy(run: Run, grid: Grid) -> Run:
    """The run; in Ollama with room for the longest that any setting shows."""
    parent = run.selectors[0]
    longest = None
    if needs_num_ctx([parent.spec]):
        longest = max(
            context_needed(replace(run, selectors=(replace(parent, prompt=prompt),)))
            for prompt in grid.prompts
        )
    return connected(run, replace(run.meter.shared, num_ctx=longest))
