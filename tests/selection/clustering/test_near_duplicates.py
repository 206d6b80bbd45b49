"""Near-duplicates in cells: what is dropped is near a kept item, and hardly any pair is missed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Item
from selectllm.data.deduplicate import PairLimits, distinct, semantic_duplicates
from selectllm.selection.clustering.near_duplicates import InCells
from tests.support.made_vectors import Vectors, blobs, coarse_vectors, names, random_vectors, unit
from tests.support.other_workers import Elsewhere

thresholds = st.sampled_from([0.3, 0.8, 0.95, 1.0])
SLACK = 3e-6  # of float32 sums, and what counts as reaching a threshold


def items_of(vectors: Vectors, texts: list[str] | None = None) -> list[Item]:
    ids = names(len(vectors))
    return [Item(id, text) for id, text in zip(ids, texts or ids, strict=True)]


def in_cells(items: list[Item], vectors: Vectors, threshold: float) -> dict[str, str]:
    limits = PairLimits(up_to=0, beyond=InCells(items))
    return semantic_duplicates([item.id for item in items], vectors, threshold, limits=limits)


@given(coarse_vectors(), thresholds)
def test_what_is_dropped_is_near_an_earlier_item_that_is_kept(
    vectors: Vectors, threshold: float
) -> None:
    ids = names(len(vectors))
    for row, kept in in_cells(items_of(vectors), vectors, threshold).items():
        assert ids.index(kept) < ids.index(row)
        cosine = vectors[ids.index(kept)].astype(np.float64) @ vectors[ids.index(row)]
        assert cosine >= threshold - SLACK


def test_tight_bunches_come_out_as_by_all_pairs() -> None:
    vectors = blobs(count=60, each=30)
    exact = semantic_duplicates(names(len(vectors)), vectors, 0.8)
    assert len(exact) == 60 * 29
    assert in_cells(items_of(vectors), vectors, 0.8) == exact


def test_few_pairs_of_a_pool_without_bunches_are_missed() -> None:
    rng = np.random.default_rng(0)
    near = random_vectors(4_000, dim=64)
    vectors = unit(np.concatenate([near, near + 0.04 * rng.standard_normal(near.shape)]))
    exact = semantic_duplicates(names(len(vectors)), vectors, 0.92)
    found = in_cells(items_of(vectors), vectors, 0.92)
    assert len(exact) > 3_000
    assert found.keys() <= exact.keys()
    assert len(found) >= 0.8 * len(exact)  # hard: nothing but those pairs is anywhere near


def test_equal_words_are_compared_whatever_cells_they_are_in() -> None:
    rng = np.random.default_rng(0)
    near = random_vectors(2_000, dim=64)
    vectors = unit(np.concatenate([near, near + 0.04 * rng.standard_normal(near.shape)]))
    texts = [f"what is {number} plus one and why is that so" for number in range(2_000)] * 2
    exact = semantic_duplicates(names(len(vectors)), vectors, 0.92)
    assert in_cells(items_of(vectors, texts), vectors, 0.92) == exact


def test_it_does_not_depend_on_who_compares() -> None:
    vectors, far = blobs(count=40, each=30), Elsewhere()
    items = items_of(vectors)
    search = InCells(items, far)
    order = np.arange(len(vectors))
    np.testing.assert_array_equal(search(vectors, order, 0.8), InCells(items)(vectors, order, 0.8))
    assert far.sent > 0


def test_a_pool_above_the_limit_is_made_distinct() -> None:
    vectors = blobs(count=5, each=4)
    items = items_of(vectors)
    split = distinct(items, vectors, 0.8, limits=PairLimits(up_to=19, beyond=InCells(items)))
    assert split.kept == tuple(names(20)[::4])
    assert split.kept_for("item-000003") == "item-000000"
