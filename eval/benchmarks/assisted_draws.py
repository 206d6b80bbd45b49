"""Clusters that people and a judge rate, and assisted tests of them, many at once.

`Judged.of` says of whole arrays what `AssistedPaired` says of one sample; `check` holds them
against it. Every generator gives people's d, whose mean is 0, and the judge's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from selectllm.core.arrays import Floats
from selectllm.stats.assisted import AssistedPaired
from selectllm.stats.prediction_powered import FOLDS, TAIL

Shape = tuple[int, int]
Flags = npt.NDArray[np.bool_]
Both = Callable[[Shape, np.random.Generator], tuple[Floats, Floats]]
CORRELATIONS = (0.0, 0.3, 0.6, 0.9, -0.5)


def normal(correlation: float, sd: float = 0.3, more: float = 0.0) -> Both:
    """Both normal. `more`: what the judge rates the second arm too high by, everywhere."""

    def draw(shape: Shape, rng: np.random.Generator) -> tuple[Floats, Floats]:
        judge = rng.standard_normal(shape)
        own = math.sqrt(1 - correlation**2) * rng.standard_normal(shape)
        return sd * (correlation * judge + own), sd * judge + more

    return draw


def heavy(correlation: float) -> Both:
    """Both by Student's t on three degrees of freedom."""

    def draw(shape: Shape, rng: np.random.Generator) -> tuple[Floats, Floats]:
        judge = rng.standard_t(3, shape)
        own = math.sqrt(1 - correlation**2) * rng.standard_t(3, shape)
        return 0.1 * (correlation * judge + own), 0.1 * judge

    return draw


def alike(share: float, correlation: float) -> Both:
    """Both 0 in a share of the clusters, where the arms pick the same items."""
    inner = normal(correlation)

    def draw(shape: Shape, rng: np.random.Generator) -> tuple[Floats, Floats]:
        human, judge = inner(shape, rng)
        same = rng.random(shape) < share
        return np.where(same, 0.0, human), np.where(same, 0.0, judge)

    return draw


JUDGES = ("blind", "sees", "half", "opposite")
"""What a judge says where people see a rare loss: nothing of it, all, half of them, a gain."""


def rare(share: float, loss: float, sd: float, judge: str) -> Both:
    """So many lose `loss`, the rest gain what makes up for it; the judge knows the rest well."""

    def draw(shape: Shape, rng: np.random.Generator) -> tuple[Floats, Floats]:
        few, body = rng.random(shape) < share, sd * rng.standard_normal(shape)
        human = np.where(few, -loss, body + share * loss / (1 - share))
        theirs = 0.95 * body + math.sqrt(1 - 0.95**2) * sd * rng.standard_normal(shape)
        seen = few & (rng.random(shape) < 0.5) if judge == "half" else few
        said = {"blind": theirs, "sees": -loss, "half": -loss, "opposite": loss}[judge]
        return human, np.where(seen, said, theirs)

    return draw


RARE: Mapping[str, tuple[float, float, float]] = {
    **{
        f".95 lost in {share:.1%}, sd {sd}": (share, 0.95, sd)
        for share in (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)
        for sd in (0.12, 0.03)
    },
    ".5 lost in 8 %, sd 0.12": (0.08, 0.5, 0.12),
}


