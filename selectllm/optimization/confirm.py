"""What a search found against its parent, on clusters that the search never saw.

A run like any other: `ab` with more than one order, so that its results.json tells whether picks
depend on the order, where they fall, what they cost and what length alone would capture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selectllm.core.progress import ticks
from selectllm.core.types import Cluster, Decision
from selectllm.data.embedder import Embedder
from selectllm.evaluation.comparison.aa import noise
from selectllm.evaluation.comparison.ab import looks_of, why_fixed
from selectllm.evaluation.comparison.arm_results import arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign, RunInputs
from selectllm.evaluation.comparison.schema import Noise, Verdict
from selectllm.evaluation.runs.execute import decision_keys, evaluate
from selectllm.evaluation.runs.results import results
from selectllm.evaluation.runs.run import Run, check_folder, start_folder
from selectllm.evaluation.runs.schema import RunResults
from selectllm.optimization.progress import Progress
from selectllm.prompting.prompt import Prompt
from selectllm.selection.decision_log import DecisionLog
from selectllm.selection.task import AskSettings

ORDERS = 2


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the confirmation showed.

    `results` are those of results.json. `noise` says how much the parent differs from itself in
    other orders. `asked` are the clusters that were asked; a sequential comparison may end before
    it has asked all of them.
    """

    results: RunResults
    noise: Noise | None
    asked: tuple[Cluster, ...]

    @property
    def verdict(self) -> Verdict:
        """On the one winner against the parent."""
        return self.verdicts[0]

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """On each that was found against the parent."""
        return self.results.verdicts


def confirmation_run(run: Run, found: Sequence[Prompt], clusters: tuple[Cluster, ...]) -> Run:
    """The run that compares each of `found` with the prompt of `run`, on `clusters`.

    The comparison is sequential where that is possible. Several prompts share the error rate by
    Holm's correction. Their references must differ.
    """
    parent = run.selectors[0]
    selectors = parent, *(replace(parent, prompt=prompt) for prompt in found)
    arms = tuple(Arm(each.prompt.ref, each.spec.name) for each in selectors)
    orders = max(ORDERS, run.suite.orders)
    comparing = replace(
        run,
        suite=run.suite.model_copy(update={"orders": orders}),
        clusters=clusters,
        selectors=selectors,
        comparison=ComparisonDesign("ab", arms),
    )
    why = why_fixed(comparing.inputs)
    looks = () if why else looks_of(comparing.inputs)
    return replace(comparing, comparison=ComparisonDesign("ab", arms, looks=looks, why=why))


async def confirm(
    run: Run,
    folder: Path,
    embedder: Embedder,
    settings: AskSettings,
    progress: Progress,
) -> Confirmation:
    """Make the decisions of `run` that `folder` does not hold yet, and write what they show.

    `run` is that of confirmation_run.

    Raises as execute.evaluate does.
    """
    check_folder(folder, run)
    with DecisionLog(folder / "decisions.jsonl", run.manifest) as log:
        start_folder(folder, run)
        with progress("confirming") as advance:
            tick = ticks(advance, sum(1 for _ in decision_keys(run)))
            decisions = await evaluate(run, embedder, settings, log, tick)
    found = results(run.inputs, decisions)
    found.write(folder / "results.json")
    asked = run.inputs.first(run.inputs.asked({decision.cluster for decision in decisions}))
    return Confirmation(found, _noise(run, asked, decisions), tuple(asked.clusters))


def _noise(run: Run, asked: RunInputs, decisions: Sequence[Decision]) -> Noise:
    """What the parent differs from itself by, from one order to another."""
    assert run.comparison is not None
    parent = run.comparison.arms[0]
    alone = replace(asked, comparison=ComparisonDesign("aa", (parent,), by="orders"))
    return noise(alone, arm_results(alone, decisions))
