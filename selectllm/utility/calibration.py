"""A judge held against people who rated the same items. Pure.

Any utility can be the judge, of a model or not. What is told is how far it agrees with people (in
value, in rank, in which of two items is preferred), what it leans towards where it differs, where
it differs most, and what it is worth where it helps people's ratings (gate.assisted_by).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.errors import UtilityError
from selectllm.core.shown import excerpt
from selectllm.core.types import Item
from selectllm.stats.assisted import random_correlation
from selectllm.stats.judge_agreement import interval_alpha, preferences, weighted_kappa
from selectllm.stats.rank_correlation import spearman
from selectllm.utility.schema import (
    Calibration,
    Correlation,
    Disagreement,
    JudgeSavings,
    Leaning,
    PreferenceAgreement,
)
from selectllm.utility.utility import Utility

FEWEST = 3
"""Items below which nothing can be said."""
PER_RATED = 10
"""Judged clusters for each that people rate, of what a judge is said to save."""
BEGINNING = 60
"""Characters of an instruction that are shown."""


def calibration(
    human: Utility,
    judge: Utility,
    items: Sequence[Item],
    clusters: Sequence[Sequence[str]],
    k: int,
    *,
    suite: str,
    most: int = 10,
) -> Calibration:
    """What `judge` is worth, by the items of `items` that people have rated.

    `items`: the pool's, in its order. `clusters`: the ids of their members; `k` are picked of
    each. `most`: disagreements that are listed. Raises UtilityError for fewer than FEWEST items
    that both have rated.
    """
    rated = [(place, item) for place, item in enumerate(items) if item.id in human.values]
    both = [(place, item) for place, item in rated if item.id in judge.values]
    if len(both) < FEWEST:
        raise UtilityError(
            f"utility {judge.name}: {len(both)} items of the pool have a value from both it and "
            f"{human.name}, and at least {FEWEST} are needed. Have more items rated"
        )
    ids = [item.id for _, item in both]
    ours = np.array([human.values[i] for i in ids])
    scale, theirs = _on_scale(human, judge, np.array([judge.values[i] for i in ids]))
    higher = theirs - ours if scale else _standard(theirs) - _standard(ours)
    lengths = np.array([len(item.instruction) + len(item.input or "") for _, item in both])
    places = np.array([place for place, _ in both])
    return Calibration(
        suite=suite,
        human=human.summary(),
        judge=judge.summary(),
        items=len(both),
        unjudged=len(rated) - len(both),
        scale=scale,
        alpha=interval_alpha(ours, theirs) if scale else None,
        kappa=weighted_kappa(ours, theirs) if scale else None,
        spearman=_spearman(ours, theirs),
        mean_difference=float(higher.mean()) if scale else None,
        preferences=_preferences(ours, theirs, ids, clusters),
        length=_leaning(ours, theirs, higher, lengths.astype(float)),
        position=_leaning(ours, theirs, higher, places.astype(float)),
        disagreements=tuple(_disagreements([item for _, item in both], ours, theirs, higher, most)),
        savings=_savings(human.values, judge.values, clusters, k),
        notes=tuple(_notes(human, judge, scale, theirs)),
    )


def _on_scale(
    human: Utility, judge: Utility, values: Floats
) -> tuple[tuple[float, float] | None, Floats]:
    """The scale that both are compared on and the judge's values there; None and the bare ones.

    A judge's scale of its own is laid over people's, end on end. One that nobody told is taken for
    people's if no value lies outside of that.
    """
    if human.range is None:
        return None, values
    low, high = human.range
    if judge.range is not None and judge.range != human.range:
        first, last = judge.range
        return human.range, low + (values - first) * (high - low) / (last - first)
    fits = judge.range is not None or bool(((values >= low) & (values <= high)).all())
    return (human.range, values) if fits else (None, values)


def _standard(values: Floats) -> Floats:
    """In standard deviations from their mean; 0 where they do not vary."""
    spread = float(values.std())
    standard: Floats = (values - values.mean()) / spread if spread else np.zeros_like(values)
    return standard


def _spearman(x: Floats, y: Floats) -> Correlation:
    found = spearman(x, y)
    if found.interval is None:
        return Correlation(value=found.value)
    return Correlation(value=found.value, low=found.interval.low, high=found.interval.high)


def _leaning(ours: Floats, theirs: Floats, higher: Floats, towards: Floats) -> Leaning:
    return Leaning(
        human=_spearman(ours, towards),
        judge=_spearman(theirs, towards),
        excess=_spearman(higher, towards),
    )


def _preferences(
    ours: Floats, theirs: Floats, ids: Sequence[str], clusters: Sequence[Sequence[str]]
) -> PreferenceAgreement:
    place = {item_id: number for number, item_id in enumerate(ids)}
    groups = [[place[member] for member in members if member in place] for members in clusters]
    found = preferences(ours, theirs, [group for group in groups if len(group) > 1])
    odds = found.log_odds
    finite = odds is not None and math.isfinite(odds)
    return PreferenceAgreement(
        pairs=found.pairs, agree=found.agree, odds=math.exp(odds or 0.0) if finite else None
    )


def _disagreements(
    items: Sequence[Item], ours: Floats, theirs: Floats, higher: Floats, most: int
) -> Iterator[Disagreement]:
    for number in np.argsort(-np.abs(higher), kind="stable")[:most].tolist():
        if higher[number] == 0:
            return
        item = items[number]
        yield Disagreement(
            id=item.id,
            instruction=excerpt(" ".join(item.instruction.split()), BEGINNING),
            human=float(ours[number]),
            judge=float(theirs[number]),
            difference=float(higher[number]),
        )


def _savings(
    human: Mapping[str, float],
    judge: Mapping[str, float],
    clusters: Sequence[Sequence[str]],
    k: int,
) -> JudgeSavings:
    """In the clusters that both rated in full."""
    whole = [m for m in clusters if len(m) > k and all(i in human and i in judge for i in m)]
    found = random_correlation(
        ((np.array([human[i] for i in m]), np.array([judge[i] for i in m])) for m in whole), k
    )
    return JudgeSavings(
        clusters=len(whole),
        correlation=found,
        saved=None if found is None else max(0.0, found) ** 2 * (1 - 1 / PER_RATED),
    )


def _notes(
    human: Utility, judge: Utility, scale: tuple[float, float] | None, theirs: Floats
) -> Iterator[str]:
    if scale is None:
        yield (
            f"{human.name} and {judge.name} are not known to be on the same scale, so alpha, "
            "kappa and the mean difference are not reported. State the range of both in the suite"
        )
    elif judge.range not in (None, human.range):
        yield "the judge's scale was stretched to match people's"
    if np.ptp(theirs) == 0:
        yield "the judge rates all items alike, so it says nothing of them and saves nothing"
    if human.kind != "human":
        yield f"{human.name} is of kind {human.kind}, so the judge is not compared with people"
