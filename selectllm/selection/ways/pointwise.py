"""One item at a time: each is put on a scale by itself, and the k highest are the picks. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from selectllm.core.types import Decision, Parsed
from selectllm.prompting.prompt import Prompt
from selectllm.selection.task import Task
from selectllm.selection.ways.parts import best_of, part_of


def following(task: Task, decisions: Sequence[Decision]) -> tuple[Task, ...]:
    """A question about every item; all of them can be asked at once."""
    return () if decisions else tuple(part_of(task, (item,)) for item in task.shown)


def combined(task: Task, decisions: Sequence[Decision]) -> Parsed:
    """The k items with the highest values; none without a value is picked."""
    values = {d.shown[0]: d.scores[0] for d in decisions if d.scores}
    return best_of(task, decisions, values)


def calls(prompt: Prompt, m: int, k: int) -> int:
    """Questions about a cluster of `m`."""
    return m
