"""Comparing two selectors by ratings of only those items that exactly one of them picked. Pure.

Per cluster d = (U(S_b) - U(S_a)) / (k (high - low)), in [-1, 1]: what both picked cancels, so it
needs no rating, and equal picks give 0 unrated. About 1.5 items a cluster are rated instead of
all. A missing pick stands for one drawn uniformly from the unpicked, as in agreement.py; the
whole cluster differs then. No captured figure follows: that would need every item's rating.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from selectllm.core.errors import UtilityError
from selectllm.core.names import listed
from selectllm.core.types import Decision
from selectllm.stats.paired import SAME, Paired
from selectllm.utility.utility import Utility

Weights = dict[int, dict[str, float]]
"""By cluster and item."""


ASK = "selectllm utility ask RUN"
"""The command that writes the sheet; who knows the run folder puts it in RUN's place."""


def weights(decisions: Iterable[Decision], k: int) -> Weights:
    """The chance of every candidate to be among the k picks, over orders and repeats of a cluster.

    Clusters with at most k candidates decide nothing and are left out.
    """
    chances: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for d in sorted(decisions, key=lambda d: (d.cluster, d.order, d.repeat)):
        if len(d.shown) <= k:
            continue
        fill = (k - len(d.picks)) / (len(d.shown) - len(d.picks))
        picked = set(d.picks)
        for item_id in d.shown:
            chances[d.cluster][item_id].append(1.0 if item_id in picked else fill)
    return {
        cluster: {item_id: float(np.mean(shares)) for item_id, shares in items.items()}
        for cluster, items in chances.items()
    }


def differing(a: Iterable[Decision], b: Iterable[Decision], k: int) -> Weights:
    """By cluster, the items that the two selectors treat differently: chance by b minus by a.

    Every cluster that both decided is there; one in which they agree is empty.
    """
    ours, theirs = weights(a, k), weights(b, k)
    return {
        cluster: {
            item_id: difference
            for item_id in sorted(ours[cluster])
            if abs(difference := theirs[cluster][item_id] - ours[cluster][item_id]) > SAME
        }
        for cluster in sorted(ours.keys() & theirs.keys())
    }


def paired_ratings(
    different: Weights,
    utility: Utility,
    k: int,
    order: Iterable[int],
    groups: Mapping[int, str] | None = None,
    *,
    sample: str = "",
) -> Paired | None:
    """The differences from ratings of the differing items alone, as shares of the rating range.

    `order`: as in paired.paired. `sample`: the options that ask for the items of a sample of
    clusters alone, where `different` is of one. The utility must have a range. Raises UtilityError
    if it misses ratings of differing items.
    """
    assert utility.range is not None
    items = [item_id for items_of_cluster in different.values() for item_id in items_of_cluster]
    missing = [item_id for item_id in items if item_id not in utility.values]
    if missing:
        raise UtilityError(
            f"utility {utility.name}: {len(missing)} of the {len(items)} items that exactly one "
            f"arm picked are not rated: {listed(missing)}. Get a sheet of them with {ASK} "
            f"--differing {sample}-o sheet.csv"
        )
    clusters = [cluster for cluster in order if cluster in different]
    if not clusters:
        return None
    low, high = utility.range
    d = [
        sum(weight * utility.values[item_id] for item_id, weight in different[cluster].items())
        / (k * (high - low))
        for cluster in clusters
    ]
    return Paired(
        values=np.array(d),
        headroom=np.ones(len(d)),
        groups=None if groups is None else tuple(groups[cluster] for cluster in clusters),
        clusters=tuple(clusters),
    )
