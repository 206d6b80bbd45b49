"""The clusters of a run, divided into training, validation and confirmation. Pure.

Clusters share no items, so neither do the three; with `clusters.group` they share no group either.
Only clusters that decide are divided: where all picks are equally good there is nothing to learn,
and nothing to confirm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from selectllm.core.codec import seeded_hash, sha256_json
from selectllm.core.errors import SuiteError
from selectllm.core.types import Cluster
from selectllm.evaluation.runs.run import Run

NAMES = ("training", "validation", "confirmation")
SHARES: Mapping[str, Fraction] = {
    "training": Fraction(3, 10),
    "validation": Fraction(2, 10),
    "confirmation": Fraction(5, 10),
}
LEAST: Mapping[str, int] = {"training": 10, "validation": 10, "confirmation": 20}
NEEDED = sum(LEAST.values())


@dataclass(frozen=True, slots=True)
class Splits:
    """Every cluster that can decide anything, in one of three parts.

    Within a part they come in the order in which the run asks them. `left_out` is the number of
    clusters in the run that decide nothing.
    """

    training: tuple[Cluster, ...]
    validation: tuple[Cluster, ...]
    confirmation: tuple[Cluster, ...]
    left_out: int = 0

    def __iter__(self) -> Iterator[tuple[Cluster, ...]]:
        return iter((self.training, self.validation, self.confirmation))

    @property
    def sizes(self) -> dict[str, int]:
        """Clusters by split."""
        return {name: len(getattr(self, name)) for name in NAMES}

    @property
    def sha256(self) -> str:
        """Of the ids and members of all three."""
        return sha256_json([[[c.id, c.members] for c in getattr(self, name)] for name in NAMES])


def deciding(
    clusters: Iterable[Cluster], utility: Mapping[str, float], k: int
) -> tuple[Cluster, ...]:
    """The clusters in which one set of k picks can be better than another."""
    return tuple(
        cluster
        for cluster in clusters
        if len(cluster.members) > k and len({utility[member] for member in cluster.members}) > 1
    )


def split(clusters: Sequence[Cluster], utility: Mapping[str, float], k: int, seed: int) -> Splits:
    """Divide `clusters` at random: three tenths, two tenths and five tenths, none below LEAST.

    If the clusters belong to groups, a group stays in one part. The result depends on `seed` and
    the items alone. Raises SuiteError if there are too few clusters, and says how many are needed.
    """
    found = deciding(clusters, utility, k)
    left_out = len(clusters) - len(found)
    if len(found) < NEEDED:
        beside = f" (and {left_out} in which all picks are equally good)" if left_out else ""
        raise SuiteError(
            f"optimize needs {NEEDED} clusters that can tell good picks from bad ones, {_least()}. "
            f"The suite has {len(found)}{beside}. Use a larger pool or a smaller clusters.size, or "
            "raise clusters.limit"
        )
    dealt = _deal(found, seed, _targets(len(found)))
    parts = {name: tuple(c for c in found if dealt[c.id] == name) for name in NAMES}
    splits = Splits(**parts, left_out=left_out)
    for name, least in LEAST.items():
        if splits.sizes[name] < least:
            raise SuiteError(
                f"clusters.group: the {len(_units(found))} groups cannot be divided so that each "
                f"split has enough clusters: {name} would have {splits.sizes[name]} and needs "
                f"{least}. Use a column with more and smaller groups, or a larger pool"
            )
    return splits


def splits_of(run: Run) -> Splits:
    """The clusters of `run`, divided by the utility that decides. Raises as `split` does."""
    assert run.headline is not None
    return split(run.clusters, run.headline.values, run.suite.picks, run.suite.seed)


def _least() -> str:
    return ", ".join(f"{least} for {name}" for name, least in LEAST.items())


def _targets(count: int) -> dict[str, int]:
    """How many clusters each split is to have: its share, but never less than LEAST."""
    validation = max(LEAST["validation"], round(SHARES["validation"] * count))
    most = count - validation - LEAST["confirmation"]
    training = max(LEAST["training"], min(round(SHARES["training"] * count), most))
    return {
        "training": training,
        "validation": validation,
        "confirmation": count - training - validation,
    }


def _units(clusters: Iterable[Cluster]) -> dict[tuple[str, ...], list[Cluster]]:
    """What is dealt whole: a group, or a cluster that has none."""
    units: dict[tuple[str, ...], list[Cluster]] = {}
    for cluster in clusters:
        key = cluster.members if cluster.group is None else ("group", cluster.group)
        units.setdefault(key, []).append(cluster)
    return units


def _deal(clusters: Sequence[Cluster], seed: int, targets: Mapping[str, int]) -> dict[int, str]:
    """The split of each cluster by id: in seeded order, each unit to whom most is still owed."""
    owed = dict(targets)
    dealt: dict[int, str] = {}
    units = _units(clusters)
    for key in sorted(units, key=lambda key: (seeded_hash("optimize", seed, *key), key)):
        name = max(NAMES, key=lambda name: Fraction(owed[name], targets[name]))
        owed[name] -= len(units[key])
        dealt.update({cluster.id: name for cluster in units[key]})
    return dealt
