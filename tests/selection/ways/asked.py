"""Tasks of the bundled prompts on made-up items, and what comes of them by a given answerer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from selectllm.core.types import Decision, Item, Parsed
from selectllm.models.model import ModelSpec
from selectllm.models.providers.mock import MockModel
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.selector import Selector
from selectllm.selection.task import Task
from selectllm.selection.ways.following import combined, following

LIBRARY = PromptLibrary()
Answer = Callable[[Sequence[str]], str | None]
"""Who wins among the ids in shown order; None for a reply of no use."""


def task(
    ref: str,
    m: int,
    k: int,
    *,
    seed: int = 0,
    order: int = 0,
    show: int | None = None,
    calls: int | None = None,
) -> Task:
    """A decision on the items 0 to m - 1, shown in this order."""
    prompt = LIBRARY.load(ref)
    prompt = replace(prompt, show=show or prompt.show, calls=calls)
    spec = ModelSpec("m", "mock/first")
    items = tuple(Item(str(number), f"Task {number}") for number in range(m))
    selector = Selector(prompt, spec, MockModel(spec))
    return Task(selector, 0, items, k, order=order, seed=seed)


def answered(question: Task, winner: str | None) -> Decision:
    """The decision on one question."""
    ids = tuple(item.id for item in question.shown)
    picks = () if winner is None else (winner,)
    return Decision(0, 0, 0, 0, ids, picks, "invalid" if winner is None else "ok")


def asked(task: Task, answer: Answer) -> list[Decision]:
    """All questions of `task`, in their order, answered by `answer`."""
    decisions: list[Decision] = []
    while questions := following(task, decisions):
        decisions += [
            answered(question, answer([item.id for item in question.shown]))
            for question in questions
        ]
    return decisions


def result(task: Task, decisions: Sequence[Decision]) -> Parsed:
    """What the answers come to."""
    parsed = combined(task, decisions)
    assert parsed is not None
    return parsed


def picks(task: Task, answer: Answer) -> list[str]:
    """The ids that are picked, best first."""
    return [task.shown[place].id for place in result(task, asked(task, answer)).picks]
