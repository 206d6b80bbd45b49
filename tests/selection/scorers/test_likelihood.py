"""Perplexity and IFD of items: the formulas, what is asked of the model, and what is kept."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.arrays import Floats
from selectllm.core.errors import ModelError, UsageError
from selectllm.core.types import Item
from selectllm.selection.scorers.language_model import load_language_model
from selectllm.selection.scorers.likelihood import (
    BATCH,
    SEPARATOR,
    ifd,
    ifd_scores,
    instruction_perplexity,
    likelihoods,
    perplexity,
    response_perplexity,
)

Pairs = Sequence[tuple[str, str]]


@dataclass
class HashModel:
    """Nats drawn from the hash of a pair, a token for every word; remembers what it was asked."""

    identity: str = "hash@1"
    dies_after: int | None = None
    batches: list[list[tuple[str, str]]] = field(default_factory=list)

    def log_likelihoods(self, pairs: Pairs) -> Floats:
        if self.dies_after == len(self.batches):
            raise KeyboardInterrupt
        self.batches.append(list(pairs))
        return np.array([self.of(pair) for pair in pairs])

    def of(self, pair: tuple[str, str]) -> tuple[float, float]:
        tokens = len(pair[1].split())
        return hashlib.sha256(repr(pair).encode()).digest()[0] / 64 * tokens, tokens

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [pair for batch in self.batches for pair in batch]


def made_pairs(count: int) -> list[tuple[str, str]]:
    return [("c" * (number % 3), f"text {'x' * (number % 7)} {number}") for number in range(count)]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


# likelihoods


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=100))
def test_rows_are_in_the_order_of_the_pairs_and_each_pair_is_asked_once(pairs: Pairs) -> None:
    model = HashModel()
    with TemporaryDirectory() as folder:
        values = likelihoods(pairs, model, Path(folder))
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, np.reshape([model.of(p) for p in pairs], (-1, 2)))
    assert sorted(model.asked) == sorted(set(pairs))


def test_the_border_between_context_and_text_counts(tmp_path: Path) -> None:
    model = HashModel()
    likelihoods([("ab", "c"), ("a", "bc"), ("", "abc")], model, tmp_path)
    assert len(model.asked) == 3


def test_a_second_run_asks_only_for_what_is_new(tmp_path: Path) -> None:
    likelihoods([("", "a"), ("", "b")], HashModel(), tmp_path)
    model = HashModel()
    likelihoods([("", "b"), ("", "c"), ("", "a")], model, tmp_path)
    assert model.asked == [("", "c")]


def test_two_models_do_not_share_what_they_said(tmp_path: Path) -> None:
    likelihoods([("", "a")], HashModel(), tmp_path)
    other = HashModel("hash@2")
    likelihoods([("", "a")], other, tmp_path)
    assert other.asked == [("", "a")]


def test_batches_go_from_the_longest_pair_to_the_shortest_whatever_their_order(
    tmp_path: Path,
) -> None:
    one, other = HashModel(), HashModel()
    likelihoods(made_pairs(3 * BATCH), one, tmp_path / "one")
    likelihoods(made_pairs(3 * BATCH)[::-1], other, tmp_path / "other")
    lengths = [len(context + text) for context, text in one.asked]
    assert lengths == sorted(lengths, reverse=True)
    assert [len(batch) for batch in one.batches] == [BATCH] * 3
    assert one.batches == other.batches


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    pairs = made_pairs(5 * BATCH)
    killed = HashModel(dies_after=3)
    with pytest.raises(KeyboardInterrupt):
        likelihoods(pairs, killed, tmp_path)
    resumed = HashModel()
    values = likelihoods(pairs, resumed, tmp_path)
    assert len(resumed.asked) == 2 * BATCH
    assert not set(resumed.asked) & set(killed.asked)
    np.testing.assert_array_equal(values, [resumed.of(pair) for pair in pairs])


def test_progress_counts_the_new_pairs_and_is_silent_if_there_are_none(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    likelihoods([("", "a")], HashModel(), tmp_path)
    for _ in range(2):
        pairs = [("", "a"), *made_pairs(BATCH + 1)]
        likelihoods(pairs, HashModel(), tmp_path, lambda *n: seen.append(n))
    assert seen == [(0, BATCH + 1), (BATCH, BATCH + 1), (BATCH + 1, BATCH + 1)]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([[1.0, 1.0]], r"returned shape \(1, 2\) for 2 texts\. It must return \(2, 2\)"),
        ([1.0, 2.0], r"returned shape \(2,\) for 2 texts"),
        ([[1.0, 1.0], [math.nan, 3.0]], "gave nan nats for 3 tokens of 'short'. Both must be"),
        ([[math.inf, 2.0], [1.0, 3.0]], "gave inf nats for 2 tokens of 'a longer text'"),
        ([[1.0, 1.0], [-0.5, 3.0]], "gave -0.5 nats for 3 tokens of 'short'"),
    ],
)
def test_values_that_are_no_likelihoods_are_an_error_and_are_not_kept(
    tmp_path: Path, returned: list[Any], message: str
) -> None:
    class Bad(HashModel):
        def log_likelihoods(self, pairs: Pairs) -> Floats:
            return np.array(returned)

    pairs = [("", "short"), ("", "a longer text")]
    with pytest.raises(ModelError, match=message):
        likelihoods(pairs, Bad(), tmp_path)
    assert len(likelihoods(pairs, HashModel(), tmp_path)) == 2


# Formulas


def test_perplexity_is_how_many_words_the_model_wavers_between() -> None:
    tokens = np.array([1.0, 4.0, 10.0])
    np.testing.assert_allclose(perplexity(tokens * math.log(50), tokens), 50)
    np.testing.assert_allclose(perplexity(np.zeros(3), tokens), 1)


def test_a_text_without_tokens_has_no_perplexity() -> None:
    values = perplexity(np.array([0.0, 2.0]), np.array([0.0, 2.0]))
    np.testing.assert_allclose(values, [math.nan, math.e])


def test_ifd_is_the_share_of_perplexity_that_the_instruction_leaves() -> None:
    values = ifd(np.array([5.0, 20.0, 30.0, math.nan]), np.array([20.0, 20.0, 20.0, 20.0]))
    np.testing.assert_allclose(values, [0.25, 1.0, 1.5, math.nan])


# Items


ITEMS = (
    Item("a", "Name a river", "in France", "The Seine"),
    Item("b", "Say hello", response="Hello to all of you"),
    Item("c", "Say nothing", response=""),
)
ANSWERED = ITEMS[:2]
Measure = Callable[..., dict[str, float]]


def test_an_instruction_is_measured_with_its_input(tmp_path: Path) -> None:
    model = HashModel()
    found = instruction_perplexity(ITEMS, model, tmp_path)
    pairs = [("", "Name a river\n\nin France"), ("", "Say hello"), ("", "Say nothing")]
    assert found == by_hand("abc", [model.of(pair) for pair in pairs])


def test_a_response_is_measured_alone(tmp_path: Path) -> None:
    model = HashModel()
    found = response_perplexity(ANSWERED, model, tmp_path)
    pairs = [("", "The Seine"), ("", "Hello to all of you")]
    assert found == by_hand("ab", [model.of(pair) for pair in pairs])


def test_ifd_compares_a_response_after_its_instruction_with_the_response_alone(
    tmp_path: Path,
) -> None:
    model = HashModel()
    found = ifd_scores(ANSWERED, model, tmp_path)
    after = [("Name a river\n\nin France" + SEPARATOR, "The Seine")]
    after += [("Say hello" + SEPARATOR, "Hello to all of you")]
    saved = [
        (model.of(pair)[0] - model.of(("", pair[1]))[0], len(pair[1].split())) for pair in after
    ]
    assert found == by_hand("ab", saved)


def by_hand(ids: str, values: Sequence[tuple[float, float]]) -> Any:
    """exp(nats / tokens) by id."""
    pairs = zip(ids, values, strict=True)
    return pytest.approx({id: math.exp(nats / tokens) for id, (nats, tokens) in pairs})


def test_ifd_asks_no_more_after_the_perplexity_of_responses_than_what_is_new(
    tmp_path: Path,
) -> None:
    response_perplexity(ANSWERED, HashModel(), tmp_path)
    model = HashModel()
    ifd_scores(ANSWERED, model, tmp_path)
    assert len(model.asked) == len(ANSWERED)
    assert all(context for context, _ in model.asked)


@pytest.mark.parametrize(
    ("measure", "name"), [(response_perplexity, "response-perplexity"), (ifd_scores, "ifd")]
)
def test_items_without_a_response_are_an_error_before_anything_is_asked(
    tmp_path: Path, measure: Measure, name: str
) -> None:
    unlabelled = [Item(f"u{number}", "Say hello") for number in range(7)]
    model = HashModel()
    with pytest.raises(UsageError) as caught:
        measure([*ITEMS, *unlabelled], model, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{name} needs responses: 8 of 10 items have none: 'c', 'u0', 'u1',")
    assert "`columns={'response': 'COL'}`" in message
    assert model.batches == []


def test_no_items_give_no_values(tmp_path: Path) -> None:
    for measure in (instruction_perplexity, response_perplexity, ifd_scores):
        assert measure([], HashModel(), tmp_path) == {}


def test_a_run_that_finds_all_it_needs_loads_no_model_and_no_torch(tmp_path: Path) -> None:
    identity = load_language_model(None, tmp_path).identity
    expected = instruction_perplexity(ITEMS, HashModel(identity), tmp_path)
    code = """
import json, sys
from pathlib import Path
from selectllm.selection.scorers.language_model import load_language_model
from selectllm.selection.scorers.likelihood import instruction_perplexity
from selectllm.core.types import Item
folder = Path(sys.argv[1])
items = [Item("a", "Name a river", "in France"), Item("b", "Say hello"), Item("c", "Say nothing")]
print(json.dumps(instruction_perplexity(items, load_language_model(None, folder), folder)))
print(json.dumps([name in sys.modules for name in ("torch", "transformers", "gguf", "tokenizers")]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    found, loaded = map(json.loads, done.stdout.splitlines())
    assert found == expected
    assert loaded == [False] * 4
