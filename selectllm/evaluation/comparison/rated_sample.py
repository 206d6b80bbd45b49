"""The clusters that people rate, where a judge rates all: drawn at random, and held to be so. Pure.

They are the first of a seeded order of all clusters that can decide anything, so that a larger
sample of the same seed holds the smaller one, and anybody can draw it again. A utility says of
which sample its ratings are; that is checked before a verdict rests on it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from selectllm.core.codec import seeded_hash, sha256_json
from selectllm.core.errors import UsageError, UtilityError
from selectllm.core.names import listed
from selectllm.core.types import Cluster
from selectllm.utility.schema import DrawnSample
from selectllm.utility.utility import Utility

HOW = "selectllm utility ask SUITE --sample N -o sheet.csv"


def draw(
    clusters: Sequence[Cluster], k: int, count: int, seed: int
) -> tuple[DrawnSample, tuple[Cluster, ...]]:
    """A sample of `count` of the clusters with more than `k` items, and what says how it was drawn.

    Raises UsageError for more than there are.
    """
    ordered = _ordered(clusters, k, seed)
    if count > len(ordered):
        raise UsageError(
            f"`sample`: {count} clusters cannot be drawn from {len(ordered)}. Draw fewer",
            argument="sample",
        )
    sample = DrawnSample(
        clusters=count, of=len(ordered), seed=seed, clusters_sha256=_sha256(ordered)
    )
    return sample, tuple(ordered[:count])


def sampled(
    clusters: Sequence[Cluster], k: int, utility: Utility, *, whole: bool = True
) -> tuple[Cluster, ...]:
    """The clusters that the ratings of `utility` are a random sample of, in the order drawn.

    All that can decide, where it has a rating of every item. `whole`: every item of a sampled
    cluster is rated. Raises UtilityError for ratings that are not of such a sample.
    """
    sample = utility.sample
    if sample is None:
        return _all(clusters, k, utility)
    ordered = _ordered(clusters, k, sample.seed)
    if sample.clusters_sha256 != _sha256(ordered):
        raise UtilityError(
            f"utility {utility.name}: its sample of {sample.clusters} clusters was drawn from "
            f"{sample.of} others than the {len(ordered)} of this run, so it is no random sample "
            "of these. Undo what changed the clusters (their limit, say), or draw a sample of "
            f"these with {HOW}"
        )
    drawn = tuple(ordered[: sample.clusters])
    _check_outside(clusters, drawn, utility)
    if whole:
        _check_whole(drawn, utility)
    return drawn


def again(sample: DrawnSample | None) -> str:
    """The options of `utility ask` that draw the same sample; nothing without one."""
    if sample is None:
        return ""
    seed = f"--seed {sample.seed} " if sample.seed else ""
    return f"--sample {sample.clusters} {seed}"


def _ordered(clusters: Sequence[Cluster], k: int, seed: int) -> list[Cluster]:
    choices = [cluster for cluster in clusters if len(cluster.members) > k]
    return sorted(choices, key=lambda c: seeded_hash("rated sample", seed, *sorted(c.members)))


def _sha256(ordered: Sequence[Cluster]) -> str:
    return sha256_json([sorted(cluster.members) for cluster in ordered])


def _all(clusters: Sequence[Cluster], k: int, utility: Utility) -> tuple[Cluster, ...]:
    choices = tuple(cluster for cluster in clusters if len(cluster.members) > k)
    if missing := _missing(choices, utility):
        raise UtilityError(
            f"utility {utility.name}: {len(missing)} items of the clusters have no rating, and "
            "those that have one are not of a random sample that selectllm drew, so a judge "
            "cannot stand in for the rest (gate.assisted_by). Draw one and have it rated: "
            f"{HOW}"
        )
    return choices


def _missing(clusters: Collection[Cluster], utility: Utility) -> list[str]:
    members = (member for cluster in clusters for member in cluster.members)
    return [member for member in members if member not in utility.values]


def _check_outside(
    clusters: Sequence[Cluster], drawn: Collection[Cluster], utility: Utility
) -> None:
    within = {member for cluster in drawn for member in cluster.members}
    members = {member for cluster in clusters for member in cluster.members}
    outside = [item_id for item_id in utility.values if item_id in members - within]
    if outside:
        raise UtilityError(
            f"utility {utility.name}: {len(outside)} rated items are not in the {len(drawn)} "
            f"clusters that were drawn: {listed(outside)}. The ratings file was changed: import "
            "the sheets of the sample again"
        )


def _check_whole(drawn: Collection[Cluster], utility: Utility) -> None:
    if missing := _missing(drawn, utility):
        items = sum(len(cluster.members) for cluster in drawn)
        raise UtilityError(
            f"utility {utility.name}: {len(missing)} of the {items} items of the {len(drawn)} "
            f"sampled clusters are not rated: {listed(missing)}. Ask for them with selectllm "
            f"utility ask SUITE {again(utility.sample)}--rated RATINGS -o sheet.csv, and import "
            "the sheet with --add RATINGS"
        )