@dataclass(frozen=True)
class Judged:
    """What the estimates of many replicates are made of: a row each.

    `corrected`: shape (replicates, n). `beside`: the variance that the judge's mean adds, `rest`:
    over how many clusters. `tuning`: its mean.
    """

    corrected: Floats
    beside: Floats
    rest: int
    tuning: Floats

    @classmethod
    def of(cls, human: Floats, judge: Floats, *, tail: float = TAIL, seed: int = 0) -> Judged:
        """`human`: of the first n clusters of each row of `judge`."""
        n, total = human.shape[1], judge.shape[1]
        judge = _drawn_in(judge, tail / n)
        ours, rest = judge[:, :n], judge[:, n:]
        of_fold = np.arange(n) % min(FOLDS, n)
        np.random.default_rng(seed).shuffle(of_fold)
        weights = np.zeros_like(human)
        for fold in np.unique(of_fold):
            others = of_fold != fold
            away = ours[:, others] - ours[:, others].mean(axis=1, keepdims=True)
            theirs = human[:, others] - human[:, others].mean(axis=1, keepdims=True)
            squares = np.square(away).sum(axis=1)
            slope = np.divide(
                (away * theirs).sum(axis=1), squares, out=np.zeros(len(human)), where=squares > 0
            )
            weights[:, ~others] = np.clip(slope, 0, 1)[:, None]
        tuning, scale = weights.mean(axis=1), rest.shape[1] / total
        corrected = human - weights * scale * (ours - rest.mean(axis=1, keepdims=True))
        beside = (tuning * scale) ** 2 * rest.var(axis=1, ddof=1) / rest.shape[1]
        return cls(corrected, beside, rest.shape[1], tuning)

    @classmethod
    def alone(cls, human: Floats) -> Judged:
        """People without a judge."""
        zeros = np.zeros(len(human))
        return cls(human, zeros, 2, zeros)

    def low(self, alpha: float) -> Floats:
        """One-sided lower bounds."""
        n = self.corrected.shape[1]
        own = self.corrected.var(axis=1, ddof=1) / n
        total = own + self.beside
        with np.errstate(invalid="ignore"):
            df = total**2 / (own**2 / (n - 1) + self.beside**2 / (self.rest - 1))
        df = np.where(total > 0, df, n - 1)
        low: Floats = self.corrected.mean(axis=1) + stdtrit(df, alpha) * np.sqrt(total)
        return low

    def turned(self) -> Judged:
        """The first arm against the second."""
        return replace(self, corrected=-self.corrected)

    def with_one_more(self, value: float = -1.0) -> Judged:
        """Had people rated one more cluster."""
        more = np.full((len(self.corrected), 1), value)
        return replace(self, corrected=np.hstack((self.corrected, more)))

    def shown(self, alpha: float, *, rule: bool) -> Flags:
        """Whether the mean lies above 0: by the interval, and (`rule`) with one more as well."""
        flags: Flags = self.low(alpha) > 0
        if rule:
            flags = flags & (self.with_one_more().low(alpha) > 0)
        return flags

    def apart(self, alpha: float, *, rule: bool) -> Flags:
        """Either arm shown to be better, each by `alpha` / 2."""
        both: Flags = self.shown(alpha / 2, rule=rule) | self.turned().shown(alpha / 2, rule=rule)
        return both

    def covers(self, truth: float, alpha: float) -> Flags:
        """Whether the two-sided interval holds `truth`."""
        low, high = self.low(alpha / 2), -self.turned().low(alpha / 2)
        flags: Flags = (low <= truth) & (truth <= high)
        return flags


def _drawn_in(judge: Floats, share: float) -> Floats:
    cut = min(math.ceil(share * judge.shape[1]), (judge.shape[1] - 1) // 2)
    if cut == 0:
        return judge
    ascending = np.partition(judge, (cut, judge.shape[1] - 1 - cut), axis=1)
    drawn: Floats = np.clip(judge, ascending[:, [cut]], ascending[:, [-1 - cut]])
    return drawn


def check(rng: np.random.Generator) -> None:
    """Raise SystemExit unless `Judged` says what `AssistedPaired` does."""
    kinds = [normal(0.6), heavy(0.9), alike(0.7, 0.6), rare(0.05, 0.95, 0.12, "opposite")]
    for number, kind in enumerate(kinds):
        n = (12, 40, 60, 100)[number]
        human, judge = kind((5, 8 * n), rng)
        human, judge = human[:, :n] + 0.1, judge + 0.1
        ours = Judged.of(human, judge)
        for row in range(5):
            whole = AssistedPaired(
                human[row], np.ones(n), judge=judge[row], sample=np.arange(n, dtype=np.intp)
            )
            estimate = whole.estimate()
            assert estimate is not None
            pairs = (
                (ours.low(0.025)[row], estimate.low(0.025)),
                (ours.with_one_more().low(0.025)[row], whole.with_one_more(-1.0).low(0.025)),
            )
            if any(abs(mine - theirs) > 1e-9 for mine, theirs in pairs):
                raise SystemExit(f"the tables and the rule differ: {pairs}")
