"""A mean of human ratings, helped by a judge's ratings of many more clusters. Pure.

Prediction-powered inference (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic 2023, arXiv
2301.09633) with power tuning (Angelopoulos, Duchi and Zrnic 2023, arXiv 2311.01453; "PPI++"). With
H what people say of a cluster, J what the judge says of it, n clusters of N drawn at random for
people and all N rated by the judge, the estimate is

    mean of H over the n + tuning * (mean of J over the N - mean of J over the n).

The target is the mean over all clusters that might be asked (the superpopulation), as everywhere
else in our rules, not that over these N: with all N rated by people the interval is theirs alone.
Whatever the judge says, the estimate has the mean of H; a bad judge costs power, never validity.

The tuning of a fold of the n is the slope of H on J in the other folds, within [0, 1] (cross
fitting: a cluster never tunes its own correction). Folds are drawn by a seed. With M = N - n and
weight = tuning * M / N the estimate is mean(H - weight * J) over the n plus weight * mean(J) over
the M, two independent samples, so that its interval is that of Welch 1947 with Satterthwaite's
degrees of freedom. With groups it is the sandwich CR1 over what each group adds to the error, on
one degree less than the groups in which people rated.

Before anything else J is drawn in to what the judge says in all but a share TAIL / n of the N
clusters at each end. What lies beyond, the sample holds three times on average and might not hold
at all: a judge that is far off exactly where people see a rare and large loss would otherwise move
the estimate by what no human rating has tested. The ends are found from all N alone, which clusters
people rate has no part in them, so the estimate keeps its mean. eval/benchmarks/assisted.py shows
what would happen without.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from selectllm.core.arrays import Floats, Ints
from selectllm.stats.intervals import Estimate, group_sums

FOLDS = 10
TAIL = 3.0
"""Sampled clusters that lie, on average, beyond each end of what the judge may say."""


@dataclass(frozen=True)
class AssistedMean:
    """What an estimate is made of.

    `human`: H of the n sampled clusters, in the order of the sample. `judge`: J of all N, drawn
    in. `sample`: the positions of the n among the N, distinct. `tuning`: of each sampled cluster,
    in [0, 1]; 0: the judge is not asked. `groups`: a label for each of the N; None without groups.
    """

    human: Floats
    judge: Floats
    sample: Ints
    tuning: Floats
    groups: tuple[Hashable, ...] | None = None

    @cached_property
    def rest(self) -> Ints:
        """The positions of the clusters that the judge alone rated."""
        alone = np.ones(len(self.judge), dtype=bool)
        alone[self.sample] = False
        return np.flatnonzero(alone)

    @property
    def mean_tuning(self) -> float:
        """The tuning on average over the sampled clusters."""
        return float(self.tuning.mean())

    @cached_property
    def weight(self) -> float:
        """What the judge's mean over the clusters that it alone rated counts, in [0, 1)."""
        return self.mean_tuning * len(self.rest) / len(self.judge)

    @cached_property
    def corrected(self) -> Floats:
        """By sampled cluster, what it says of the mean: H less what the judge is out by there."""
        if len(self.rest) == 0:
            return self.human
        weights = self.tuning * (len(self.rest) / len(self.judge))
        beside = self.judge[self.sample] - self.judge[self.rest].mean()
        corrected: Floats = self.human - weights * beside
        return corrected

    @property
    def correlation(self) -> float | None:
        """Pearson's, of H and J over the sampled clusters; None where one does not vary."""
        judge = self.judge[self.sample]
        if len(judge) < 2 or np.ptp(judge) == 0 or np.ptp(self.human) == 0:
            return None
        return float(np.corrcoef(self.human, judge)[0, 1])

    @property
    def saved(self) -> float | None:
        """The share of human ratings that the judge saves: of 1 - its variance by that without it.

        As many ratings less give the human ratings alone the same standard error. Below 0 where
        the judge is of no use and its tuning costs a little; None below two sampled clusters, and
        where all say the same.
        """
        assisted = self.estimate()
        if assisted is None or np.ptp(self.human) == 0:
            return None
        alone = AssistedMean(
            self.human, self.judge, self.sample, np.zeros_like(self.tuning), self.groups
        ).estimate()
        assert alone is not None
        return 1 - (assisted.std_error / alone.std_error) ** 2 if alone.std_error else None

    def estimate(self) -> Estimate | None:
        """The estimate with its standard error; None below two sampled clusters (or groups)."""
        if len(self.human) < 2:
            return None
        if self.groups is not None:
            return self._by_groups(self.corrected, [self.groups[place] for place in self.sample])
        return self._welch(self.corrected)

    def with_one_more(self, value: float) -> Estimate:
        """The estimate, had people rated one more cluster `value` that the judge finds ordinary.

        With groups, one more group of clusters of that value, as large as the group of an average
        sampled cluster. Raises ValueError without sampled clusters.
        """
        if len(self.human) == 0:
            raise ValueError("there is no cluster to which one more could be added")
        if self.groups is None:
            return self._welch(np.append(self.corrected, value))
        labels = [self.groups[place] for place in self.sample]
        sizes = group_sums(np.ones(len(labels)), labels)
        more = float(np.square(sizes).sum() / sizes.sum())
        found = self._by_groups(self.corrected, labels, (value, more))
        assert found is not None  # of two groups at least
        return found

    def _judge_variance(self) -> float:
        """Of what the judge's mean over the clusters that it alone rated adds to the error."""
        rest = self.judge[self.rest]
        if self.weight == 0 or len(rest) < 2:
            return 0.0
        return self.weight**2 * float(np.var(rest, ddof=1)) / len(rest)

    def _welch(self, corrected: Floats) -> Estimate:
        n, beside = len(corrected), self._judge_variance()
        own = float(np.var(corrected, ddof=1)) / n
        total = own + beside
        df = float(n - 1)
        if beside:
            df = total**2 / (own**2 / (n - 1) + beside**2 / (len(self.rest) - 1))
        return Estimate(float(corrected.mean()), math.sqrt(total), df)

    def _by_groups(
        self,
        corrected: Floats,
        labels: Sequence[Hashable],
        one_more: tuple[float, float] | None = None,
    ) -> Estimate | None:
        """CR1. `one_more`: the value and the size of a further group."""
        assert self.groups is not None
        value, size = one_more or (0.0, 0.0)
        n = len(corrected) + size
        mean = float(corrected.sum() + value * size) / n
        errors = (corrected - mean) / n
        beside = self.weight * (self.judge[self.rest] - self.judge[self.rest].mean())
        all_labels = [*labels, *(self.groups[place] for place in self.rest)]
        sums = group_sums(np.append(errors, beside / max(1, len(self.rest))), all_labels)
        rated = len(set(labels))
        if one_more is not None:
            sums, rated = np.append(sums, (value - mean) * size / n), rated + 1
        if rated < 2:
            return None
        std_error = math.sqrt(rated / (rated - 1) * float(np.square(sums).sum()))
        return Estimate(mean, std_error, rated - 1)


