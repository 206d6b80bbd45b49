"""Versions of one prompt, by system text or by settings: decided once each, and logged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from selectllm.core.jsonl_log import RowFormat, RowLog
from selectllm.core.types import Cluster, Decision
from selectllm.evaluation.metrics.agreement import Agreement, Choice, agreement
from selectllm.evaluation.runs.execute import shown_items
from selectllm.evaluation.runs.run import Run
from selectllm.optimization.template import with_system
from selectllm.prompting.prompt import Prompt
from selectllm.selection.ask import decide
from selectllm.selection.concurrency import run_all
from selectllm.selection.decision_log import decision_from_row, decision_row
from selectllm.selection.selector import Selector
from selectllm.selection.task import AskSettings, Task, with_ballots

VersionKey = tuple[str, int]
"""(sha256 of the prompt, cluster): drafts of one prompt share their reference."""

VERSIONS: RowFormat[VersionKey, Decision] = RowFormat(
    "decision",
    lambda decision: (decision.prompt_sha256 or "", decision.cluster),
    decision_row,
    decision_from_row,
)


def open_versions(path: Path, manifest: dict[str, Any]) -> RowLog[VersionKey, Decision]:
    """The log of a search's decisions. Raises RunError if it is another search's."""
    return RowLog(path, manifest, VERSIONS)


@dataclass(frozen=True)
class Versions:
    """Decides clusters of `run` by versions of its first selector's prompt.

    Each cluster is shown in its first order. `tick` hears of every decision, known or new.
    """

    run: Run
    settings: AskSettings
    log: RowLog[VersionKey, Decision]
    tick: Callable[[Decision], None] = lambda decision: None

    @property
    def parent(self) -> Selector:
        """What every version is a version of, run through the model of all."""
        return self.run.selectors[0]

    @property
    def asked(self) -> int:
        """The picks that one question asks for: log-probabilities rank by the best one alone."""
        return 1 if self.parent.spec.answer == "logprobs" else self.run.suite.picks

    def prompt(self, text: str) -> Prompt:
        """The version with the system text `text`."""
        return _version(self.parent.prompt, text)

    async def decide(self, text: str, cluster: Cluster) -> Decision:
        """`decide_by` the version with `text`."""
        return await self.decide_by(self.prompt(text), cluster)

    async def decide_by(self, prompt: Prompt, cluster: Cluster) -> Decision:
        """What the version `prompt` picks in `cluster`. It is asked once and remembered.

        Raises ProviderError, BudgetReached or ReplyMissing as the model does, because a failure is
        not a decision.
        """
        key = prompt.sha256, cluster.id
        if key in self.log:
            decision = self.log[key]
        else:
            decision = await decide(self._task(prompt, cluster), self.settings)
            self.log.append(decision)
        self.tick(decision)
        return decision

    async def decide_all(self, text: str, clusters: Sequence[Cluster]) -> list[Decision]:
        """`decide` on every cluster, in their order; raises after what is in flight."""
        made: dict[int, Decision] = {}

        async def one(cluster: Cluster) -> None:
            made[cluster.id] = await self.decide(text, cluster)

        await run_all(clusters, one, self.settings.concurrency)
        return [made[cluster.id] for cluster in clusters]

    def agreement(self, decisions: Sequence[Decision]) -> Agreement:
        """Of `decisions` with the utility that decides."""
        utility = self.run.headline
        assert utility is not None
        choices = [Choice.of(decision) for decision in decisions]
        return agreement(choices, utility.values, self.run.suite.picks, self.run.inputs.groups)

    def _task(self, prompt: Prompt, cluster: Cluster) -> Task:
        show = partial(shown_items, self.run, cluster)
        task = Task(
            selector=replace(self.parent, prompt=prompt),
            cluster=cluster.id,
            shown=show(0),
            k=self.run.suite.picks,
            seed=self.run.suite.seed,
        )
        return with_ballots(task, show)


@lru_cache(maxsize=64)
def _version(parent: Prompt, text: str) -> Prompt:
    return with_system(parent, text)
