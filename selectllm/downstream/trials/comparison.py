"""What selectors' sets gain over random ones of the same size. Pure.

One random set is no yardstick: two of them differ by more than the noise of training. A selector
is held against the distribution of many, and what may come of chance is counted in full: which
items a random set holds, and which test items there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.downstream.trials.gains import (
    AGGREGATIONS,
    Aggregation,
    Gains,
    item_error,
    seed_error,
    seed_reliability,
    test_reliability,
)
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import Estimate, holm

TrialWord = Literal["better", "worse", "inconclusive"]

FEWEST_RANDOM = 8
LEAST_RELIABILITY = 0.5
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class TrialNoise:
    """How far gains move without any reason, as standard deviations in nats.

    `sets`: between random sets; `seeds`: between trainings on one set; `items`: a gain's standard
    error for the draw of the test items. None where it cannot be known. The reliabilities say how
    far the order of all sets would repeat, 0 to 1: with other training seeds, with other tests.
    One set far from the rest lifts them; `random_reliability` is that of the random sets alone,
    with other training seeds.
    """

    sets: float | None
    seeds: float | None
    items: float
    seed_reliability: float | None
    test_reliability: float | None
    random_reliability: float | None = None


@dataclass(frozen=True, slots=True)
class ArmDifference:
    """A gain less another: `interval` of 95 %, two-sided `p`; None where no error is known."""

    estimate: float
    interval: Interval | None = None
    p: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """`{estimate, low, high, p}`."""
        low, high = (self.interval.low, self.interval.high) if self.interval else (None, None)
        return {"estimate": self.estimate, "low": low, "high": high, "p": self.p}


@dataclass(frozen=True, slots=True)
class ArmGain:
    """One selector by one aggregation.

    `gain`: mean over its sets and trainings. `over_random`: less the mean of the random sets.
    `above`: the share of random sets that gained less, ties half. `over_matched`: less random
    items of as many tokens; None without such sets. `p_holm`: of `over_random`, over all
    selectors. `verdict`: by it at 5 %; None if one is refused.
    """

    arm: str
    gain: float
    over_random: ArmDifference
    above: float
    over_matched: ArmDifference | None = None
    p_holm: float | None = None
    verdict: TrialWord | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        matched = self.over_matched and self.over_matched.to_json()
        return asdict(self) | {
            "over_random": self.over_random.to_json(),
            "over_matched": matched,
        }


@dataclass(frozen=True, slots=True)
class TrialComparison:
    """All selectors by one aggregation. `refused`: why there are no verdicts, None if there are."""

    by: Aggregation
    noise: TrialNoise
    arms: tuple[ArmGain, ...]
    refused: str | None


def compare(found: Sequence[Gains], by: Aggregation) -> TrialComparison:
    """Every selector's gain against the random sets', and what keeps it from being a verdict.

    `found`: the gains on all sets, those of a random one or more among them.
    """
    chance = [each for each in found if each.of.role == "random"]
    noise = noise_of(found, by)
    arms = [_arm(arm, found, chance, noise, by) for arm in arms_of(found)]
    refused = refusal(len(chance), noise)
    return TrialComparison(by, noise, tuple(_with_verdicts(arms, refused)), refused)


def arms_of(found: Sequence[Gains]) -> list[str]:
    """The selectors, in the order in which their sets came."""
    return list(dict.fromkeys(each.of.arm for each in found if each.of.role == "selector"))


def noise_of(found: Sequence[Gains], by: Aggregation) -> TrialNoise:
    """How far gains move without any reason."""
    chance = [each for each in found if each.of.role == "random"]
    sets = float(np.std([each.value(by) for each in chance], ddof=1)) if len(chance) > 1 else None
    errors = [item_error(each.saved.mean(axis=0), each.tokens, by) for each in found]
    return TrialNoise(
        sets=sets,
        seeds=seed_error(found, by),
        items=float(np.mean(errors)),
        seed_reliability=seed_reliability(found, by),
        test_reliability=test_reliability(found, by),
        random_reliability=seed_reliability(chance, by),
    )


def refusal(random_sets: int, noise: TrialNoise) -> str | None:
    """Why no verdict may be given on `random_sets` and such noise; None if it may."""
    if random_sets < FEWEST_RANDOM:
        return f"{random_sets} random sets are too few for a verdict; train {FEWEST_RANDOM} or more"
    if noise.seed_reliability is None:
        return "no set was trained twice, so how far gains repeat is not known; take 2 seeds"
    parts = {"with other training seeds": noise.seed_reliability}
    if noise.test_reliability is not None:
        parts["with other test items"] = noise.test_reliability
    for what, value in parts.items():
        if value < LEAST_RELIABILITY:
            return (
                f"reliability {value:.2f} is below {LEAST_RELIABILITY:g}: {what} the sets would "
                "come in another order; take more seeds, or more test items"
            )
    return None


def _arm(
    arm: str, found: Sequence[Gains], chance: Sequence[Gains], noise: TrialNoise, by: Aggregation
) -> ArmGain:
    own = [each for each in found if each.of.arm == arm and each.of.role == "selector"]
    matched = [each for each in found if each.of.arm == arm and each.of.role == "matched"]
    gain = float(np.mean([each.value(by) for each in own]))
    values = np.array([each.value(by) for each in chance])
    below = float(np.mean((values < gain) + (values == gain) / 2))
    df = len(chance) - 1
    return ArmGain(
        arm=arm,
        gain=gain,
        over_random=_difference(own, chance, _error(noise, own, chance), df, by),
        above=below,
        over_matched=_difference(own, matched, _error(noise, own, matched), df, by)
        if matched
        else None,
    )


def _error(noise: TrialNoise, a: Sequence[Gains], b: Sequence[Gains]) -> float | None:
    """Standard error of the difference of two means of sets, for which items the sets hold.

    Sets of a selector are taken to scatter as random ones do, trainings included; a selector that
    always selects the same scatters less, so that this errs towards `inconclusive`.
    """
    return None if noise.sets is None else noise.sets * math.sqrt(1 / len(a) + 1 / len(b))


def _difference(
    a: Sequence[Gains], b: Sequence[Gains], error: float | None, df: int, by: Aggregation
) -> ArmDifference:
    """The mean gain of `a` less that of `b`; `error`: for the sets, on `df` degrees of freedom.

    The error for the draw of the test items is that of the difference on the same items. The two
    add up as variances; the t distribution of the sets, which has fewer degrees of freedom, is
    used for both, which errs towards `inconclusive`.
    """
    estimate = float(np.mean([g.value(by) for g in a]) - np.mean([g.value(by) for g in b]))
    if error is None or df < 1:
        return ArmDifference(estimate)
    items = item_error(_saved(a) - _saved(b), a[0].tokens, by)
    found = Estimate(estimate, math.hypot(error, items), df)
    return ArmDifference(estimate, found.interval(1 - ALPHA), found.p_two_sided())


def _saved(found: Sequence[Gains]) -> Floats:
    """(n_tests,) the mean over sets and trainings."""
    saved: Floats = np.mean([each.saved.mean(axis=0) for each in found], axis=0)
    return saved


def _with_verdicts(arms: Sequence[ArmGain], refused: str | None) -> list[ArmGain]:
    known = [arm.over_random.p for arm in arms if arm.over_random.p is not None]
    if len(known) < len(arms):
        return list(arms)
    adjusted = [replace(arm, p_holm=p) for arm, p in zip(arms, holm(known), strict=True)]
    if refused is not None:
        return adjusted
    return [replace(arm, verdict=_word(arm)) for arm in adjusted]


def _word(arm: ArmGain) -> TrialWord:
    if arm.p_holm is None or arm.p_holm > ALPHA:
        return "inconclusive"
    return "better" if arm.over_random.estimate > 0 else "worse"


def described(each: Gains) -> Mapping[str, Any]:
    """One set and its gains, as compare.json has it."""
    return {
        "arm": each.of.arm,
        "role": each.of.role,
        "seed": each.of.seed,
        "sha256": each.of.sha256,
        "items": len(each.of.items),
        "learned_tokens": each.learned,
        "gain": {by: each.value(by) for by in AGGREGATIONS},
        "runs": {by: each.runs(by) for by in AGGREGATIONS},
        "bands": {by: each.bands(by) for by in AGGREGATIONS},
    }
