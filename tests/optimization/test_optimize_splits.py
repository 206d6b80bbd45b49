"""The clusters of a search are divided by seed, share nothing, and are enough or refused."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import SuiteError
from selectllm.core.types import Cluster
from selectllm.optimization.splits import LEAST, NAMES, NEEDED, Splits, split

SIZE = 4


def clusters(count: int, groups: int = 0) -> list[Cluster]:
    return [
        Cluster(
            number,
            tuple(f"i{number}-{each}" for each in range(SIZE)),
            f"g{number % groups}" if groups else None,
        )
        for number in range(count)
    ]


def utility(found: list[Cluster], flat: int = 0) -> dict[str, float]:
    """Distinct within each cluster, but for the first `flat` ones."""
    return {
        member: 0.0 if cluster.id < flat else float(place)
        for cluster in found
        for place, member in enumerate(cluster.members)
    }


def divided(found: list[Cluster], seed: int = 0, flat: int = 0) -> Splits:
    return split(found, utility(found, flat), 1, seed)


@given(count=st.integers(NEEDED, 400), seed=st.integers(0, 10**6))
def test_every_deciding_cluster_is_in_one_split_and_each_has_enough(count: int, seed: int) -> None:
    found = clusters(count)
    splits = divided(found, seed)
    ids = [cluster.id for part in splits for cluster in part]
    assert sorted(ids) == list(range(count))
    assert all(splits.sizes[name] >= LEAST[name] for name in NAMES)


def test_shares_are_three_two_and_five_tenths() -> None:
    assert divided(clusters(200)).sizes == {
        "training": 60,
        "validation": 40,
        "confirmation": 100,
    }


def test_clusters_in_which_all_picks_are_equally_good_are_left_out_and_counted() -> None:
    splits = divided(clusters(60), flat=7)
    assert splits.left_out == 7
    assert min(cluster.id for part in splits for cluster in part) == 7


@given(groups=st.integers(12, 40), seed=st.integers(0, 1000))
def test_no_group_is_in_two_splits(groups: int, seed: int) -> None:
    splits = divided(clusters(200, groups), seed)
    homes: dict[str | None, set[str]] = {}
    for name in NAMES:
        for cluster in getattr(splits, name):
            homes.setdefault(cluster.group, set()).add(name)
    assert all(len(names) == 1 for names in homes.values())


def test_the_division_depends_on_seed_and_members_alone() -> None:
    found = clusters(100)
    shuffled = Random(0).sample(found, len(found))
    same = {name: {c.id for c in getattr(divided(shuffled), name)} for name in NAMES}
    assert same == {name: {c.id for c in getattr(divided(found), name)} for name in NAMES}
    assert divided(found, seed=1).sha256 != divided(found, seed=0).sha256


def test_too_few_clusters_are_refused_with_what_is_needed() -> None:
    message = (
        "needs 40 clusters .*10 for training, 10 for validation, 20 for confirmation. The suite "
        r"has 36 \(and 3 in which all picks are equally good\)"
    )
    with pytest.raises(SuiteError, match=message):
        divided(clusters(39), flat=3)


def test_groups_too_large_to_deal_are_refused() -> None:
    with pytest.raises(SuiteError, match=r"clusters\.group: the 2 groups cannot be divided"):
        divided(clusters(100, groups=2))
