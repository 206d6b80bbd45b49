"""The smaller questions of a decision, and what becomes of their answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Decision, Item, Parsed, Status
from selectllm.selection.task import Task

TIE_DIGITS = 6
"""Digits at which values count as equal: beyond them, machines may differ."""


def part_of(task: Task, shown: Sequence[Item]) -> Task:
    """The question of `task` about some of its items, which asks for one."""
    return replace(task, shown=tuple(shown), k=1, of=task.shown)


def tie(task: Task, *names: str) -> int:
    """What decides among equals: a hash of the seed and the ids, never a position."""
    return seeded_hash("tie", task.seed, *names)


def best_of(task: Task, decisions: Sequence[Decision], values: Mapping[str, float]) -> Parsed:
    """The k items of highest value, best first; what has no value is never picked.

    `values`: by item id. Equal ones go by `tie`. The ranking is known if every item has a value.
    """
    places = {item.id: place for place, item in enumerate(task.shown)}
    rounded = {item: round(value, TIE_DIGITS) for item, value in values.items()}
    ranked = sorted(values, key=lambda item: (-rounded[item], tie(task, item)))
    edge = [rounded[item] for item in ranked[task.k - 1 : task.k + 1]]
    tied = ("tied",) if len(edge) == 2 and edge[0] == edge[1] else ()
    whole = len(ranked) == len(task.shown)
    parsed = Parsed(
        picks=tuple(places[item] for item in ranked[: task.k]),
        status="ok",
        problems=tied,
        ranking=tuple(places[item] for item in ranked) if whole else None,
        scores=tuple(values.get(item.id, float("nan")) for item in task.shown),
    )
    return settled(task, decisions, parsed)


def settled(task: Task, decisions: Sequence[Decision], parsed: Parsed) -> Parsed:
    """`parsed` with the status and the problems of the questions that it came from.

    `refused` if all were, `invalid` without a pick, `partial` with fewer than k; `repaired` if any
    question has no usable answer (`missing_answers`) or one that needed a fix.
    """
    words = [word for decision in decisions for word in decision.problems]
    missing = any(not decision.picks for decision in decisions)
    words += ["missing_answers"] if missing else []
    words += parsed.problems
    whole = all(decision.status == "ok" for decision in decisions)
    status: Status = "ok" if whole else "repaired"
    if not parsed.picks:
        refused = all(decision.status == "refused" for decision in decisions)
        return Parsed((), "refused" if refused else "invalid", tuple(dict.fromkeys(words)))
    status = "partial" if len(parsed.picks) < task.k else status
    return replace(parsed, status=status, problems=tuple(dict.fromkeys(words)))
