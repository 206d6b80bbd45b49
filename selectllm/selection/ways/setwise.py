"""A few items at a time: a tournament, replayed without its winner for each further pick. Pure.

A call that shows c items does the work of c - 1 comparisons (setwise prompting: Zhuang et al. 2024,
arXiv 2310.09497, who build heaps; a tournament sort asks as few questions and can ask those of one
round at once). The best item wins through all rounds; without it only the groups that it won are
asked again, for the second best, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Decision, Item, Parsed
from selectllm.prompting.prompt import Prompt
from selectllm.selection.task import Task
from selectllm.selection.ways.parts import part_of, settled

Winners = Mapping[frozenset[str], str | None]
"""Who won among the items of a group, by their ids; None where the reply was of no use."""
Group = tuple[Item, ...]


def calls(prompt: Prompt, m: int, k: int) -> int:
    """Questions about a cluster of `m` of which k are picked, at most."""
    first, rounds, left = 0, 0, m
    while left > 1:
        left = math.ceil(left / prompt.show)
        first, rounds = first + left, rounds + 1
    return first + (k - 1) * rounds


def following(task: Task, decisions: Sequence[Decision]) -> tuple[Task, ...]:
    """The questions that come next: those groups of a round whose winners are not known."""
    _, groups = _played(task, _winners(decisions))
    return tuple(part_of(task, _mixed(task, group)) for group in groups)


def combined(task: Task, decisions: Sequence[Decision]) -> Parsed:
    """The winners, the best first. Nobody wins a group whose reply was of no use."""
    picks, _ = _played(task, _winners(decisions))
    places = {item.id: place for place, item in enumerate(task.shown)}
    parsed = Parsed(tuple(places[item.id] for item in picks), "ok")
    return settled(task, decisions, parsed)


def _winners(decisions: Sequence[Decision]) -> Winners:
    return {frozenset(d.shown): d.picks[0] if d.picks else None for d in decisions}


def _played(task: Task, winners: Winners) -> tuple[list[Item], list[Group]]:
    """The best items so far, and the groups to ask about before the next one is known."""
    picks: list[Item] = []
    while len(picks) < task.k:
        best, groups = _best(task, picks, winners)
        if groups or best is None:
            return picks, groups
        picks.append(best)
    return picks, []


def _best(task: Task, picked: Sequence[Item], winners: Winners) -> tuple[Item | None, list[Group]]:
    """The winner of all rounds without those `picked`, or the groups that are to be asked first.

    Items keep their places, so that a group which the picked ones were not in stays as it was.
    """
    standing: list[Item | None] = [item if item not in picked else None for item in task.shown]
    size = task.selector.prompt.show
    while len(standing) > 1:
        count = math.ceil(len(standing) / size)
        groups = [
            tuple(item for item in standing[number::count] if item is not None)
            for number in range(count)
        ]
        unknown = [g for g in groups if len(g) > 1 and frozenset(i.id for i in g) not in winners]
        if unknown:
            return None, unknown
        standing = [_winner(group, winners) for group in groups]
    return standing[0], []


def _winner(group: Group, winners: Winners) -> Item | None:
    if len(group) < 2:
        return group[0] if group else None
    best = winners[frozenset(item.id for item in group)]
    return next((item for item in group if item.id == best), None)


def _mixed(task: Task, group: Group) -> Group:
    """The group in a random order, so that no place is of use to an item."""

    def drawn(item: Item) -> int:
        ids = sorted(each.id for each in group)
        return seeded_hash("mixed", task.seed, task.order, item.id, *ids)

    return tuple(sorted(group, key=drawn))
