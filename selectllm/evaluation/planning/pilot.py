"""A pilot: a finished run that shows how two arms differ, and what their calls take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np

from selectllm.core.errors import RunError
from selectllm.core.types import Decision
from selectllm.evaluation.comparison.arm_results import ArmResult, arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.rated_differences import differing
from selectllm.evaluation.comparison.run_inputs import RunInputs, read_run_inputs
from selectllm.evaluation.planning.forecast import pace_of
from selectllm.evaluation.planning.reach import Lifts
from selectllm.evaluation.planning.schema import CallPace, PlannedSpread
from selectllm.selection.decision_log import read_log
from selectllm.stats.assisted import AssistedPaired
from selectllm.stats.paired import Paired


@dataclass(frozen=True)
class Pilot:
    """A run that was made. `arms`: those that are held against each other, None with one pair."""

    folder: Path
    inputs: RunInputs
    sides: dict[Arm, ArmResult]
    arms: tuple[Arm, Arm] | None

    def pace(self, prompt: str, model: str) -> CallPace | None:
        """What the calls of a pair took; else those of its model under any prompt; else None."""
        same_pair = self.sides.get(Arm(prompt, model))
        same_model = [side for arm, side in self.sides.items() if arm.model == model]
        for sides in ([same_pair] if same_pair else [], same_model):
            decisions = [decision for side in sides for decision in side.decisions]
            if pace := pace_of(decisions, "pilot"):
                return pace
        return None

    def spread(self) -> PlannedSpread | None:
        """How far d strays between clusters; None where the pilot cannot say.

        With groups, as if the clusters were as many independent ones: their larger standard
        error is in it.
        """
        comparison = self._comparison()
        if comparison is None or comparison.paired is None or comparison.estimate is None:
            return None
        sd = comparison.estimate.std_error * math.sqrt(len(comparison.paired))
        if isinstance(comparison.paired, AssistedPaired):
            sd = comparison.paired.sd  # what the judge takes off comes later
        return PlannedSpread(
            sd=sd, scale=comparison.paired.scale, source="pilot", clusters=len(comparison.paired)
        )

    def lifts(self) -> Lifts | None:
        """What both arms gain over random picks, by cluster; None where the pilot cannot say."""
        comparison, utility = self._comparison(), self.inputs.headline
        if comparison is None or comparison.paired is None or utility is None:
            return None
        if self.inputs.judge is not None:
            return None
        a, b = (side.measured[utility.name] for side in (comparison.a, comparison.b))
        clusters = [cluster for cluster in self.inputs.order if cluster in b.chance]
        if comparison.estimate is None:
            return None
        incumbent, newcomer = (
            np.array([side.gain[c] - side.chance[c] for c in clusters]) / comparison.paired.scale
            for side in (a, b)
        )
        return Lifts(incumbent, newcomer, comparison.paired.groups)

    def differing_items(self) -> float | None:
        """Items per cluster that exactly one of the arms picked; None with one pair."""
        if self.arms is None:
            return None
        a, b = (self.sides[arm] for arm in self.arms)
        different = differing(a.decisions, b.decisions, self.inputs.picks)
        return fmean(len(items) for items in different.values()) if different else None

    def paired(self) -> Paired | None:
        """The differences of its arms; None where the pilot cannot say."""
        comparison = self._comparison()
        return None if comparison is None else comparison.paired

    def _comparison(self) -> PairedComparison | None:
        inputs = self.inputs
        covered = inputs.headline in inputs.covering or inputs.judge is not None
        if self.arms is None or not covered:
            return None
        return PairedComparison.of(self.inputs, *(self.sides[arm] for arm in self.arms))


def read_pilot(folder: Path, arms: Sequence[Arm], utility: str | None) -> Pilot:
    """The pilot in run folder `folder`, its arms those named in `arms` or its first two pairs.

    `utility`: decides, where the pilot has it. Raises RunError if the run is not finished, or
    has decisions that could not be made.
    """
    inputs = read_run_inputs(folder)
    if not (folder / "results.json").exists():
        raise RunError(f"{folder}: the run is not finished. Run the same command again to continue")
    decisions = read_log(folder / "decisions.jsonl").latest.values()
    if failed := sum(decision.status == "error" for decision in decisions):
        raise RunError(
            f"{folder}: {failed} decisions of the run could not be made. Run the same command "
            "again to make them"
        )
    inputs = _of_what_was_asked(inputs, list(decisions))
    if utility in [rated.name for rated in inputs.utilities]:
        judge = None if inputs.gate.assisted_by == utility else inputs.gate.assisted_by
        gate = inputs.gate.model_copy(update={"utility": utility, "assisted_by": judge})
        inputs = replace(inputs, gate=gate)
    asked = {cluster.id for cluster in inputs.clusters}
    sides = arm_results(inputs, (decision for decision in decisions if decision.cluster in asked))
    return Pilot(folder, inputs, sides, _arms(inputs, sides, arms))


def _of_what_was_asked(inputs: RunInputs, decisions: Sequence[Decision]) -> RunInputs:
    """Without the clusters that a sequential comparison did not come to."""
    asked = {decision.cluster for decision in decisions if decision.model}
    if inputs.comparison is None or inputs.comparison.design == "fixed" or not asked:
        return inputs
    clusters = tuple(cluster for cluster in inputs.clusters if cluster.id in asked)
    return replace(inputs, clusters=clusters)


def _arms(
    inputs: RunInputs, sides: dict[Arm, ArmResult], wanted: Sequence[Arm]
) -> tuple[Arm, Arm] | None:
    named = [arm for arm in wanted if arm in sides]
    pairs = named if len(named) >= 2 else [Arm(*pair) for pair in inputs.pairs]
    return (pairs[0], pairs[1]) if len(pairs) >= 2 else None
