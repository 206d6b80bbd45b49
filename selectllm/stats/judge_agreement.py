"""How far two raters of the same items agree, each with a number per item. Pure.

`human` and `judge` are vectors of one length; where agreement in value is meant they are on one
scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from selectllm.core.arrays import Floats

ROUNDS = 100
CLOSE = 1e-12
STEEPEST = 20.0
"""Log-odds of a standard deviation beyond which an order is as good as certain."""


def interval_alpha(human: Floats, judge: Floats) -> float | None:
    """Krippendorff's alpha of two raters at interval level; 1 is perfect, 0 as if dealt at random.

    1 - mean((h - j)^2) / (2 var), with var the variance of all ratings together (n - 1): what
    rater_agreement.krippendorff_alpha says, without a table of all values that occur. None where
    all ratings are equal.
    """
    spread = float(np.var(np.concatenate((human, judge)), ddof=1)) if len(human) else 0.0
    return None if spread == 0 else 1 - float(np.square(human - judge).mean()) / (2 * spread)


def weighted_kappa(human: Floats, judge: Floats) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen 1968), -1 to 1; chance is each rater's own.

    1 - mean((h - j)^2) over the same with all pairs of ratings of different items; for numbers
    that are no categories it is Lin's concordance correlation (1989). None where both raters give
    one and the same rating to everything.
    """
    if len(human) == 0:
        return None
    by_chance = float(np.var(human) + np.var(judge) + (human.mean() - judge.mean()) ** 2)
    return None if by_chance == 0 else 1 - float(np.square(human - judge).mean()) / by_chance


@dataclass(frozen=True, slots=True)
class Preferences:
    """Of pairs of items of which people prefer one.

    `agree`: the share in which the judge prefers the same; one without a preference is half.
    `log_odds`: by how much one standard deviation of the judge's differences raises the log-odds
    that people prefer the item (Bradley and Terry 1952, with the judge's ratings as strengths): 0
    says nothing of people, infinite where it orders every pair as people do. Both None without
    pairs; the latter also where the judge prefers nothing.
    """

    pairs: int
    agree: float | None
    log_odds: float | None


def preferences(human: Floats, judge: Floats, groups: list[list[int]]) -> Preferences:
    """Over the pairs within `groups`, positions of items that are compared with each other."""
    ours, theirs = [], []
    for group in groups:
        first, second = np.triu_indices(len(group), 1)
        places = np.array(group, dtype=np.intp)
        ours.append(human[places[first]] - human[places[second]])
        theirs.append(judge[places[first]] - judge[places[second]])
    wanted = np.concatenate(ours) if ours else np.zeros(0)
    said = np.concatenate(theirs) if theirs else np.zeros(0)
    said, wanted = said[wanted != 0], wanted[wanted != 0]
    if len(wanted) == 0:
        return Preferences(0, None, None)
    towards = said * np.sign(wanted)  # above 0: the judge prefers what people do
    agree = float((towards > 0).mean() + (towards == 0).mean() / 2)
    return Preferences(len(wanted), agree, _log_odds(towards))


def _log_odds(towards: Floats) -> float | None:
    """Maximum likelihood of the slope in P(people prefer) = 1 / (1 + exp(-slope * difference))."""
    scale = math.sqrt(float(np.square(towards).mean()))
    if scale == 0:
        return None
    x, slope = towards / scale, 0.0
    if not (x < 0).any():
        return math.inf
    if not (x > 0).any():
        return -math.inf
    for _ in range(ROUNDS):
        p = 1 / (1 + np.exp(-np.clip(slope * x, -700, 700)))
        step = float((x * (1 - p)).sum() / (np.square(x) * p * (1 - p)).sum())
        slope = min(STEEPEST, max(-STEEPEST, slope + step))
        if abs(step) < CLOSE:
            break
    return slope
