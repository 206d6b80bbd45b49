"""What selectors' sets gain over random ones of the same size. Pure.

One random set is no yardstick: two of them differ by more than the noise of training. A selector
is held against the distribution of many, and what may come of chance is counted in full: which
items a random set holds, and which test items there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.choices import Aggregation
from selectllm.downstream.trials.gains import (
    Gains,
    item_error,
    seed_error,
    seed_reliability,
    test_reliability,
)
from selectllm.downstream.trials.schema import (
    BandGains,
    BothGains,
    GainComparison,
    GainDifference,
    GainNoise,
    RunGains,
    SelectorGain,
    TrainedSet,
    TrialWord,
)
from selectllm.stats.intervals import Estimate, holm

FEWEST_RANDOM = 8
LEAST_RELIABILITY = 0.5
ALPHA = 0.05


def compare(found: Sequence[Gains], by: Aggregation) -> GainComparison:
    """Every selector's gain against the random sets', and what keeps it from being a verdict.

    `found`: the gains on all sets, those of a random one or more among them. `refused`: why there
    are no verdicts, None if there are.
    """
    chance = [each for each in found if each.of.role == "random"]
    noise = noise_of(found, by)
    arms = [_arm(arm, found, chance, noise, by) for arm in arms_of(found)]
    refused = refusal(len(chance), noise)
    return GainComparison(noise=noise, refused=refused, arms=tuple(_with_verdicts(arms, refused)))


def arms_of(found: Sequence[Gains]) -> list[str]:
    """The selectors, in the order in which their sets came."""
    return list(dict.fromkeys(each.of.arm for each in found if each.of.role == "selector"))


def noise_of(found: Sequence[Gains], by: Aggregation) -> GainNoise:
    """How far gains move without any reason."""
    chance = [each for each in found if each.of.role == "random"]
    sets = float(np.std([each.value(by) for each in chance], ddof=1)) if len(chance) > 1 else None
    items = float(np.mean([item_error(each.saved.mean(axis=0), each.tokens, by) for each in found]))
    return GainNoise(
        sets=sets,
        seeds=seed_error(found, by),
        items=items if math.isfinite(items) else None,
        seed_reliability=seed_reliability(found, by),
        test_reliability=test_reliability(found, by),
        random_reliability=seed_reliability(chance, by),
    )


def refusal(random_sets: int, noise: GainNoise) -> str | None:
    """Why no verdict may be given on `random_sets` and such noise; None if it may."""
    if random_sets < FEWEST_RANDOM:
        return f"{random_sets} random sets are too few for a verdict; train {FEWEST_RANDOM} or more"
    if noise.items is None:
        return "of a single test item how far gains hold for others is not known; take more of them"
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
    arm: str, found: Sequence[Gains], chance: Sequence[Gains], noise: GainNoise, by: Aggregation
) -> SelectorGain:
    own = [each for each in found if each.of.arm == arm and each.of.role == "selector"]
    matched = [each for each in found if each.of.arm == arm and each.of.role == "matched"]
    gain = float(np.mean([each.value(by) for each in own]))
    values = np.array([each.value(by) for each in chance])
    below = float(np.mean((values < gain) + (values == gain) / 2))
    df = len(chance) - 1
    return SelectorGain(
        arm=arm,
        gain=gain,
        over_untrained=_difference(own, (), _error(noise, own), df, by),
        over_random=_difference(own, chance, _error(noise, own, chance), df, by),
        above=below,
        over_matched=_difference(own, matched, _error(noise, own, matched), df, by)
        if matched
        else None,
    )


def _error(noise: GainNoise, *sides: Sequence[Gains]) -> float | None:
    """Standard error of a mean of sets, or of the difference of two, for the items that they hold.

    Sets of a selector are taken to scatter as random ones do, trainings included; a selector that
    always selects the same scatters less, so that this errs towards `inconclusive`.
    """
    if noise.sets is None:
        return None
    return noise.sets * math.sqrt(sum(1 / len(side) for side in sides))


def _difference(
    a: Sequence[Gains], b: Sequence[Gains], error: float | None, df: int, by: Aggregation
) -> GainDifference:
    """The mean gain of `a` less that of `b`; `error`: for the sets, on `df` degrees of freedom.

    `b`: empty for the student before training, whose gain is 0.

    The error for the draw of the test items is that of the difference on the same items. The two
    add up as variances; the t distribution of the sets, which has fewer degrees of freedom, is
    used for both, which errs towards `inconclusive`.
    """
    less = np.mean([g.value(by) for g in b]) if b else 0.0
    estimate = float(np.mean([g.value(by) for g in a]) - less)
    items = item_error(_saved(a) - (_saved(b) if b else 0.0), a[0].tokens, by)
    if error is None or df < 1 or math.isinf(items):
        return GainDifference(estimate=estimate)
    found = Estimate(estimate, math.hypot(error, items), df)
    ends = found.interval(1 - ALPHA)
    return GainDifference(estimate=estimate, low=ends.low, high=ends.high, p=found.p_two_sided())


def _saved(found: Sequence[Gains]) -> Floats:
    """(n_tests,) the mean over sets and trainings."""
    saved: Floats = np.mean([each.saved.mean(axis=0) for each in found], axis=0)
    return saved


def _with_verdicts(arms: Sequence[SelectorGain], refused: str | None) -> list[SelectorGain]:
    known = [arm.over_random.p for arm in arms if arm.over_random.p is not None]
    if len(known) < len(arms):
        return list(arms)
    adjusted = [
        arm.model_copy(update={"p_holm": p}) for arm, p in zip(arms, holm(known), strict=True)
    ]
    if refused is not None:
        return adjusted
    harm = holm([_p_of_harm(arm) for arm in arms])
    return [
        arm.model_copy(update={"verdict": _word(arm), "worse_than_untrained": p <= ALPHA})
        for arm, p in zip(adjusted, harm, strict=True)
    ]


def _p_of_harm(arm: SelectorGain) -> float:
    """One-sided: small where training did harm."""
    found = arm.over_untrained
    if found is None or found.p is None or found.estimate >= 0:
        return 1.0
    return found.p / 2


def _word(arm: SelectorGain) -> TrialWord:
    if arm.p_holm is None or arm.p_holm > ALPHA:
        return "inconclusive"
    return "better" if arm.over_random.estimate > 0 else "worse"


def described(each: Gains) -> TrainedSet:
    """One set and its gains, as compare.json has it."""
    return TrainedSet(
        arm=each.of.arm,
        role=each.of.role,
        seed=each.of.seed,
        sha256=each.of.sha256,
        items=len(each.of.items),
        learned_tokens=each.learned,
        gain=BothGains(per_token=each.value("per_token"), per_item=each.value("per_item")),
        runs=RunGains(per_token=each.runs("per_token"), per_item=each.runs("per_item")),
        bands=BandGains(
            per_token=tuple(each.bands("per_token")), per_item=tuple(each.bands("per_item"))
        ),
    )
