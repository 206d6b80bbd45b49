"""Votes: ballots on one cluster add up to one decision, whatever their order and the names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Decision, Item, Status
from selectllm.models.model import ModelSpec, Rule, Vote
from selectllm.models.providers.mock import MockModel
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.selector import Selector
from selectllm.selection.task import Task, calls_per_decision, most_calls, with_ballots
from selectllm.selection.voting import RULES, Ballot, borda, combine, elect

ITEMS = tuple(f"item-{number}" for number in range(7))
BY = pytest.mark.parametrize("rule", sorted(RULES))
rules = st.sampled_from(sorted(RULES))
rankings = st.permutations(ITEMS).map(tuple)
sizes = st.integers(1, len(ITEMS) - 1)


def by_hash(item: str) -> int:
    return seeded_hash("test", item)


@st.composite
def ballots(draw: st.DrawFn, k: int, least: int = 1) -> list[Ballot]:
    """Ballots as models cast them: rankings, k picks, or fewer."""
    cast = []
    for _ in range(draw(st.integers(least, 5))):
        ranking, length = draw(rankings), draw(st.integers(1, k))
        ranks = draw(st.booleans())
        cast.append(Ballot(ranking[:k], ranking) if ranks else Ballot(ranking[:length]))
    return cast


@st.composite
def elections(draw: st.DrawFn) -> tuple[list[Ballot], int, Rule]:
    k = draw(sizes)
    return draw(ballots(k)), k, draw(rules)


# --- the settings


@pytest.mark.parametrize(
    ("vote", "asked", "rule"),
    [
        (Vote(orders=3), 3, "borda"),
        (Vote(repeats=5), 5, "majority"),
        (Vote(orders=2, repeats=3), 6, "borda"),
        (Vote(orders=3, by="majority"), 3, "majority"),
        (Vote(repeats=5, by="borda"), 5, "borda"),
    ],
)
def test_several_orders_are_counted_by_borda_and_repeats_by_majority_unless_told(
    vote: Vote, asked: int, rule: str
) -> None:
    assert (vote.ballots, vote.rule) == (asked, rule)
    assert vote.fields()["by"] == rule


# --- borda


@given(st.lists(rankings, min_size=1, max_size=5))
def test_points_of_rankings_are_the_ranks_that_scipy_gives_summed(
    orders: list[tuple[str, ...]],
) -> None:
    found = borda([Ballot(order[:2], order) for order in orders], ITEMS)
    for item in ITEMS:
        assert found[item] == sum(len(ITEMS) - 1 - order.index(item) for order in orders)


@given(st.data())
def test_tied_candidates_get_the_mean_of_their_places_as_in_scipys_average_ranks(
    data: st.DataObject,
) -> None:
    cast = data.draw(ballots(data.draw(sizes)))
    expected = np.zeros(len(ITEMS))
    for ballot in cast:
        if ballot.ranking is not None:
            height = [-ballot.ranking.index(item) for item in ITEMS]
        else:
            height = [int(item in ballot.picks) for item in ITEMS]
        expected += rankdata(height, method="average") - 1
    assert list(borda(cast, ITEMS).values()) == expected.tolist()


def test_three_picks_of_five_get_three_points_each_and_the_rest_half_a_point() -> None:
    points = borda([Ballot(("c", "a", "e"))], "abcde")
    assert points == {"a": 3.0, "b": 0.5, "c": 3.0, "d": 0.5, "e": 3.0}


@given(st.data())
def test_of_ballots_with_k_picks_alone_borda_elects_whom_the_majority_does(
    data: st.DataObject,
) -> None:
    k = data.draw(sizes)
    cast = [Ballot(order[:k]) for order in data.draw(st.lists(rankings, min_size=1, max_size=5))]
    by_points, by_count = (combine(cast, ITEMS, k, rule, by_hash) for rule in ("borda", "majority"))
    assert by_points == by_count


# --- what is elected


@given(elections())
def test_picks_are_distinct_named_on_a_ballot_and_k_where_enough_are_named(
    election: tuple[list[Ballot], int, Rule],
) -> None:
    cast, k, rule = election
    elected = combine(cast, ITEMS, k, rule, by_hash)
    named = {item for ballot in cast for item in ballot.picks}
    if rule == "borda" and any(ballot.ranking for ballot in cast):
        named = set(ITEMS)
    assert len(set(elected.picks)) == len(elected.picks) == min(k, len(named))
    assert set(elected.picks) <= named


@given(elections(), st.randoms(use_true_random=False))
def test_neither_the_order_of_the_ballots_nor_that_of_the_candidates_matters(
    election: tuple[list[Ballot], int, Rule], random: Random
) -> None:
    cast, k, rule = election
    elected = combine(cast, ITEMS, k, rule, by_hash)
    shuffled, items = list(cast), list(ITEMS)
    random.shuffle(shuffled)
    random.shuffle(items)
    assert combine(shuffled, items, k, rule, by_hash) == elected


@given(elections(), rankings)
def test_other_names_for_the_items_change_nothing_but_the_names(
    election: tuple[list[Ballot], int, Rule], names: tuple[str, ...]
) -> None:
    cast, k, rule = election
    new = dict(zip(ITEMS, (f"new-{name}" for name in names), strict=True))
    old = {name: item for item, name in new.items()}

    def renamed(items: Sequence[str] | None) -> tuple[str, ...] | None:
        return None if items is None else tuple(new[item] for item in items)

    others = [Ballot(renamed(b.picks) or (), renamed(b.ranking)) for b in cast]
    found = combine(others, list(old), k, rule, lambda name: by_hash(old[name]))
    elected = combine(cast, ITEMS, k, rule, by_hash)
    assert found.picks == renamed(elected.picks)
    assert (found.ranking, found.tied) == (renamed(elected.ranking), elected.tied)


@given(rankings, sizes, st.integers(1, 5))
def test_ballots_that_agree_give_their_ranking(order: tuple[str, ...], k: int, count: int) -> None:
    elected = combine([Ballot(order[:k], order)] * count, ITEMS, k, "borda", by_hash)
    assert (elected.picks, elected.ranking, elected.tied) == (order[:k], order, False)


@given(rankings, sizes, st.integers(1, 5), rules)
def test_ballots_that_pick_the_same_give_those_picks(
    order: tuple[str, ...], k: int, count: int, rule: Rule
) -> None:
    elected = combine([Ballot(order[:k])] * count, ITEMS, k, rule, by_hash)
    assert set(elected.picks) == set(order[:k])
    assert elected.ranking is None


@given(elections())
def test_a_ranking_begins_with_the_picks_and_needs_every_ballot_to_rank(
    election: tuple[list[Ballot], int, Rule],
) -> None:
    cast, k, rule = election
    elected = combine(cast, ITEMS, k, rule, by_hash)
    complete = rule == "borda" and all(ballot.ranking for ballot in cast)
    assert (elected.ranking is not None) == complete
    if elected.ranking is not None:
        assert elected.ranking[:k] == elected.picks
        assert sorted(elected.ranking) == sorted(ITEMS)


@BY
def test_an_even_split_goes_by_the_hash_so_that_either_item_wins_half_the_time(rule: Rule) -> None:
    def winner(seed: int) -> str:
        split = [Ballot(("a",)), Ballot(("b",))]
        return combine(split, "abcdef", 1, rule, lambda item: seeded_hash(seed, item)).picks[0]

    wins = Counter(winner(seed) for seed in range(400))
    assert set(wins) == {"a", "b"}
    assert 150 < wins["a"] < 250


def test_a_tie_is_noted_only_where_the_picks_end() -> None:
    cast = [Ballot(("a", "b")), Ballot(("a", "b"))]
    assert not combine(cast, "abcd", 2, "majority", by_hash).tied
    assert combine(cast, "abcd", 1, "majority", by_hash).tied


# --- from the decisions on the ballots to one


def decision(
    picks: str = "", status: Status = "ok", shown: str = "abcde", ranking: str | None = None
) -> Decision:
    words = {"partial": ("short",), "invalid": ("no_answer",)}.get(status, ())
    return Decision(
        *(0, 0, 0, 0),
        shown=tuple(shown),
        picks=tuple(picks),
        status=status,
        problems=words,
        ranking=None if ranking is None else tuple(ranking),
    )


@pytest.mark.parametrize(
    ("made", "status", "problems"),
    [
        ([decision("ab"), decision("ab")], "ok", ()),
        ([decision("ab"), decision("ab", "repaired")], "repaired", ()),
        ([decision("ab"), decision("a", "partial")], "repaired", ("short", "partial_ballots")),
        ([decision("ab"), decision("", "invalid")], "repaired", ("no_answer", "missing_ballots")),
        ([decision("ab"), decision("", "refused")], "repaired", ("missing_ballots",)),
        (
            [decision("a", "partial"), decision("a", "partial")],
            "partial",
            ("short", "partial_ballots"),
        ),
        (
            [decision("a", "partial"), decision("", "invalid")],
            "partial",
            ("short", "no_answer", "partial_ballots", "missing_ballots"),
        ),
        (
            [decision("a", "partial"), decision("b", "partial")],
            "repaired",
            ("short", "partial_ballots"),
        ),
        ([decision("", "invalid"), decision("", "refused")], "invalid", ("no_answer",)),
        ([decision("", "refused"), decision("", "refused")], "refused", ()),
    ],
)
def test_the_status_says_what_the_ballots_were(
    made: list[Decision], status: str, problems: tuple[str, ...]
) -> None:
    parsed = elect(made, 2, "majority", by_hash)
    assert (parsed.status, parsed.problems) == (status, problems)


def test_positions_are_those_of_the_first_ballot() -> None:
    made = [
        decision("ab", ranking="abcde", shown="edcba"),
        decision("ab", ranking="abdce", shown="abcde"),
        decision("ba", ranking="baced", shown="bcade"),
    ]
    parsed = elect(made, 2, "borda", by_hash)
    assert (parsed.picks, parsed.status) == ((4, 3), "ok")
    assert parsed.ranking == (4, 3, 2, 1, 0)


def test_a_ballot_that_could_not_be_used_has_no_say() -> None:
    made = [decision("ab"), decision("ac"), decision("", "invalid"), decision("", "refused")]
    without = elect(made[:2], 2, "borda", by_hash)
    assert elect(made, 2, "borda", by_hash).picks == without.picks


def test_fewer_items_than_asked_for_are_not_filled_up() -> None:
    parsed = elect([decision("c", "partial"), decision("c", "partial")], 2, "borda", by_hash)
    assert (parsed.picks, parsed.status) == ((2,), "partial")


# --- how many calls that is


@pytest.mark.parametrize(
    ("model", "settings", "calls", "most"),
    [
        ("openai/m", {}, 1, 3),
        ("local/m", {}, 1, 2),
        ("openai/m", {"vote": Vote(orders=3, repeats=2)}, 6, 18),
        ("openai/m", {"answer": "logprobs"}, 1, 1),
        ("local/m", {"vote": Vote(orders=3), "answer": "logprobs"}, 3, 3),
    ],
)
def test_a_decision_takes_a_call_for_each_ballot_and_those_that_are_asked_again(
    model: str, settings: dict[str, Any], calls: int, most: int
) -> None:
    spec = ModelSpec("m", model, **settings)
    assert (calls_per_decision(spec), most_calls(spec, reask=2)) == (calls, most)


def test_an_order_that_is_drawn_twice_votes_once() -> None:
    """Three items have six orders: a vote of five shows five different ones, one of nine six."""
    items = tuple(Item(name, name) for name in "abc")

    def show(order: int) -> tuple[Item, ...]:
        return tuple(sorted(items, key=lambda item: seeded_hash("show", order, item.id)))

    for orders, different in ((5, 5), (9, 6)):
        spec = ModelSpec("m", "mock/first", vote=Vote(orders=orders))
        selector = Selector(PromptLibrary(None).load("short@1"), spec, MockModel(spec))
        task = with_ballots(Task(selector, 0, items, 1), show)
        shown = [ballot.shown for ballot in task.ballots]
        assert len(shown) == len(set(shown)) == different
