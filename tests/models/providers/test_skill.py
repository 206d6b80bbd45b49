"""mock/skill:S: what a simulated picker picks, for any cluster, utility and skill."""

from __future__ import annotations

import asyncio
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.types import Item, Question
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.mock import MockModel

skills = st.floats(0, 1)
utilities = st.lists(st.integers(1, 5).map(float), min_size=2, max_size=12).map(
    lambda values: {f"item-{number}": value for number, value in enumerate(values)}
)
seeds = st.integers(0, 2**31)


def picked(
    model: str,
    utility: Mapping[str, float],
    k: int,
    seeds: Iterable[int],
    *,
    name: str = "",
    order: Sequence[str] = (),
) -> list[list[str]]:
    """The ids that `model` picks of all items, best first, once for each seed."""
    shown = tuple(Item(item_id, "x") for item_id in order or utility)
    question = Question(shown, tuple(str(n) for n in range(1, len(shown) + 1)), k, "indices")
    spec = ModelSpec(name or model, model)
    asked = MockModel(spec, utility)

    async def replies() -> list[str]:
        requests = [Request(spec, (), question, seed=seed) for seed in seeds]
        return [(await asked.complete(request)).text for request in requests]

    return [
        [shown[int(label) - 1].id for label in text.strip("[]").split(",")]
        for text in asyncio.run(replies())
    ]


def captured(picks: Sequence[str], utility: Mapping[str, float]) -> float:
    """The share of the possible gain over random picks."""
    chance = statistics.fmean(utility.values()) * len(picks)
    best = sum(sorted(utility.values())[-len(picks) :])
    return (sum(utility[item_id] for item_id in picks) - chance) / (best - chance)


@pytest.mark.parametrize("skill", [0, 0.2, 0.5, 0.9, 1])
@pytest.mark.parametrize(("size", "k"), [(3, 1), (10, 2), (10, 6)])
def test_what_it_captures_on_average_is_its_skill(skill: float, size: int, k: int) -> None:
    random = Random(size)
    utility = {f"item-{number}": random.random() for number in range(size)}
    picks = picked(f"mock/skill:{skill}", utility, k, range(800))
    shares = [captured(these, utility) for these in picks]
    error = statistics.stdev(shares) / math.sqrt(len(shares))
    assert statistics.fmean(shares) == pytest.approx(skill, abs=4 * error + 1e-9)


@given(utility=utilities, skill=skills, seed=seeds, random=st.randoms(use_true_random=False))
def test_the_order_in_which_items_are_shown_changes_no_pick(
    utility: dict[str, float], skill: float, seed: int, random: Random
) -> None:
    k, model = random.randint(1, len(utility)), f"mock/skill:{skill}"
    order = random.sample(list(utility), len(utility))
    as_they_come = picked(model, utility, k, [seed, seed])
    assert picked(model, utility, k, [seed, seed], order=order) == as_they_come


@given(utility=utilities, seed=seeds, more=skills, less=skills)
def test_under_one_name_more_skill_never_picks_worse_where_it_picks_best_already(
    utility: dict[str, float], seed: int, more: float, less: float
) -> None:
    """Under one name the draws are one: between two skills a cluster is as of 0 or as of 1."""
    none, some, most, all_ = (
        picked(f"mock/skill:{skill}", utility, 1, [seed], name="m")
        for skill in (0, min(more, less), max(more, less), 1)
    )
    assert some in (none, all_)
    assert most in (none, all_)
    if some == all_:
        assert most == all_


@given(values=st.sets(st.floats(-1e6, 1e6), min_size=2, max_size=12), seed=seeds)
def test_a_skill_of_1_is_the_oracle(values: set[float], seed: int) -> None:
    utility = {f"item-{value}": value for value in values}
    k = len(utility) // 2
    assert picked("mock/skill:1", utility, k, [seed]) == picked("mock/oracle", utility, k, [seed])


def test_a_skill_of_0_picks_each_item_equally_often_and_knows_no_utility() -> None:
    utility = {f"item-{number}": float(number) for number in range(4)}
    picks = picked("mock/skill:0", utility, 1, range(1000))
    counts = [picks.count([item_id]) for item_id in utility]
    assert all(200 < count < 300 for count in counts)
    other = {item_id: -value for item_id, value in utility.items()}
    assert picked("mock/skill:0", other, 1, range(1000)) == picks


def test_two_names_draw_independently() -> None:
    utility = {f"item-{number}": float(number) for number in range(4)}
    a, b = (picked("mock/skill:0", utility, 1, range(1000), name=name) for name in "ab")
    alike = sum(one == other for one, other in zip(a, b, strict=True))
    assert 200 < alike < 300  # one of four items, by chance
