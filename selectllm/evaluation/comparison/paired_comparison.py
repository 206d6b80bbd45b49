"""Two arms of a run, paired cluster by cluster under the utility that decides. Pure data.

What every verdict rests on, whatever its rule. What may hold a word back is in guards.py, what
would settle an open question in advice.py, and what a verdict tells beside its word in verdict.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from selectllm.evaluation.comparison.arm_results import ArmResult
from selectllm.evaluation.comparison.assisted import assisted_gains, assisted_ratings, lift
from selectllm.evaluation.comparison.rated_differences import differing, paired_ratings
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.metrics.agreement import Agreement
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import Estimate
from selectllm.stats.paired import Paired, paired


@dataclass(frozen=True)
class PairedComparison:
    """`b` against `a`. `paired` and `estimate` (of its mean) are None where there is nothing."""

    inputs: RunInputs
    a: ArmResult
    b: ArmResult
    paired: Paired | None
    estimate: Estimate | None

    @classmethod
    def of(cls, inputs: RunInputs, a: ArmResult, b: ArmResult) -> PairedComparison:
        """Pair two arms. Raises UtilityError if ratings of differing items are missing."""
        differences = _paired(inputs, a, b)
        estimate = None if differences is None else differences.estimate()
        return cls(inputs, a, b, differences, estimate)

    @property
    def differing_only(self) -> bool:
        """Whether ratings of the differing items alone decide."""
        design = self.inputs.comparison
        return design is not None and design.differing

    @property
    def margin(self) -> float | None:
        """The gate's margin in the unit of report; None where nothing can be equivalent."""
        gate, utility = self.inputs.gate, self.inputs.headline
        if not self.differing_only:
            return gate.margin
        if gate.rating_margin is None or utility is None or utility.range is None:
            return None
        return gate.rating_margin / (utility.range[1] - utility.range[0])

    @property
    def flat_clusters(self) -> int:
        """Clusters left out, whose items have all the same utility."""
        utility = self.inputs.headline
        if utility is None or self.differing_only:
            return 0
        return _deciding(self.inputs, self.b).flat_clusters

    def captured(self, arm: ArmResult) -> Interval | None:
        """What an arm captured of the deciding utility; None where that is not known."""
        utility = self.inputs.headline
        if utility is None or self.differing_only:
            return None
        if self.inputs.judge is None:
            return arm.measured[utility.name].captured
        found = assisted_gains(self.inputs, arm, arm, lift)
        estimate = None if found is None else found.estimate()
        return None if estimate is None else estimate.interval()


def _paired(inputs: RunInputs, a: ArmResult, b: ArmResult) -> Paired | None:
    utility = inputs.headline
    if utility is None:
        return None
    if inputs.comparison and inputs.comparison.differing:
        different = differing(a.decisions, b.decisions, inputs.picks)
        if inputs.judge is not None:
            return assisted_ratings(inputs, different)
        return paired_ratings(different, utility, inputs.picks, inputs.order, inputs.groups)
    if inputs.judge is not None:
        return assisted_gains(inputs, a, b)
    return paired_gains(inputs, a.measured[utility.name], b.measured[utility.name])


def _deciding(inputs: RunInputs, arm: ArmResult) -> Agreement:
    """How the arm agrees with the utility that decides, in the clusters that have it."""
    assert inputs.headline is not None
    if arm.sampled is not None:
        return arm.sampled
    return arm.measured[inputs.headline.name]


def paired_gains(inputs: RunInputs, a: Agreement, b: Agreement) -> Paired | None:
    """The differences in what two arms gain of one utility; None if no cluster can tell."""
    return paired(a.gain, b.gain, b.chance, inputs.order, inputs.groups)
