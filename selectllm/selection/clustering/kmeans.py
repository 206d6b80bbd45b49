"""k-means centres of rows: of the groups under `diverse`, `k-means` and the coverage of sets. Pure.

scikit-learn computes them; what is ours is when all rows are looked at, and where they start.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from selectllm.core.arrays import Vectors
from selectllm.core.extras import need
from selectllm.selection.clustering.seeded_rows import SeededRows

LLOYD_UP_TO = 100_000  # items; mini-batches beyond
FITTED_ON = 1_000_000  # rows, the first in their seeded order: a fair sample of what is larger
MINI_BATCH = 1_024  # rows
_GREEDY: Mapping[str, Any] = {"init": "k-means++", "n_init": "auto"}


def kmeans_centres(
    rows: SeededRows,
    count: int,
    seed: int,
    *,
    batch: int = MINI_BATCH,
    light_start: bool = False,
    lloyd_up_to: int = LLOYD_UP_TO,
    start_at: Vectors | None = None,
) -> Vectors:
    """(count, dim) k-means centres: Lloyd on all of up to `lloyd_up_to` rows, else mini-batches.

    Mini-batches of at least `batch` rows go once through the rows in their seeded order, through
    the first million where there are more (or 16 rows a centre, if that is more). Both
    start from scikit-learn's greedy k-means++. With `light_start`, for many centres: Lloyd from
    k-means++ with one draw a centre (Arthur & Vassilvitskii 2007), since greedy draws take longer
    than all that follows, and mini-batches from the first rows, which are in random order.
    `start_at`: (count, dim) centres to start from instead.
    """
    need("embed", "sklearn", "dividing by k-means")
    from sklearn.cluster import KMeans, MiniBatchKMeans, kmeans_plusplus
    from sklearn.exceptions import ConvergenceWarning

    state = seed % 2**32
    with warnings.catch_warnings():
        # Fewer distinct rows than centres is fine: centres that coincide share their items.
        few = "Number of distinct clusters"
        warnings.filterwarnings("ignore", message=few, category=ConvergenceWarning)
        if len(rows) <= lloyd_up_to:
            vectors = rows.take()
            start = _GREEDY if start_at is None else _given(start_at)
            if light_start and start_at is None:
                drawn, _ = kmeans_plusplus(vectors, count, random_state=state, n_local_trials=1)
                start = _given(drawn)
            model = KMeans(count, **start, random_state=state).fit(vectors)
        else:
            first_rows = rows.take(0, count) if start_at is None else start_at
            start = _GREEDY if start_at is None and not light_start else _given(first_rows)
            model = MiniBatchKMeans(count, **start, random_state=state)
            size = max(batch, count)
            most = min(len(rows), max(FITTED_ON, 16 * count))
            for first in range(0, max(1, most - count), size):
                model.partial_fit(rows.take(first, first + size))
    return np.asarray(model.cluster_centers_, dtype=np.float32)


def _given(centres: Vectors) -> Mapping[str, Any]:
    return {"init": centres, "n_init": 1}
