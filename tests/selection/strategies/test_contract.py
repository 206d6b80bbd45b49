"""What every strategy promises, whatever it goes by.

Exactly N items, the same again, nothing by the order of the file, ties by the seeded draw alone,
vectors from a memory map as from memory.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selectllm.core.types import Item
from selectllm.selection.strategies import STRATEGIES, Candidates, Strategy, find_strategy
from tests.support.made_vectors import names, random_vectors, unit

BY_PLACE = ("first", "slot:2")
"""Those that go by where items stand, and draw nothing."""
ALL = (
    *STRATEGIES,
    *("slot:2", "oracle:rating", "rating:quality@1+mock/first", "open-endedness:mock/first"),
    *("perplexity-low:folder", "ifd:some/model"),
    *("token-uncertainty:a/m", "margin:a/m", "mean-entropy:a/m", "answer-divergence:a/m"),
    *("facility-location:mean-entropy:a/m", "facility-location:margin:a/m"),
    *("task-confidence:topic", "per:topic:longest", "equal-per:topic:k-center"),
    *("score-first:0.9:longest", "score-first:0.5:oracle:rating", "score-first:1:random"),
)

WORDS = ["ask", "Tell", "why", "42", ""]
seeds = st.integers(-1, 3)
each = settings(max_examples=10)  # of each of two dozen strategies


@st.composite
def pools(draw: st.DrawFn) -> Candidates:
    """Short texts, few coordinates and few values, so that repeats and ties are common."""
    count = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))

    def text() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(0, 6)))

    topics = [{"topic": int(topic)} for topic in rng.integers(0, 3, count)]
    items = [
        Item(id, text() or "x", text(), text(), row)
        for id, row in zip(names(count), topics, strict=True)
    ]
    coarse = rng.integers(1, draw(st.sampled_from([2, 4, 1000])), (count, 3))
    vectors = unit(coarse * rng.choice([-1.0, 1.0], (count, 3)))
    values = rng.integers(0, 4, count) / 2
    return Candidates(items, draw(seeds), vectors, values)


def shuffled(pool: Candidates, random: Random) -> Candidates:
    order = list(range(len(pool.items)))
    random.shuffle(order)
    return pool.only(np.array(order))


def alike(count: int, seed: int = 0) -> Candidates:
    """Items that nothing but their ids tells apart."""
    items = [Item(id, "the same text", "", "the same", {"topic": "a"}) for id in names(count)]
    return Candidates(items, seed, unit(np.ones((count, 4))), np.ones(count))


def varied(count: int, seed: int = 0) -> Candidates:
    """Items of different texts, vectors and values."""
    items = [
        Item(id, id * (1 + number % 7), "", id, {"topic": number % 3})
        for number, id in enumerate(names(count))
    ]
    values = np.random.default_rng(1).random(count)
    return Candidates(items, seed, random_vectors(count), values)


def chosen(strategy: Strategy, pool: Candidates, n: int) -> list[str]:
    return [pool.items[position].id for position in strategy.choose(pool, n)]


@pytest.mark.parametrize("name", ALL)
@each
@given(pool=pools(), data=st.data())
def test_exactly_n_distinct_items_come_out_and_the_same_ones_again(
    name: str, pool: Candidates, data: st.DataObject
) -> None:
    strategy = find_strategy(name)
    n = data.draw(st.sampled_from([1, len(pool.items), (len(pool.items) + 1) // 2]))
    ids = chosen(strategy, pool, n)
    assert len(ids) == len(set(ids)) == n
    assert chosen(strategy, pool, n) == ids


@pytest.mark.parametrize("name", [name for name in ALL if name not in BY_PLACE])
@each
@given(pool=pools(), random=st.randoms(use_true_random=False), data=st.data())
def test_the_order_of_the_file_changes_nothing(
    name: str, pool: Candidates, random: Random, data: st.DataObject
) -> None:
    strategy = find_strategy(name)
    n = data.draw(st.integers(1, len(pool.items)))
    assert chosen(strategy, shuffled(pool, random), n) == chosen(strategy, pool, n)


@pytest.mark.parametrize("name", [name for name in ALL if find_strategy(name).ranks])
@each
@given(pool=pools(), data=st.data())
def test_a_larger_n_only_adds_to_a_ranking(
    name: str, pool: Candidates, data: st.DataObject
) -> None:
    strategy = find_strategy(name)
    n = data.draw(st.integers(1, len(pool.items)))
    assert chosen(strategy, pool, len(pool.items))[:n] == chosen(strategy, pool, n)


@pytest.mark.parametrize("name", ALL)
def test_a_pool_of_one_and_one_of_equal_items_can_be_selected_from(name: str) -> None:
    strategy = find_strategy(name)
    for count in (1, 5):
        for n in (1, count):
            assert len(set(strategy.choose(alike(count), n))) == n


@pytest.mark.parametrize("name", [name for name in ALL if name not in BY_PLACE])
def test_what_nothing_tells_apart_is_told_apart_by_the_seeded_draw_alone(name: str) -> None:
    strategy = find_strategy(name)
    for n in (1, 7, 50):
        draws = [tuple(strategy.choose(alike(50, seed), n)) for seed in (0, 0, 1)]
        assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("name", ALL)
def test_any_whole_number_is_a_seed(name: str) -> None:
    for seed in (-1, 2**40):
        assert len(find_strategy(name).choose(varied(30, seed), 10)) == 10


@pytest.mark.parametrize("name", ALL)
def test_all_items_can_be_asked_for_by_their_positions(name: str) -> None:
    for count in (1, 2, 3, 60):
        positions = find_strategy(name).choose(varied(count), count)
        assert sorted(positions) == list(range(count))
        assert {type(position) for position in positions} == {int}


VECTORS = [name for name in ALL if find_strategy(name).needs_vectors]


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_may_be_a_read_only_memory_map(name: str, tmp_path: Path) -> None:
    strategy, pool = find_strategy(name), varied(40)
    np.save(tmp_path / "vectors.npy", pool.vectors)
    mapped = replace(pool, vectors=np.load(tmp_path / "vectors.npy", mmap_mode="r"))
    assert strategy.choose(mapped, 10) == strategy.choose(pool, 10)


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_are_needed_by_those_that_say_so(name: str) -> None:
    items = [Item(id, "text", row={"topic": "one"}) for id in ("a", "b")]
    without = Candidates(items, 0, None, np.ones(2))
    with pytest.raises(ValueError, match="needs vectors"):
        find_strategy(name).choose(without, 1)
