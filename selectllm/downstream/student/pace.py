"""How long a student takes on this machine: a few timed steps, and what they come to.

Measured and not looked up, since machines differ by more than students do. The steps are real ones
(forwards and backwards through the adapted blocks) on a few examples of all lengths, and leave
nothing behind but what the first blocks make of those examples, which a training needs anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from selectllm.core.types import Item
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.failures import memory_errors
from selectllm.downstream.student.frozen_layers import Tally, running, unseen
from selectllm.downstream.student.network import Student, adapted
from selectllm.downstream.student.schema import StudentPlan
from selectllm.downstream.student.template import Example

SAMPLE = 4  # examples that are timed, behind one that warms up


@dataclass(frozen=True, slots=True)
class Pace:
    """How many tokens this machine handles in a second.

    `first` is the pace through the blocks that are not adapted, which run once for every example.
    `step` is the pace of training and `forward` that of scoring, both in the adapted blocks alone
    (in full mode in all blocks).
    """

    first: float
    step: float
    forward: float


def student_plan(
    student: Student,
    config: StudentConfig,
    sets: Sequence[Sequence[Item]],
    tests: Sequence[Item] = (),
    scorings: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> StudentPlan:
    """The plan of a training on each of `sets`, and of `scorings` passes over `tests`.

    Runs up to 5 examples to find how fast this machine is. Raises as `train` does.
    """
    items = {item.id: item for each in sets for item in each}
    examples = student.encode([*items.values()], config) if items else []
    tokens = {example.id: len(example.tokens) for example in examples}
    held = student.encode(tests, config) if scorings else []
    trained = config.epochs * sum(tokens[item.id] for each in sets for item in each)
    scored = scorings * sum(len(example.tokens) for example in held)
    seconds, rate = 0.0, 0.0
    if trained or scored:
        pace = measured(student, config, examples or held, clock)
        new = _count(unseen(student, config, [*examples, *held]))
        seconds = new / pace.first + trained / pace.step + scored / pace.forward
        rate = pace.step if trained else pace.forward
    return StudentPlan(
        items=len(items),
        trainings=len(sets),
        epochs=config.epochs,
        tokens=trained,
        tests=len(tests),
        scored_tokens=scored,
        seconds=round(seconds, 1),
        tokens_per_second=round(rate, 1),
    )


def measured(
    student: Student,
    config: StudentConfig,
    examples: Sequence[Example],
    clock: Callable[[], float] = time.perf_counter,
) -> Pace:
    """The pace of this machine, at the examples of middling, short and long length."""
    ordered = sorted(examples, key=lambda example: len(example.tokens))
    warm, *timed = [ordered[at * (len(ordered) - 1) // SAMPLE] for at in range(SAMPLE + 1)]
    tokens = sum(len(example.tokens) for example in timed)
    with memory_errors(config), adapted(student, config):
        import torch

        with running(student, config, [warm], Tally()) as run:
            run(warm).sum().backward()
        new = _count(unseen(student, config, timed))
        started = clock()
        with running(student, config, timed, Tally()) as run:
            first = _rate(new, clock() - started)
            step = _rate(tokens, _seconds(timed, lambda each: run(each).sum().backward(), clock))
            with torch.inference_mode():
                forward = _rate(tokens, _seconds(timed, run, clock))
    # What is kept already tells nothing of its blocks; a forward pass is the nearest to it.
    return Pace(first if new else forward, step, forward)


def _count(examples: Sequence[Example]) -> int:
    """Tokens of the different ones."""
    return sum(len(tokens) for tokens in {example.tokens for example in examples})


def _seconds(
    examples: Sequence[Example], run: Callable[[Example], Any], clock: Callable[[], float]
) -> float:
    started = clock()
    for example in examples:
        run(example)
    return clock() - started


def _rate(tokens: int, seconds: float) -> float:
    return tokens / max(seconds, 1e-6)
