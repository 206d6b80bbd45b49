"""What dropping duplicates promises: what is kept, what is dropped, and what stands for it."""

from __future__ import annotations

from pathlib import Path
from random import Random
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import EncoderError, UsageError
from selectllm.core.types import Item
from selectllm.data.deduplicate import (
    PairLimits,
    distinct,
    exact_duplicates,
    normalised,
    semantic_duplicates,
)
from tests.support.made_vectors import Vectors, blobs, coarse_vectors, names, random_vectors, unit

thresholds = st.sampled_from([0.3, 0.5, 0.8, 0.95, 1.0])
maybe_seeds = st.none() | st.integers(0, 5)
blocks = st.sampled_from([1, 3, 4_096])
short_texts = st.lists(st.text("aAéÉ \nß", max_size=4), min_size=1, max_size=12)
SLACK = 3e-6  # of float32 sums, and what counts as reaching a threshold


def made_items(texts: list[str]) -> list[Item]:
    return [Item(id, text) for id, text in zip(names(len(texts)), texts, strict=True)]


def dropped(
    vectors: Vectors, threshold: float, seed: int | None = None, block: int = 4_096
) -> dict[str, str]:
    return semantic_duplicates(
        names(len(vectors)), vectors, threshold, seed, PairLimits(block=block)
    )


def one_by_one(vectors: Vectors, threshold: float) -> dict[str, str]:
    """The definition: each row in turn against every row kept before it."""
    wide = vectors.astype(np.float64)
    ids = names(len(vectors))
    kept: list[int] = []
    repeats: dict[str, str] = {}
    for i, row in enumerate(wide):
        near = [j for j in kept if wide[j] @ row >= threshold - 1e-6]
        if near:
            repeats[ids[i]] = ids[near[0]]
        else:
            kept.append(i)
    return repeats


# The same text


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Name a river", "name  a\n\triver "),
        ("STRASSE", "straße"),
        ("caf\u00e9", "CAFE\u0301"),
        ("\u1fb4", "\u0391\u0345\u0301"),
        ("a\u00a0b", "a b"),
    ],
)
def test_case_white_space_and_composition_make_no_difference(a: str, b: str) -> None:
    assert exact_duplicates(made_items([a, b])) == {"item-000001": "item-000000"}


@pytest.mark.parametrize(
    ("a", "b"), [("2 + 2", "2 - 2"), ("Why?", "Why"), ("ab", "a b"), ("x²", "x2"), ("cafe", "café")]
)
def test_any_other_character_makes_a_difference(a: str, b: str) -> None:
    assert exact_duplicates(made_items([a, b])) == {}


def test_the_input_belongs_to_the_text_and_the_response_does_not() -> None:
    items = [
        Item("a", "Sum up", "one", response="x"),
        Item("b", "Sum up", "two", response="x"),
        Item("c", "Sum up", "ONE", response="y"),
    ]
    assert exact_duplicates(items) == {"c": "a"}


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)
    assert normalised(normalize("NFD", text)) == normalised(text)


@given(short_texts)
def test_the_first_of_each_text_is_kept_and_stands_for_the_others(texts: list[str]) -> None:
    items = made_items(texts)
    repeats = exact_duplicates(items)
    first: dict[str, str] = {}
    for item in items:
        first.setdefault(normalised(item.text), item.id)
    assert repeats == {
        item.id: first[normalised(item.text)]
        for item in items
        if first[normalised(item.text)] != item.id
    }


