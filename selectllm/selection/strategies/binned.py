"""The highest values in every part of the pool, and shares by how sure a model is. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from selectllm.core.codec import seeded_hash
from selectllm.selection.clustering.kmeans import kmeans_centres
from selectllm.selection.strategies.candidates import Candidates, by_score, seeded_rows
from selectllm.selection.strategies.controls import random
from selectllm.selection.strategies.kmeans import nearest_centre
from selectllm.selection.strategies.quota import Quota, apportion
from selectllm.selection.strategies.strategy import Pick, Told

UNSURE = 1e-9  # the least confidence that is told apart: none would take all picks
PER_BIN = 50  # items; the authors of ADG take 1,000 bins of 52,000 items


def highest_in_bins(candidates: Candidates, n: int) -> list[int]:
    """The highest values in each k-means bin of the candidates, in proportion to its size.

    One bin for every PER_BIN candidates, at least one; shares by `quota.apportion`. The choice
    within semantic bins of ADG (arXiv 2604.10448). Picks come by their value.
    """
    if candidates.values is None:
        raise ValueError("the strategy needs values")
    ranked: list[int] = by_score(candidates, candidates.values).tolist()
    rows = seeded_rows(candidates)
    bins = max(1, round(len(rows) / PER_BIN))
    if bins == 1:
        return ranked[:n]
    centres = kmeans_centres(rows, bins, candidates.seed)
    groups, _ = nearest_centre(rows, centres.astype(np.float64))
    labels = np.empty_like(groups)
    labels[rows.order] = groups
    sizes = np.bincount(labels, minlength=bins).tolist()
    ties = [seeded_hash("bins", candidates.seed, number) for number in range(bins)]
    left = list(apportion(sizes, sizes, n, ties))
    picks: list[int] = []
    for position in ranked:
        if left[labels[position]]:
            left[labels[position]] -= 1
            picks.append(position)
    return picks


def by_task(column: str) -> tuple[Pick, Told]:
    """Random items of every task, the more the less sure a model is of the task; and what to tell.

    Weighted task diversity (Arabelly, Nemade, Nowak & Zhang 2025, arXiv 2507.21482): the budget is
    divided among tasks, the values of `column`, by the inverse of the model's confidence in each;
    a task with fewer items than its share gives all it has. The confidence in a task is the mean
    over its items of their value, `uncertainty.confidence`; shares by `quota.apportion`.
    """

    def shares(
        candidates: Candidates, n: int
    ) -> tuple[Quota, Mapping[str, float], Mapping[str, int]]:
        if candidates.values is None:
            raise ValueError("the strategy needs values")
        quota = Quota.of(candidates, column)
        sure = {
            task: max(math.fsum(candidates.values[positions]) / len(positions), UNSURE)
            for task, positions in quota.members.items()
        }
        return (
            quota,
            sure,
            quota.shares([1 / sure[task] for task in quota.members], n, candidates.seed),
        )

    def pick(candidates: Candidates, n: int) -> list[int]:
        quota, _, share = shares(candidates, n)
        order = {position: place for place, position in enumerate(random(candidates))}
        picks: list[tuple[float, int]] = []
        for task, positions in quota.members.items():
            drawn = sorted(positions.tolist(), key=order.__getitem__)[: share[task]]
            picks += [((at + 0.5) / share[task], position) for at, position in enumerate(drawn)]
        return [position for _, position in sorted(picks, key=lambda one: (one[0], order[one[1]]))]

    def told(candidates: Candidates, n: int) -> Sequence[str]:
        assert candidates.values is not None
        known = np.flatnonzero(~np.isnan(candidates.values))
        if not len(known):
            return []
        _, sure, share = shares(candidates.only(known), min(n, len(known)))
        parts = (f"{task} {share[task]} (confidence {sure[task]:.2f})" for task in sure)
        return [f"Picks by {column}: {', '.join(parts)}."]

    return pick, told
