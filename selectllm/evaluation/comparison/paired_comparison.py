"""Two sides of a run held against each other by the utility that decides. Pure.

What every verdict rests on, whatever its rule: the paired differences, what stands beside them,
and how many more clusters would settle an open question.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from selectllm.core.verdict_words import VerdictKind
from selectllm.evaluation.comparison.arm_results import VALID, ArmResult
from selectllm.evaluation.comparison.rated_differences import differing, paired_ratings
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.comparison.schema import (
    BettingBounds,
    DecidingUtility,
    Design,
    Intervals,
    Look,
    Needed,
    OtherUtility,
    Shares,
    Verdict,
)
from selectllm.evaluation.comparison.verdict import Bounds, Ruling
from selectllm.evaluation.metrics.agreement import Agreement
from selectllm.evaluation.metrics.consistency import overlap
from selectllm.stats.betting import least_clusters
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import Estimate
from selectllm.stats.paired import FEW_CLUSTERS, FEW_NONZERO, Paired, paired
from selectllm.stats.power import clusters_needed, clusters_to_decide

VALID_DROP = 0.05
ROUNDING = 1e-9  # 1 - 0.95 is not quite 0.05
RATED = ("human", "model")  # kinds of utility whose values somebody is paid for


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
        """Pair two sides. Raises UtilityError if ratings of differing items are missing."""
        found = _paired(inputs, a, b)
        return cls(inputs, a, b, found, None if found is None else found.estimate())

    @property
    def differing_only(self) -> bool:
        """Whether ratings of the differing items alone decide."""
        comparison = self.inputs.comparison
        return comparison is not None and comparison.differing

    @property
    def margin(self) -> float | None:
        """The gate's margin in the unit of report; None where nothing can be equivalent."""
        gate, utility = self.inputs.gate, self.inputs.headline
        if not self.differing_only:
            return gate.margin
        if gate.rating_margin is None or utility is None or utility.range is None:
            return None
        return gate.rating_margin / (utility.range[1] - utility.range[0])

    def captured(self, side: ArmResult) -> Interval | None:
        """What a side captured of the deciding utility; None where that is not known."""
        utility = self.inputs.headline
        return (
            None if utility is None or self.differing_only else side.measured[utility.name].captured
        )

    def nothing(self) -> Ruling:
        """The ruling where `estimate` is None, with the reason."""
        if self.inputs.headline is None:
            return Ruling(
                "inconclusive",
                "there is no utility, so how good the picks are is not known; rate the items in "
                "which the arms differ (selectllm utility ask RUN --differing)",
            )
        if self.paired is None:
            flat = self._flat()
            why = f"{flat} have one utility for all their items" if flat else "all are picked whole"
            return Ruling("inconclusive", f"no cluster can tell good picks from bad ones: {why}")
        return Ruling("inconclusive", "one cluster (or group of them) says nothing of others")

    def rarer(self) -> Ruling | None:
        """What valid replies say against `b`: None unless they are rarer by more than VALID_DROP.

        A model that answers nothing picks as random ones do, which a utility alone may not hold
        against it. The word is `fail` where the drop is no accident, else `inconclusive`.
        """
        drops = self.valid_drops()
        if drops is None or (drop := float(drops.values.mean())) <= VALID_DROP + ROUNDING:
            return None
        text = f"valid replies are {drop:.1%} rarer"
        if drops.above_zero(self.inputs.gate.alpha):
            return Ruling("fail", text)
        return Ruling("inconclusive", f"{text}, which so few clusters may show by chance")

    def valid_drops(self) -> Paired | None:
        """By cluster, how much rarer valid replies are in b, in [-1, 1]; None without decisions."""
        ours, theirs = _valid_shares(self.a), _valid_shares(self.b)
        clusters = [each for each in self.inputs.order if each in ours and each in theirs]
        if not clusters:
            return None
        groups = self.inputs.groups
        return Paired(
            values=np.array([ours[cluster] - theirs[cluster] for cluster in clusters]),
            headroom=np.ones(len(clusters)),
            groups=None if groups is None else tuple(groups[cluster] for cluster in clusters),
        )

    def verdict(self, kind: VerdictKind, ruling: Ruling, **extra: Any) -> Verdict:
        """The verdict of `ruling`, with everything that stands beside it.

        `extra`: fields of Verdict that only some kinds have, and `looks`, those taken so far.
        """
        gate, utility = self.inputs.gate, self.inputs.headline
        captured = self.captured(self.a)
        margin = self.margin
        lift = captured.estimate if captured else 0.0
        notes = (*ruling.notes, *extra.pop("notes", ()))
        return Verdict(
            kind=kind,
            word=ruling.word,
            reason=ruling.reason,
            a=self.a.name,
            b=self.b.name,
            alpha=gate.alpha,
            margin=margin,
            utility=None
            if utility is None
            else DecidingUtility(name=utility.name, **utility.origin),
            unit="range" if self.differing_only else "captured",
            margin_share=margin / lift if margin and lift > 0 else None,
            clusters=len(self.paired) if self.paired else 0,
            flat_clusters=self._flat(),
            nonzero=self.paired.nonzero if self.paired else 0,
            captured=Intervals(a=captured, b=self.captured(self.b)),
            betting=_outer(ruling.betting),
            design=self._design(extra.pop("looks", ())),
            others=tuple(self._others()),
            valid_rate=Shares(a=self.a.valid_rate, b=self.b.valid_rate),
            overlap=overlap(self.a.decisions, self.b.decisions, self.inputs.picks),
            notes=notes,
            **extra,
        )

    def _design(self, looks: Sequence[Look]) -> Design:
        """How the verdict was come by, and the calls that stopping early has saved."""
        comparison = self.inputs.comparison
        assert comparison is not None
        asked = len(self.inputs.clusters)
        calls = self.a.calls + self.b.calls
        cap = comparison.looks[-1][0] if comparison.looks else asked
        return Design(
            kind=comparison.design,
            why=comparison.why,
            cap=cap,
            looks=tuple(looks),
            calls=calls,
            calls_saved=round(calls * (cap - asked) / asked),
        )

    def _flat(self) -> int:
        utility = self.inputs.headline
        if utility is None or self.differing_only:
            return 0
        return self.b.measured[utility.name].flat_clusters

    def _others(self) -> Iterable[OtherUtility]:
        """The other utilities: reported, never chosen from."""
        for utility in self.inputs.covering:
            if utility is self.inputs.headline:
                continue
            a, b = (side.measured.get(utility.name) for side in (self.a, self.b))
            found = a and b and _paired_gains(self.inputs, a, b)
            estimate = found.estimate() if found else None
            level = 1 - self.inputs.gate.alpha
            yield OtherUtility(
                utility=utility.name,
                **utility.origin,
                difference=None if estimate is None else estimate.interval(level),
            )

    def needed(self, targets: Iterable[int | None]) -> Needed | None:
        """What the least of `targets` (counted clusters) takes beyond what is there.

        None if no number of clusters would do.
        """
        counts = [target for target in targets if target is not None]
        found = self.paired
        if not counts or found is None:
            return None
        enough = max(min(counts), FEW_CLUSTERS, self._until_enough_differ(found))
        asked = len(self.inputs.clusters)
        more = math.ceil(max(1, enough - len(found)) * asked / len(found))
        calls = (self.a.calls + self.b.calls) / asked
        costs = (self.a.cost_usd, self.b.cost_usd)
        per_cluster = None if None in costs else sum(cost or 0.0 for cost in costs) / asked
        ratings = self._ratings_per_cluster()
        return Needed(
            clusters=more,
            calls=math.ceil(more * calls),
            ratings=None if ratings is None else math.ceil(more * ratings),
            usd=None if per_cluster is None else more * per_cluster,
        )

    def _until_enough_differ(self, found: Paired) -> int:
        """Clusters by which FEW_NONZERO of them differ; or that the betting bound needs."""
        if found.nonzero:
            return math.ceil(FEW_NONZERO * len(found) / found.nonzero)
        margin = self.margin
        least = margin and min(1.0, margin * found.scale)
        return least_clusters(least, self.inputs.gate.alpha) if least else 0

    def _ratings_per_cluster(self) -> float | None:
        utility = self.inputs.headline
        if utility is None or utility.kind not in RATED:
            return None
        clusters = self.inputs.clusters
        if not self.differing_only:
            return sum(len(cluster.members) for cluster in clusters) / len(clusters)
        different = differing(self.a.decisions, self.b.decisions, self.inputs.picks)
        return sum(len(items) for items in different.values()) / len(clusters)

    def clusters_to_decide(self, alpha: float) -> int | None:
        """Counted clusters that show, with 80 % power, what was seen or that it is small."""
        if self.paired is None or self.estimate is None:
            return None
        sd = self.estimate.std_error * math.sqrt(len(self.paired))
        return clusters_to_decide(self.estimate.mean, self.margin, sd, alpha)

    def clusters_for(self, effect: float, alpha: float, sides: int) -> int | None:
        """Counted clusters that show `effect` (unit of report) with 80 % power; None if never."""
        if self.paired is None or self.estimate is None or effect <= 0:
            return None
        sd = self.estimate.std_error * math.sqrt(len(self.paired))
        return clusters_needed(effect, sd, alpha, sides=sides)


def _valid_shares(side: ArmResult) -> dict[int, float]:
    """By cluster, the share of the decisions that are valid."""
    valid: dict[int, list[bool]] = defaultdict(list)
    for decision in side.decisions:
        valid[decision.cluster].append(decision.status in VALID)
    return {cluster: float(np.mean(each)) for cluster, each in valid.items()}


def _outer(bounds: Bounds | None) -> BettingBounds | None:
    return None if bounds is None else BettingBounds(low=bounds.low, high=bounds.high)


def _paired(inputs: RunInputs, a: ArmResult, b: ArmResult) -> Paired | None:
    utility = inputs.headline
    if utility is None:
        return None
    if inputs.comparison and inputs.comparison.differing:
        different = differing(a.decisions, b.decisions, inputs.picks)
        return paired_ratings(different, utility, inputs.picks, inputs.order, inputs.groups)
    return _paired_gains(inputs, a.measured[utility.name], b.measured[utility.name])


def _paired_gains(inputs: RunInputs, a: Agreement, b: Agreement) -> Paired | None:
    return paired(a.gain, b.gain, b.chance, inputs.order, inputs.groups)
