"""Paired differences that people rated in a sample of clusters, helped by a judge. Pure.

What `Paired` is to ratings of every cluster, with prediction_powered.py for the estimate. The word
must hold as well if people had rated one more cluster, in which it went as badly as it can and the
judge saw nothing unusual. How often that errs is simulated, for judges that see nothing of rare
losses, half of them, or the opposite: eval/benchmarks/assisted.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from selectllm.core.arrays import Floats, Ints
from selectllm.stats.intervals import Estimate
from selectllm.stats.paired import Paired
from selectllm.stats.power import least_integer
from selectllm.stats.prediction_powered import AssistedMean, prediction_powered


@dataclass(frozen=True)
class AssistedPaired(Paired):
    """`values` and `headroom`: of the sampled clusters, by people's ratings; 0 in a flat one.

    `groups`: of the sampled clusters. `judge`: d of all clusters by the judge's ratings, shape
    (N,), 0 where these tell nothing. `sample`: the positions of the sampled ones among them.
    `all_groups`: of all clusters.
    """

    judge: Floats = field(default_factory=lambda: np.zeros(0))
    sample: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    all_groups: tuple[Hashable, ...] | None = None

    @cached_property
    def mean(self) -> AssistedMean:
        """Of d, before it is put into the unit of report."""
        return prediction_powered(self.values, self.judge, self.sample, self.all_groups)

    def first(self, clusters: int) -> Paired:
        """Raises NotImplementedError: an assisted comparison is never looked at early."""
        raise NotImplementedError("assisted comparisons have a fixed design")

    def estimate(self) -> Estimate | None:
        """The mean of d in the unit of report; None below two sampled clusters (or groups)."""
        found = self._of_ratio.estimate()
        return None if found is None else self._reported(found)

    def p_sign_flip(self) -> float | None:
        """None: the sign of a corrected difference could not as well be the other."""
        return None

    def with_one_more(self, value: float) -> Estimate:
        """As `Paired.with_one_more`, of one more sampled cluster that the judge finds ordinary."""
        return self._reported(self._of_ratio.with_one_more(value))

    @cached_property
    def _of_ratio(self) -> AssistedMean:
        """`mean`, its error that of the ratio to what there was to gain where that is known badly.

        Which share of the clusters people find flat is estimated as well. To first order the ratio
        of the means of d and headroom errs as the mean of d less ratio * (headroom - its mean)
        does, the delta method of intervals.ratio_estimate; the mean stays what it is.
        """
        found = self.mean.estimate()
        if found is None or self.headroom.all():
            return self.mean
        beyond = found.mean / self.scale * (self.headroom - self.scale)
        return replace(self.mean, human=self.mean.human - beyond)

    def _reported(self, found: Estimate) -> Estimate:
        return replace(
            found, mean=found.mean / self.scale, std_error=found.std_error / abs(self.scale)
        )


def rated_needed(
    needed: Callable[[float], int | None], sd: float, correlation: float, judged: int
) -> int | None:
    """The fewest of `judged` clusters that people have to rate; None if all are not enough.

    `needed`: how many they would have to rate without the judge, by the standard deviation of what
    a cluster says. `sd`: that of their own ratings' d. `correlation`: of these with the judge's;
    below 0 the judge is of no use. With n of N rated, one says as much as if its variance were
    lower by correlation^2 * (1 - n / N).
    """
    helps = max(0.0, correlation) ** 2

    def enough(rated: int) -> bool:
        wanted = needed(sd * math.sqrt(1 - helps * (1 - rated / judged)))
        return wanted is not None and wanted <= rated

    return least_integer(enough, start=2) if judged >= 2 and enough(judged) else None


def random_correlation(utilities: Iterable[tuple[Floats, Floats]], k: int) -> float | None:
    """The correlation of d, of two pickers that draw k at random, by people's and by a judge's.

    `utilities`: what both say of the items of each cluster. Sums of k drawn without replacement
    have the covariance k cov (m - k) / (m - 1), each over the range that its own utility leaves. A
    cluster that is flat by one of them has no covariance. None where no cluster decides anything.
    """
    human_squares, judge_squares, products = 0.0, 0.0, 0.0
    for human, judge in utilities:
        m = len(human)
        if m <= k:
            continue
        factor = k * (m - k) / (m - 1)
        ours, theirs = (_scaled(each, k) for each in (human, judge))
        human_squares += factor * float(np.var(ours))
        judge_squares += factor * float(np.var(theirs))
        away = (ours - ours.mean()) * (theirs - theirs.mean())
        products += factor * float(away.mean())
    if human_squares == 0 or judge_squares == 0:
        return None
    return products / math.sqrt(human_squares * judge_squares)


def _scaled(values: Floats, k: int) -> Floats:
    """In shares of what k picks can differ by; 0 in a flat cluster."""
    ascending = np.sort(values)
    span = float(ascending[-k:].sum() - ascending[:k].sum())
    scaled: Floats = values / span if span > 0 else np.zeros_like(values)
    return scaled
