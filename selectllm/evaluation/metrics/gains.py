"""G of single decisions, for whoever shows cases: as in agreement.py, without its metrics. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from selectllm.core.types import Decision


@dataclass(slots=True)
class DecisionGains:
    """What decisions gain of a utility that has a value for all items they show, `k` picks each."""

    values: Mapping[str, float]
    k: int
    _bounds: dict[int, tuple[float, float, float]] = field(default_factory=dict)

    def of(self, decisions: Iterable[Decision]) -> dict[int, float]:
        """G by cluster, 0 to 1, the mean over its decisions; missing picks as drawn from the rest.

        Clusters in which nothing can be gained are left out: flat ones, and those with at most
        `k` candidates.
        """
        found: dict[int, list[float]] = defaultdict(list)
        for decision in decisions:
            m, picked = len(decision.shown), len(decision.picks)
            low, high, total = self._bounds_of(decision)
            if m > self.k and low < high:
                reached = sum(self.values[item] for item in decision.picks)
                reached += (total - reached) * (self.k - picked) / (m - picked)
                gain = (reached - low) / (high - low)
                found[decision.cluster].append(min(1.0, max(0.0, gain)))
        return {cluster: sum(each) / len(each) for cluster, each in found.items()}

    def _bounds_of(self, decision: Decision) -> tuple[float, float, float]:
        """Of its cluster: the sums of the k worst, of the k best, and of all."""
        if decision.cluster not in self._bounds:
            ordered = sorted(self.values[item] for item in decision.shown)
            ends = sum(ordered[: self.k]), sum(ordered[-self.k :])
            self._bounds[decision.cluster] = (*ends, sum(ordered))
        return self._bounds[decision.cluster]
