"""Validation of utilities: the score as scipy has it, what it takes to pass, and the file."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rich.console import Console
from scipy import stats

from selectllm.core.errors import UtilityError
from selectllm.downstream.outcomes.validation import lds
from selectllm.report.schemas import schema
from selectllm.report.validation import render_validations
from selectllm.utility.utility import Utility
from selectllm.utility.validation import (
    Validation,
    read_validation,
    validated,
    write_validation,
)

POOL = "a" * 64
SIZE = 3


def held(
    sums: list[float], gains: list[list[float]], tokens: list[float] | None = None
) -> Validation:
    """The validation of a utility that has these sums over as many subsets."""
    names = [f"draw {number:02}" for number in range(len(sums))]
    values = {f"{n}-{i}": s / SIZE for n, s in zip(names, sums, strict=True) for i in range(SIZE)}
    return lds(
        Utility("u", "knn", "proxy", values),
        {name: [f"{name}-{i}" for i in range(SIZE)] for name in names},
        {n: {str(run): g for run, g in enumerate(of)} for n, of in zip(names, gains, strict=True)},
        None if tokens is None else dict(zip(names, tokens, strict=True)),
        student="tiny",
        pool_sha256=POOL,
    )


def once(gains: list[float]) -> list[list[float]]:
    """One training of each subset."""
    return [[gain] for gain in gains]


def numbers(count: int, seed: int) -> list[float]:
    return [float(x) for x in np.random.default_rng(seed).normal(size=count)]


# --- the score


@given(
    st.integers(4, 5).flatmap(
        lambda n: st.tuples(*(st.permutations([float(x) for x in range(n)]) for _ in range(2)))
    )
)
def test_the_score_and_its_one_sided_p_are_those_of_all_permutations(
    sides: tuple[list[float], list[float]],
) -> None:
    sums, gains = sides
    found = held(sums, once(gains))
    reference = stats.permutation_test(
        (sums,),
        lambda moved: stats.spearmanr(moved, gains).statistic,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=10**5,
    )
    assert found.lds.value == pytest.approx(reference.statistic)
    assert found.p_above == pytest.approx(reference.pvalue)
    valid = reference.statistic > 0 and reference.pvalue <= 0.05
    assert found.status == ("validated" if valid else "unvalidated")


def test_p_is_exact_with_ties_as_well() -> None:
    sums, gains = [1.0, 1.0, 2.0, 3.0, 3.0], [0.0, 1.0, 1.0, 2.0, 3.0]
    null = stats.permutation_test(
        (sums,),
        lambda moved: stats.spearmanr(moved, gains).statistic,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=10**5,
    )
    assert held(sums, once(gains)).p_above == pytest.approx(null.pvalue)


def test_above_8_subsets_p_is_drawn_and_close_to_that_of_scipy() -> None:
    sums = numbers(16, 1)
    gains = [s + 2 * noise for s, noise in zip(sums, numbers(16, 2), strict=True)]
    expected = stats.spearmanr(sums, gains, alternative="greater").pvalue
    assert held(sums, once(gains)).p_above == pytest.approx(expected, abs=0.01)


def test_a_subset_counts_as_the_mean_of_its_trainings() -> None:
    sums, gains = numbers(9, 3), [[a, b] for a, b in zip(numbers(9, 4), numbers(9, 5), strict=True)]
    mean = [math.fsum(of) / 2 for of in gains]
    assert held(sums, gains).lds == held(sums, once(mean)).lds
    assert held(sums, gains).reliability is not None
    assert held(sums, once(mean)).reliability is None


@settings(max_examples=8)  # each takes all permutations twice
@given(st.floats(0.1, 10), st.floats(-5, 5), st.randoms(use_true_random=False))
def test_neither_scale_nor_the_order_of_subsets_matter(scale: float, shift: float, by: Any) -> None:
    pairs = list(zip(range(8), numbers(8, 7), strict=True))
    first = held([float(s) for s, _ in pairs], once([g for _, g in pairs]))
    by.shuffle(pairs)
    moved = held([float(s) for s, _ in pairs], once([scale * g + shift for _, g in pairs]))
    assert moved.lds.value == pytest.approx(first.lds.value)
    assert (moved.lds.p, moved.p_above) == (first.lds.p, first.p_above)


def test_what_length_explains_is_left_out_of_the_partial_score() -> None:
    tokens = numbers(12, 8)
    sums = [t + 0.5 * e for t, e in zip(tokens, numbers(12, 9), strict=True)]
    gains = [t + 0.5 * e for t, e in zip(tokens, numbers(12, 10), strict=True)]
    found = held(sums, once(gains), tokens)
    assert found.status == "validated"  # the score alone decides; the controls stand beside it
    assert found.tokens.value is not None
    assert found.tokens.value > 0.8
    assert found.partial.value is not None
    assert abs(found.partial.value) < 0.6
    assert held(sums, once(gains)).partial.value is None


# --- what it takes


@pytest.mark.parametrize(
    ("sums", "gains", "reason"),
    [
        ([1, 2, 3], [1, 2, 3], "3 subsets are on both sides, and at least 4 are needed"),
        ([4, 3, 2, 1, 0], [0, 1, 2, 3, 4], "its score is -1.00, not above 0"),
        ([1, 2, 3, 4], [1, 2, 4, 3], "4 subsets may come in such an order by chance (p = 0.167)"),
        ([2, 2, 2, 2], [1, 2, 3, 4], "the foretold numbers of all subsets are equal"),
    ],
)
def test_an_unvalidated_utility_says_why(
    sums: list[float], gains: list[float], reason: str
) -> None:
    found = held(sums, once(gains))
    assert found.status == "unvalidated"
    assert any(reason in note for note in found.notes), found.notes


def test_four_subsets_in_perfect_order_are_enough() -> None:
    found = held([1, 2, 3, 4], once([1, 2, 3, 4]))
    assert found.status == "validated"
    assert found.p_above == pytest.approx(1 / 24)
    assert found.lds.low is None  # no interval below 8
    assert held(numbers(8, 1), once(numbers(8, 1))).lds.low is not None


def test_a_utility_that_says_nothing_is_validated_in_one_of_twenty() -> None:
    passed = sum(
        held(numbers(6, seed), once(numbers(6, 1000 + seed))).status == "validated"
        for seed in range(300)
    )
    assert passed <= 24  # 15 expected; as many in 1.2 % of such tests


def test_subsets_have_one_size_values_and_gains() -> None:
    utility = Utility("u", "knn", "proxy", {"a": 1.0, "b": 2.0})
    said: dict[str, Any] = {"student": "tiny", "pool_sha256": POOL}
    with pytest.raises(ValueError, match="one size"):
        lds(utility, {"x": ["a"], "y": ["a", "b"]}, {"x": {"": 1}, "y": {"": 2}}, **said)
    with pytest.raises(ValueError, match="the gains on each"):
        lds(utility, {"x": ["a"]}, {}, **said)
    with pytest.raises(UtilityError, match=r"utility u: items have no finite value \(1\)"):
        lds(utility, {"x": ["c"]}, {"x": {"": 1}}, **said)


# --- the file


@pytest.fixture
def validation() -> Validation:
    return held(numbers(9, 1), [[g, g + 0.1] for g in numbers(9, 1)], numbers(9, 2))


def test_a_validation_reads_back_and_keeps_to_its_schema(
    tmp_path: Path, validation: Validation
) -> None:
    path = tmp_path / "validations" / "u.json"
    write_validation(path, validation)
    assert read_validation(path) == validation
    Draft202012Validator(schema("validation")).validate(json.loads(path.read_text("utf-8")))
    before = path.read_bytes()
    write_validation(path, validation)
    assert path.read_bytes() == before


def test_one_without_a_score_reads_back_too(tmp_path: Path) -> None:
    none = held([1, 2, 3], once([1, 2, 3]))
    write_validation(tmp_path / "u.json", none)
    assert read_validation(tmp_path / "u.json") == none
    Draft202012Validator(schema("validation")).validate(
        json.loads((tmp_path / "u.json").read_text("utf-8"))
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[]", "is not a validation of format 1"),
        ("{}", "is not a validation of format 1"),
        ('{"sha256": "x"}', "its sha256 does not fit its content"),
    ],
)
def test_what_is_no_validation_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "u.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UtilityError, match=words) as error:
        read_validation(path)
    assert str(path) in str(error.value)


def test_an_edited_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "u.json"
    write_validation(path, held([4, 3, 2, 1], once([1, 2, 3, 4])))
    edited = path.read_text("utf-8").replace('"status": "unvalidated"', '"status": "validated"')
    path.write_text(edited, encoding="utf-8")
    with pytest.raises(UtilityError, match="does not fit its content"):
        read_validation(path)


def test_a_utility_takes_on_what_its_own_validation_says(
    tmp_path: Path, validation: Validation
) -> None:
    names = [f"draw {number:02}-{i}" for number in range(9) for i in range(SIZE)]
    sums = numbers(9, 1)
    values = {name: sums[int(name[5:7])] / SIZE for name in names}
    utility = Utility("another name", "knn", "proxy", values)
    path = tmp_path / "u.json"
    write_validation(path, validation)
    found = validated(utility, path, POOL)
    assert found.validation == validation.summary
    assert found.validation.status == "validated"
    assert found.of(names[:2]).validation == found.validation
    with pytest.raises(UtilityError, match="validates other values"):
        validated(replace(utility, values=dict.fromkeys(names, 1.0)), path, POOL)
    with pytest.raises(UtilityError, match="on another pool"):
        validated(utility, path, "b" * 64)


# --- on a terminal


def test_a_table_shows_the_score_beside_the_controls(validation: Validation) -> None:
    few = held([1, 2, 3, 4], once([2, 1, 4, 3])).model_copy(update={"utility": "few"})
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render_validations([validation, few]))
    text = " ".join(console.export_text().split())
    assert "9 random subsets of 3 items" in text
    assert "u 1.00" in text
    assert "few: unvalidated: 4 subsets may come in such an order by chance" in text