@given(short_texts, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_decides_only_which_one_of_a_text_is_kept(
    texts: list[str], random: Random
) -> None:
    items = made_items(texts)
    shuffled = random.sample(items, len(items))

    def kept(items: list[Item]) -> list[str]:
        repeats = exact_duplicates(items)
        return sorted(normalised(item.text) for item in items if item.id not in repeats)

    assert kept(shuffled) == kept(items)


# Near by cosine


@given(coarse_vectors(), thresholds, maybe_seeds, blocks)
def test_kept_items_are_pairwise_below_the_threshold(
    vectors: Vectors, threshold: float, seed: int | None, block: int
) -> None:
    repeats = dropped(vectors, threshold, seed, block)
    kept = [i for i, id in enumerate(names(len(vectors))) if id not in repeats]
    cosine = vectors[kept].astype(np.float64) @ vectors[kept].T.astype(np.float64)
    np.fill_diagonal(cosine, -1)
    assert cosine.max() < threshold


@given(coarse_vectors(), thresholds, maybe_seeds, blocks)
def test_every_dropped_item_has_a_kept_one_at_the_threshold_or_above(
    vectors: Vectors, threshold: float, seed: int | None, block: int
) -> None:
    repeats = dropped(vectors, threshold, seed, block)
    row = {id: vectors[i].astype(np.float64) for i, id in enumerate(names(len(vectors)))}
    assert not set(repeats) & set(repeats.values())
    assert all(row[id] @ row[kept] >= threshold - SLACK for id, kept in repeats.items())


@given(coarse_vectors(), thresholds, maybe_seeds)
def test_what_is_kept_has_no_duplicates_left(
    vectors: Vectors, threshold: float, seed: int | None
) -> None:
    ids = names(len(vectors))
    repeats = dropped(vectors, threshold, seed)
    kept = [i for i, id in enumerate(ids) if id not in repeats]
    assert semantic_duplicates([ids[i] for i in kept], vectors[kept], threshold, seed) == {}


@given(coarse_vectors(), thresholds, blocks)
def test_blocks_give_what_one_row_at_a_time_gives(
    vectors: Vectors, threshold: float, block: int
) -> None:
    assert dropped(vectors, threshold, None, block) == one_by_one(vectors, threshold)


@given(coarse_vectors(), thresholds, st.integers(0, 5), st.randoms(use_true_random=False))
def test_with_a_seed_the_order_of_the_rows_changes_nothing(
    vectors: Vectors, threshold: float, seed: int, random: Random
) -> None:
    ids = names(len(vectors))
    order = random.sample(range(len(ids)), len(ids))
    shuffled = semantic_duplicates([ids[i] for i in order], vectors[order], threshold, seed)
    assert shuffled == dropped(vectors, threshold, seed)


def test_a_tight_bunch_leaves_its_first_item() -> None:
    vectors = blobs(count=5, each=20, dim=64)
    repeats = dropped(vectors, 0.6)
    ids = names(100)
    assert repeats == {ids[i]: ids[i // 20 * 20] for i in range(100) if i % 20}


def test_the_seed_decides_which_of_a_bunch_is_kept() -> None:
    vectors = np.repeat(random_vectors(1), 50, axis=0)
    kept = [set(dropped(vectors, 1.0, seed).values()) for seed in (0, 0, 1)]
    assert kept[0] == kept[1] != kept[2]


@pytest.mark.parametrize("dim", [3, 384])
def test_identical_vectors_reach_a_threshold_of_one(dim: int) -> None:
    vectors = np.repeat(random_vectors(100, dim), 2, axis=0)
    ids = names(200)
    assert dropped(vectors, 1.0) == {ids[i]: ids[i - 1] for i in range(1, 200, 2)}


def test_a_single_item_and_none_at_all_have_no_duplicates() -> None:
    assert dropped(random_vectors(1), 0.5) == {}
    assert dropped(random_vectors(0), 0.5) == {}


def test_vectors_may_be_a_read_only_memory_map(tmp_path: Path) -> None:
    vectors = blobs(count=3, each=4)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert dropped(mapped, 0.6) == dropped(vectors, 0.6) != {}


# Both


@given(coarse_vectors(), thresholds, maybe_seeds, st.data())
def test_every_item_is_kept_or_has_a_kept_one_that_stands_for_it(
    vectors: Vectors, threshold: float, seed: int | None, data: st.DataObject
) -> None:
    size = len(vectors)
    texts = data.draw(st.lists(st.sampled_from("abcdefAB"), min_size=size, max_size=size))
    items = made_items(texts)
    result = distinct(items, vectors, threshold, seed)
    assert not set(result.exact) & set(result.semantic)
    assert sorted([*result.kept, *result.exact, *result.semantic]) == names(size)
    assert {result.kept_for(item.id) for item in items} == set(result.kept)
    assert all(result.kept_for(id) == id for id in result.kept)


def test_a_repeat_of_a_dropped_item_leads_to_the_kept_one() -> None:
    vectors = unit(np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.1], [0.0, 1.0]]))
    items = [
        Item("a", "A river?"),
        Item("b", "Some river?"),
        Item("c", "some RIVER?"),
        Item("d", "x"),
    ]
    result = distinct(items, vectors, 0.9)
    assert (result.kept, result.exact, result.semantic) == (("a", "d"), {"c": "b"}, {"b": "a"})
    assert [result.kept_for(item.id) for item in items] == ["a", "a", "a", "d"]


def test_without_vectors_only_texts_are_compared() -> None:
    result = distinct([Item("a", "x"), Item("b", "X"), Item("c", "y")])
    assert (result.kept, result.exact, result.semantic) == (("a", "c"), {"b": "a"}, {})


# Bad input


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.01, float("nan")])
def test_a_threshold_that_is_no_cosine_above_zero_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="threshold must be a cosine"):
        dropped(random_vectors(3), threshold)


def test_too_many_items_are_refused_but_exact_duplicates_do_not_count() -> None:
    limits = PairLimits(up_to=3)
    vectors = random_vectors(4)
    with pytest.raises(UsageError, match=r"up to 3 items, and there are 4"):
        semantic_duplicates(names(4), vectors, 0.9, limits=limits)
    repeating = made_items(["a", "b", "c", "A"])
    assert len(distinct(repeating, vectors, 1.0, limits=limits).kept) == 3


def test_repeated_ids_are_refused() -> None:
    with pytest.raises(UsageError, match="1 of 3 ids appear more than once"):
        semantic_duplicates(["a", "b", "a"], random_vectors(3), 0.9)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, 0.0])
def test_a_faulty_row_is_named(value: float) -> None:
    vectors = random_vectors(5)
    vectors[3] = value
    with pytest.raises(EncoderError, match="row 3 of the vectors is not finite or not of length 1"):
        dropped(vectors, 0.9)


def test_vectors_of_other_items_are_refused() -> None:
    with pytest.raises(EncoderError, match=r"2 items need vectors of shape \(2, dim\), got \(3, 8"):
        semantic_duplicates(["a", "b"], random_vectors(3), 0.9)
