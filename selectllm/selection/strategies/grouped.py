"""k-center greedy inside HDBSCAN groups: the paper's coreset-based sampling (CBS). Pure."""

from __future__ import annotations

import numpy as np

from selectllm.core.arrays import Ints, Vectors
from selectllm.core.codec import seeded_hash
from selectllm.core.errors import UnfitError
from selectllm.core.extras import need
from selectllm.selection.clustering.seeded_rows import SeededRows
from selectllm.selection.strategies.candidates import Candidates, seeded_rows
from selectllm.selection.strategies.kcenter import farthest_first

HDBSCAN_UP_TO = 15_000  # items; all distances are held, about 17 bytes a pair: 3.8 GB here
MIN_GROUP = 2  # items
MIN_SAMPLES = 2  # counts the item itself, as scikit-learn does; 1 in the `hdbscan` package


def k_center_hdbscan(candidates: Candidates, n: int) -> list[int]:
    """k-center greedy in every HDBSCAN group, as many picks as its share of the candidates.

    The paper's CBS baselines (SelectLLM, arXiv 2401.16553), with the settings of its
    sentence-transformers variant: groups of at least 2, one neighbour. Other than the published
    code, which drops what HDBSCAN calls noise and takes the centroids of the groups as picked
    already, noise is kept, as a group of its own, and every group gives floor or ceil of n times
    its share, exactly n in all; which of the two is a seeded draw whose mean is the share. What is
    given counts as picked in every group.
    Picks of the groups alternate, so that the first few are proportional too. Raises UnfitError
    above 15,000 candidates.
    """
    if len(candidates.items) > HDBSCAN_UP_TO:
        raise UnfitError(
            f"HDBSCAN groups hold all distances in memory, which is for up to {HDBSCAN_UP_TO:,} "
            f"items, got {len(candidates.items):,}. Use k-center without groups"
        )
    rows = seeded_rows(candidates)
    draw = seeded_hash("shares", candidates.seed)
    picks = _in_groups(rows, _hdbscan(rows), n, draw, candidates.given)
    return [int(position) for position in rows.order[picks]]


def shares(sizes: Ints, n: int, draw: int) -> Ints:
    """How many of n each group gets: n * size / sum(sizes), rounded down or up; sums to n.

    Systematic sampling: the groups are laid end to end and every (sum / n)-th item counts,
    starting at the seeded `draw`, so that each group gets its exact share on average.
    """
    total = int(sizes.sum())
    ends = (np.cumsum(sizes) * n + draw % total) // total
    return np.asarray(np.diff(ends, prepend=0), dtype=np.intp)


def _hdbscan(rows: SeededRows) -> Ints:
    """The group of each row, 0 for noise."""
    if len(rows) <= MIN_GROUP:
        return np.zeros(len(rows), dtype=np.intp)
    need("embed", "sklearn", "strategy k-center-hdbscan")
    from sklearn.cluster import HDBSCAN

    # Trees need less memory, but at hundreds of dimensions ten times as long.
    model = HDBSCAN(
        min_cluster_size=MIN_GROUP, min_samples=MIN_SAMPLES, algorithm="brute", copy=True
    )
    return np.asarray(model.fit(rows.take()).labels_, dtype=np.intp) + 1


def _in_groups(rows: SeededRows, groups: Ints, n: int, draw: int, given: Vectors | None) -> Ints:
    """(n,) rows: the farthest-first traversals of all groups, merged by how far each one is."""
    sizes = np.bincount(groups)
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
    picks, progress = [], []
    for group, share in zip(members, shares(sizes, n, draw), strict=True):
        if share:
            inside = SeededRows(rows.vectors, rows.order[group])
            picks.append(group[farthest_first(inside, int(share), given=given)])
            progress.append((np.arange(share) + 0.5) / share)
    merged = np.lexsort((np.concatenate(picks), np.concatenate(progress)))
    return np.concatenate(picks)[merged]