def prediction_powered(
    human: Floats,
    judge: Floats,
    sample: Ints,
    groups: Sequence[Hashable] | None = None,
    *,
    folds: int = FOLDS,
    tail: float = TAIL,
    seed: int = 0,
) -> AssistedMean:
    """The mean of `human`, shape (n,), helped by `judge`, shape (N,).

    `sample`: the positions among the N of the n clusters that people rated, drawn at random and
    not by anything that was seen of them. `groups`: a label for each of the N; those of a group
    are in one fold. `folds`: at most; of less than three clusters the judge is not asked. `tail`:
    see TAIL; 0 leaves the judge as it is. Raises ValueError for numbers that are not finite, and
    for a sample that is not n distinct positions among the N.
    """
    human, judge = np.asarray(human, dtype=np.float64), np.asarray(judge, dtype=np.float64)
    sample = np.asarray(sample, dtype=np.intp)
    if human.ndim != 1 or judge.ndim != 1 or sample.shape != human.shape:
        raise ValueError("need a vector of human values, as many positions, and one of the judge's")
    if len(set(sample.tolist())) < len(sample) or not _within(sample, len(judge)):
        raise ValueError("the sample must be distinct positions among the judge's clusters")
    if groups is not None and len(groups) != len(judge):
        raise ValueError(f"need a group per cluster, got {len(groups)} for {len(judge)} clusters")
    if not (np.isfinite(human).all() and np.isfinite(judge).all()):
        raise ValueError("need finite numbers. Leave out the clusters where a value is undefined")
    drawn_in = _drawn_in(judge, tail / max(1, len(human)))
    labels = range(len(sample)) if groups is None else [groups[place] for place in sample]
    of_fold = _folds(list(labels), folds, seed)
    tuning = cross_fitted(human, drawn_in[sample], of_fold)
    if len(judge) - len(human) < 2:
        tuning = np.zeros_like(tuning)
    return AssistedMean(human, drawn_in, sample, tuning, None if groups is None else tuple(groups))


def _within(sample: Ints, count: int) -> bool:
    return bool(((sample >= 0) & (sample < count)).all())


def _drawn_in(judge: Floats, share: float) -> Floats:
    """`judge` with the `share` at each end, rounded up, set to the value next to them."""
    cut = min(math.ceil(share * len(judge)), (len(judge) - 1) // 2)
    if cut <= 0 or len(judge) == 0:
        return judge
    ascending = np.sort(judge)
    drawn: Floats = np.clip(judge, ascending[cut], ascending[-1 - cut])
    return drawn


def _folds(labels: Sequence[Hashable], folds: int, seed: int) -> Ints:
    """The fold of each label's cluster: equal labels in one, as many labels in each within 1."""
    names = list(dict.fromkeys(labels))
    numbers = np.arange(len(names)) % max(1, min(folds, len(names)))
    np.random.default_rng(seed).shuffle(numbers)
    of_name = dict(zip(names, numbers.tolist(), strict=True))
    return np.array([of_name[label] for label in labels], dtype=np.intp)


def cross_fitted(human: Floats, judge: Floats, of_fold: Ints) -> Floats:
    """By cluster, the slope of `human` on `judge` in all folds but its own, within [0, 1].

    All of shape (n,). 0 where the other folds hold fewer than two clusters, or the judge says the
    same in all of them.
    """
    tuning = np.zeros(len(human))
    for fold in np.unique(of_fold):
        others = of_fold != fold
        if others.sum() < 2 or np.ptp(judge[others]) == 0:
            continue
        away = judge[others] - judge[others].mean()
        slope = float(away @ (human[others] - human[others].mean()) / (away @ away))
        tuning[~others] = min(1.0, max(0.0, slope))
    return tuning
