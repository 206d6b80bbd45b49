"""mock/skill:S: what a simulated picker picks, for any cluster, utility and skill."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from selectllm.core.errors import ModelError
from selectllm.core.types import Item, Question
from selectllm.models.model import ModelSpec, Request, Vote
from selectllm.models.providers.mock import NO_ANSWER, MockModel
from selectllm.prompting.replies.formats import write_reply
from selectllm.prompting.replies.scale import read_point

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
    ids = [*(order or utility)]
    return [
        [ids[int(label) - 1] for label in text.strip("[]").split(",")]
        for text in replies(model, ids, seeds, utility, k=k, name=name)
    ]


def replies(
    model: str,
    order: Sequence[str],
    seeds: Iterable[int],
    utility: Mapping[str, float],
    *,
    k: int = 1,
    name: str = "",
) -> list[str]:
    """What `model` replies when it is shown the items in this order, once for each seed."""
    shown = tuple(Item(item_id, "x") for item_id in order)
    question = Question(shown, tuple(str(n) for n in range(1, len(shown) + 1)), k, "indices")
    spec = ModelSpec(name or model, model)
    asked = MockModel(spec, utility)

    async def all_of_them() -> list[str]:
        requests = [Request(spec, (), question, seed=seed) for seed in seeds]
        return [(await asked.complete(request)).text for request in requests]

    return asyncio.run(all_of_them())


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


# --- faults: an order bias and replies of no use


@pytest.mark.parametrize(
    ("skill", "first", "invalid"), [(0.8, 0.25, 0.1), (1, 0.5, 0), (0.6, 0, 0.3)]
)
def test_with_faults_it_captures_what_these_leave_of_its_skill(
    skill: float, first: float, invalid: float
) -> None:
    """S x (1 - B) x (1 - I): a reply of no use is worth what chance is, and so is a place."""
    random = Random(7)
    utility = {f"item-{number}": random.random() for number in range(10)}
    shares, unusable = [], 0
    for seed in range(1500):
        order = random.sample(list(utility), len(utility))
        (reply,) = replies(
            f"mock/skill:{skill},first:{first},invalid:{invalid}", order, [seed], utility
        )
        labels = re.findall(r"\d+", reply)
        unusable += not labels
        picks = [order[int(label) - 1] for label in labels]
        shares.append(captured(picks, utility) if picks else 0.0)
    error = statistics.stdev(shares) / math.sqrt(len(shares))
    expected = skill * (1 - first) * (1 - invalid)
    assert statistics.fmean(shares) == pytest.approx(expected, abs=4 * error)
    assert binomtest(unusable, 1500, invalid).pvalue > 0.001


def test_an_answer_of_no_use_stays_so_however_often_it_is_asked_for() -> None:
    utility = {"a": 1.0, "b": 2.0}
    model = "mock/skill:1,invalid:0.5"
    drawn = replies(model, ["a", "b"], range(50), utility)
    assert drawn == replies(model, ["a", "b"], range(50), utility)
    assert {reply == NO_ANSWER for reply in drawn} == {True, False}


def test_its_bias_is_for_a_place_and_not_for_an_item() -> None:
    utility = {"a": 1.0, "b": 2.0, "c": 3.0}
    for order in (["a", "b", "c"], ["c", "a", "b"]):
        assert set(replies("mock/skill:1,first:1", order, range(20), utility)) == {"[1]"}


def test_its_bias_is_drawn_for_each_order_and_its_skill_is_not() -> None:
    utility = {f"item-{number}": float(number) for number in range(6)}
    random, model = Random(3), "mock/skill:0.7,first:0.4"
    orders = [random.sample(list(utility), 6) for _ in range(400)]
    (best,) = picked("mock/skill:0.7", utility, 1, [0])
    chosen = [picked(model, utility, 1, [0], order=order)[0] for order in orders]
    swayed = sum(pick == [order[0]] != best for pick, order in zip(chosen, orders, strict=True))
    assert all(pick in (best, [order[0]]) for pick, order in zip(chosen, orders, strict=True))
    assert binomtest(swayed, 400, 0.4 * 5 / 6).pvalue > 0.001


@given(seed=seeds, k=st.integers(1, 3))
def test_votes_of_one_picker_combine_the_same_ballots_whatever_their_names(
    seed: int, k: int
) -> None:
    items = tuple(Item(str(number), "x") for number in range(6))
    utility = {item.id: 1.0 for item in items}
    question = Question(items, tuple("123456"), k, "indices")
    votes = (Vote(orders=7), Vote(orders=7, first=2, until=0.8))
    texts = set()
    for name, vote in zip(("fixed", "adaptive"), votes, strict=True):
        spec = ModelSpec(name, "mock/skill:0.5,first:0.3,invalid:0.1", vote=vote)
        request = Request(spec, (), question, seed=seed)
        texts.add(asyncio.run(MockModel(spec, utility).complete(request)).text)
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("skill:0.5,first:2", "first: '2' is not a share from 0 to 1"),
        ("skill:0.5,invalid:x", "invalid: 'x' is not a share from 0 to 1"),
        ("skill:0.5,firts:0.1", "'firts:0.1' is not a setting of a simulated picker"),
        ("skill:0.5,first:0.1,first:0.2", "'first:0.2' is not a setting of a simulated picker"),
    ],
)
def test_a_fault_that_is_none_is_an_error(name: str, words: str) -> None:
    with pytest.raises(ModelError, match=re.escape(words)):
        MockModel(ModelSpec("m", f"mock/{name}"), {"a": 1.0})


@given(utility=utilities, skill=skills, seed=seeds)
def test_it_is_of_one_mind_in_whatever_way_it_is_asked(
    utility: dict[str, float], skill: float, seed: int
) -> None:
    """One item at a time or two at a time, what it says is the one ranking that it has."""
    items = tuple(Item(item_id, "x") for item_id in utility)
    spec = ModelSpec("m", f"mock/skill:{skill}")
    asked = MockModel(spec, utility, write_reply)
    (ranking,) = picked(f"mock/skill:{skill}", utility, len(items), [seed], name="m")

    def said(question: Question, most: int | None = None) -> str:
        request = Request(spec, (), question, seed=seed, top_logprobs=most)
        return asyncio.run(asked.complete(request)).text

    for better, worse in itertools.combinations(ranking[:4], 2):
        for shown in ((better, worse), (worse, better)):
            two = tuple(Item(item_id, "x") for item_id in shown)
            label = said(Question(two, ("A", "B"), 1, "choice", cluster=items))
            assert shown["AB".index(label)] == better
    points, values = tuple("12345"), (1.0, 2.0, 3.0, 4.0, 5.0)
    by_value = []
    for item_id in ranking:
        question = Question((Item(item_id, "x"),), points, 1, "digit", scale=values, cluster=items)
        scores = read_point(said(question, 20), question, False).scores
        assert scores is not None
        by_value.append(scores[0])
    assert by_value == sorted(by_value, reverse=True)
    assert (by_value[0], by_value[-1]) == pytest.approx((5, 1))
