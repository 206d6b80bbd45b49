"""What a student is worth: losses of responses, what it answers, the learning rate it takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.data.vector_store import VectorStore
from selectllm.downstream.student.config import Mode
from selectllm.downstream.student.failures import LossNotFinite
from selectllm.downstream.student.generation import Answer, answer, cosine_of
from selectllm.downstream.student.learning_rate import choose_learning_rate
from selectllm.downstream.student.network import Student
from selectllm.downstream.student.score import ResponseLoss, length_edges, score
from selectllm.downstream.student.template import Cut
from selectllm.downstream.student.training import train
from tests.downstream.student.test_training import MODES, TINY, items, one_thread, student
from tests.support.hash_encoder import HashEncoder

__all__ = ["one_thread", "student"]  # fixtures


def loss(nats: list[float], tokens: list[int]) -> ResponseLoss:
    ids = tuple(f"{n}" for n in range(len(nats)))
    return ResponseLoss(ids, np.array(nats), np.array(tokens), Cut(0, 0, 0, 0))


# Losses


def test_both_means_are_reported_and_may_disagree() -> None:
    found = loss([2.0, 18.0], [1, 9])
    assert (found.token_weighted, found.per_item) == (2.0, 2.0)
    found = loss([4.0, 9.0], [1, 9])
    assert (found.token_weighted, found.per_item) == (1.3, 2.5)


def test_losses_by_length_cover_every_item_once() -> None:
    found = loss([1.0, 4.0, 9.0, 30.0], [1, 2, 3, 10])
    edges = length_edges(found.tokens)
    assert edges == (2, 3)
    bands = found.bands(edges)
    assert [(band.above, band.up_to, band.items) for band in bands] == [
        (0, 2, 2),
        (2, 3, 1),
        (3, None, 1),
    ]
    assert [band.token_weighted for band in bands] == [5 / 3, 3.0, 3.0]
    assert [band.per_item for band in bands] == [1.5, 3.0, 3.0]


def test_a_band_without_items_has_no_loss() -> None:
    (_, empty, _) = loss([1.0, 2.0], [1, 9]).bands((3, 5))
    assert (empty.items, empty.token_weighted, empty.per_item) == (0, None, None)


def test_edges_part_items_into_thirds() -> None:
    tokens = np.random.default_rng(0).permutation(np.arange(1, 301))
    assert length_edges(tokens) == (100, 200)
    assert length_edges(np.array([5])) == (5, 5)


@pytest.mark.parametrize("mode", MODES)
def test_a_loss_does_not_depend_on_what_else_is_scored(mode: Mode, student: Student) -> None:
    config = replace(TINY, mode=mode)
    together = score(student, items(5), config)
    alone = [score(student, [item], config).nats[0] for item in items(5)]
    np.testing.assert_array_equal(together.nats, alone)
    assert together.ids == tuple(item.id for item in items(5))


def test_only_the_response_is_scored(student: Student) -> None:
    """Two items whose prompts differ in length have as many scored tokens."""
    short, long = Item("a", "Why?", response="So."), Item("b", "Why? " * 9, response="So.")
    assert score(student, [short, long], TINY).tokens.tolist() == [4, 4]


def test_what_does_not_fit_is_reported_and_not_scored(student: Student) -> None:
    found = score(student, [Item("a", "x", response="y" * 200)], replace(TINY, max_length=64))
    assert found.cut == Cut(0, 0, 1, 200 - int(found.tokens[0]))


def test_progress_of_scoring_ends_at_its_total(student: Student) -> None:
    calls: list[tuple[int, int]] = []
    score(student, items(3, 50), TINY, progress=lambda done, total: calls.append((done, total)))
    assert (
        calls[-1][0]
        == calls[-1][1]
        == sum(2 * len(example.tokens) for example in student.encode(items(3, 50), TINY))
    )
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


# Answers


def by_transformers(student: Student, item: Item, new_tokens: int) -> list[int]:
    import torch

    prompt = student.encode([item], TINY)[0].prompt
    with torch.no_grad():
        found = student.network.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=new_tokens, pad_token_id=1
        )
    tokens: list[int] = found[0, len(prompt) :].tolist()
    return tokens


def test_answers_are_those_of_transformers_in_any_batch(student: Student) -> None:
    shown = items(20)
    found = answer(student, shown, TINY, new_tokens=12)
    assert [each.id for each in found] == [item.id for item in shown]
    for item, each in zip(shown, found, strict=True):
        expected = by_transformers(student, item, 12)
        ended = expected[-1] == student.ends.end
        text = student.tokenizer.decode(expected, skip_special_tokens=True)
        stopped = "end" if ended else "length"
        assert each == Answer(item.id, text, len(expected), stopped)  # type: ignore[arg-type]


def test_an_answer_says_what_stopped_it(student: Student, tmp_path: Path) -> None:
    """A student that has learned to end some responses at once, and others never."""
    config = replace(TINY, mode="full", rank=8, epochs=40, batch_size=2, learning_rate=2e-2)
    ends = [Item("a", "A", response="x"), Item("b", "B" * 20, response="y" * 110)]
    train(student, ends, config, tmp_path)
    short, long = answer(student, ends, config, tmp_path, new_tokens=10)
    assert (short.text, short.tokens, short.stopped) == ("x", 2, "end")
    assert (long.text, long.tokens, long.stopped) == ("y" * 10, 10, "length")


def test_a_prompt_too_long_to_answer_is_cut_and_says_so(student: Student) -> None:
    (found,) = answer(student, [Item("a", "x" * 200)], TINY, new_tokens=28)
    body = len("Instruction:\n") + 200
    assert found.lost_prompt == body - (128 - 28 - 1 - len("\n\nResponse:\n"))


@pytest.mark.parametrize("new_tokens", [0, 97])
def test_an_answer_must_leave_room_for_the_prompt(new_tokens: int, student: Student) -> None:
    with pytest.raises(UsageError, match=f"new_tokens must be from 1 to 96, not {new_tokens}"):
        answer(student, items(1), TINY, new_tokens=new_tokens)


def test_no_items_have_no_answers(student: Student) -> None:
    assert answer(student, [], TINY, new_tokens=10) == []


def test_cosines_are_of_each_answer_with_its_own_reference(tmp_path: Path) -> None:
    encoder = HashEncoder()
    store = VectorStore(tmp_path, encoder.identity)
    found = cosine_of(["a", " ", "b"], ["a", "x", "c"], encoder, store)
    np.testing.assert_allclose(found, [1, 0, encoder.vector("b") @ encoder.vector("c")], atol=1e-6)
    assert cosine_of([""], ["x"], encoder, store).tolist() == [0.0]


# The learning rate


def choose(student: Student, folder: Path, grid: tuple[float, ...], **change: Any) -> Any:
    config = replace(TINY, epochs=2, **change)
    return choose_learning_rate(student, items(6), items(3, 20), config, folder, grid=grid)


def test_the_rate_with_the_lowest_dev_loss_is_chosen(student: Student, tmp_path: Path) -> None:
    choice = choose(student, tmp_path, (1e30, 1e-6, 1e-2))
    assert (choice.rate, choice.edge, choice.helps) == (1e-2, None, True)
    assert list(choice.losses) == [1e-6, 1e-2, 1e30]
    assert choice.losses[1e30] is None  # diverged
    assert choice.losses[1e-2].token_weighted < choice.losses[1e-6].token_weighted
    config = replace(TINY, epochs=2, learning_rate=1e-2)
    expected = score(student, items(3, 20), config, tmp_path / "rate-0.01")
    np.testing.assert_array_equal(choice.losses[1e-2].nats, expected.nats)


@pytest.mark.parametrize(
    ("grid", "rate", "edge"),
    [((1e-6, 1e-2), 1e-2, "highest"), ((1e-2, 1e30), 1e-2, "lowest"), ((1e-2,), 1e-2, "highest")],
)
def test_a_best_rate_at_the_end_of_the_grid_is_told(
    grid: tuple[float, ...], rate: float, edge: str, student: Student, tmp_path: Path
) -> None:
    choice = choose(student, tmp_path, grid)
    assert (choice.rate, choice.edge) == (rate, edge)


def test_it_is_an_error_if_no_rate_works(student: Student, tmp_path: Path) -> None:
    with pytest.raises(LossNotFinite, match=r"diverged at every learning rate of \[1e\+30\]"):
        choose(student, tmp_path, (1e30,))
    with pytest.raises(UsageError, match="the grid holds no learning rates"):
        choose(student, tmp_path, ())


def test_dev_items_that_are_trained_on_are_an_error(student: Student, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 of 3 test items are also in the training items"):
        choose_learning_rate(student, items(6), items(3, 5), TINY, tmp_path)
