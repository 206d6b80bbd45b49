"""How long a student takes here: what is counted, and how the pace is made of timed steps."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
import torch

from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.frozen_layers import unseen
from selectllm.downstream.student.network import Student, open_student
from selectllm.downstream.student.pace import measured, student_plan
from selectllm.downstream.student.training import train
from tests.downstream.student.test_training import items, made


@pytest.fixture
def student(tmp_path: Path) -> Student:
    return open_student(str(made(tmp_path / "tiny")), tmp_path / "cache")


def config(**settings: object) -> StudentConfig:
    return StudentConfig(max_length=128, blocks=2, **settings)  # type: ignore[arg-type]


def tokens(student: Student, start: int, number: int) -> int:
    encoded = student.encode(items(number, start), config())
    return sum(len(example.tokens) for example in encoded)


def test_a_plan_counts_every_training_and_every_scoring(student: Student) -> None:
    sets, tests = [items(4), items(8), items(4)], items(3, 100)
    plan = student_plan(student, config(epochs=3), sets, tests, scorings=4)
    assert (plan.items, plan.trainings, plan.epochs, plan.tests) == (8, 3, 3, 3)
    assert plan.tokens == 3 * (2 * tokens(student, 0, 4) + tokens(student, 0, 8))
    assert plan.scored_tokens == 4 * tokens(student, 100, 3)
    assert plan.seconds > 0 < plan.tokens_per_second


def test_seconds_are_tokens_by_the_pace_of_timed_steps(student: Student) -> None:
    """By a clock that goes on by a second whenever it is looked at."""
    examples = student.encode(items(8), config(mode="full"))
    seconds = count().__next__
    pace = measured(student, config(mode="full"), examples, lambda: float(seconds()))
    assert pace.step == pace.forward > 0  # the same examples, each in one second
    chosen, seconds = [items(8)], count().__next__
    plan = student_plan(
        student, config(mode="full", epochs=1), chosen, clock=lambda: float(seconds())
    )
    assert plan.seconds == pytest.approx(plan.tokens / pace.step, abs=0.05)


def test_what_the_first_blocks_have_run_already_costs_no_more(student: Student) -> None:
    examples = student.encode(items(8), config())
    assert len(unseen(student, config(), examples)) == 8
    measured(student, config(), examples)
    assert 0 < len(unseen(student, config(), examples)) < 8
    assert unseen(student, config(mode="full"), examples) == []


def test_measuring_changes_nothing_of_a_training(student: Student, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in student.network.state_dict().items()}
    state = torch.get_rng_state()
    alone = train(student, items(4), config(), tmp_path / "alone")
    student_plan(student, config(), [items(4)])
    assert torch.equal(torch.get_rng_state(), state)
    after = student.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    again = train(student, items(4), config(), tmp_path / "again")
    assert alone.adapter_sha256 == again.adapter_sha256


def test_nothing_to_do_takes_no_time(student: Student) -> None:
    plan = student_plan(student, config(), [], items(3), scorings=0)
    assert (plan.tokens, plan.scored_tokens, plan.seconds) == (0, 0, 0.0)
