"""Two items at a time: noisy comparisons, of which the most telling is asked next. Pure.

Each call shows a pair in a random direction, so that a model that prefers what comes first adds
noise of mean zero and no bias, at one call a pair instead of two; and the next pair is chosen by
what is known so far, since sorting takes comparisons for certain and gives no dependable top k when
its calls are cut short (Figueiredo Paschmann et al. 2026, arXiv 2605.14236; pairwise prompts: Qin
et al. 2023, arXiv 2306.17563).

First every item meets the next one in the order in which the cluster is shown, and the last meets
the first. From then on the strengths of all items are estimated (stats/bradley_terry.py), and the
pair is asked whose order is most in doubt among those of an item in the top k and one below it. No
pair is asked twice in the same direction, which would tell nothing new.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, product
from typing import TYPE_CHECKING

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Decision, Item, Parsed
from selectllm.prompting.prompt import Prompt
from selectllm.selection.task import Task
from selectllm.selection.ways.parts import TIE_DIGITS, best_of, part_of, tie

if TYPE_CHECKING:
    from selectllm.stats.bradley_terry import Strengths

CALLS_PER_ITEM = 2
"""Calls for each candidate of a cluster, unless the prompt says how many."""

Pair = tuple[Item, Item]


def fewest_calls(m: int) -> int:
    """The calls in which each of `m` items is compared once."""
    return math.ceil(m / 2)


def calls(prompt: Prompt, m: int, k: int) -> int:
    """Questions about a cluster of `m`: the prompt's `calls`, but no pair twice in a direction."""
    return min(prompt.calls or CALLS_PER_ITEM * m, m * (m - 1))


def following(task: Task, decisions: Sequence[Decision]) -> tuple[Task, ...]:
    """The questions that come next: at first one for each item, then one after another."""
    left = calls(task.selector.prompt, len(task.shown), task.k) - len(decisions)
    if left < 1:
        return ()
    pairs = [_most_in_doubt(task, decisions)] if decisions else _circle(task.shown)[:left]
    asked = {decision.shown for decision in decisions}
    return tuple(part_of(task, _directed(task, pair, asked)) for pair in pairs)


def combined(task: Task, decisions: Sequence[Decision]) -> Parsed:
    """The k strongest items. One of which no comparison was answered is never picked."""
    compared = {item_id for decision in decisions if decision.picks for item_id in decision.shown}
    mean = _strengths(task, decisions).mean
    values = {item.id: float(mean[place]) for place, item in enumerate(task.shown)}
    return best_of(task, decisions, {each: values[each] for each in values if each in compared})


def _circle(items: Sequence[Item]) -> list[Pair]:
    """Every item and the next one, disjoint pairs first, so that few calls reach all of them."""
    pairs = list(zip(items, (*items[1:], items[0]), strict=True))[: len(items) if items[2:] else 1]
    return [*pairs[::2], *pairs[1::2]]


def _directed(task: Task, pair: Pair, asked: set[tuple[str, ...]]) -> Pair:
    """The pair in a random direction, or in the other one if it was asked in that already."""
    first, second = sorted(pair, key=lambda item: item.id)
    if seeded_hash("direction", task.seed, task.order, first.id, second.id) % 2:
        first, second = second, first
    return (second, first) if (first.id, second.id) in asked else (first, second)


def _strengths(task: Task, decisions: Sequence[Decision]) -> Strengths:
    """What the comparisons that were answered say of the items, in shown order."""
    from selectllm.stats.bradley_terry import strengths  # numpy, which no help needs

    places = {item.id: place for place, item in enumerate(task.shown)}
    wins = [
        (places[winner], places[loser])
        for decision in decisions
        for winner in decision.picks
        for loser in decision.shown
        if loser != winner
    ]
    return strengths(len(task.shown), wins)


def _most_in_doubt(task: Task, decisions: Sequence[Decision]) -> Pair:
    """The pair to ask next: its order is the least sure of those that decide who is picked.

    Of all others only once these are used up.
    """
    known = _strengths(task, decisions)
    place = {item.id: number for number, item in enumerate(task.shown)}

    def strength(item: Item) -> tuple[float, int]:
        return -round(float(known.mean[place[item.id]]), TIE_DIGITS), tie(task, item.id)

    ranked = sorted(task.shown, key=strength)
    times = Counter(frozenset(decision.shown) for decision in decisions)

    def still_open(pairs: Sequence[Pair]) -> list[Pair]:
        return [(a, b) for a, b in pairs if times[frozenset((a.id, b.id))] < 2]

    def doubt(pair: Pair) -> tuple[float, int]:
        ids = sorted(item.id for item in pair)
        return round(known.apart(*map(place.__getitem__, ids)), TIE_DIGITS), tie(task, *ids)

    deciding = list(product(ranked[: task.k], ranked[task.k :]))
    return min(still_open(deciding) or still_open([*combinations(ranked, 2)]), key=doubt)
