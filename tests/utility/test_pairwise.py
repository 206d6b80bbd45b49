"""Strengths from pairwise judgements: the maximum of the likelihood, its properties, bad rows."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.genmod import families
from statsmodels.genmod.generalized_linear_model import GLM

from selectllm.core.errors import UtilityError
from selectllm.utility import pairwise
from selectllm.utility.pairwise import (
    Judgement,
    Winner,
    bradley_terry,
    groups,
    read_judgements,
    reliability,
    strengths,
)
from tests.conftest import write_jsonl

IDS = "abcdefgh"


def drawn(count: int, spread: float = 1.0, ties: float = 0.1, seed: int = 0) -> list[Judgement]:
    """Judgements as the model draws them, of items whose strengths rise with their names."""
    rng = np.random.default_rng(seed)
    true = np.linspace(-spread, spread, len(IDS))
    found = []
    for _ in range(count):
        a, b = rng.choice(len(IDS), 2, replace=False)
        winner: Winner = "a" if rng.random() < 1 / (1 + math.exp(true[b] - true[a])) else "b"
        found.append(Judgement(IDS[a], IDS[b], "tie" if rng.random() < ties else winner))
    return found


@st.composite
def judged(draw: st.DrawFn) -> list[Judgement]:
    """Any judgements that join all of their items: each item is judged against the next one."""
    size = draw(st.integers(2, len(IDS)))
    pairs = list(itertools.pairwise(IDS[:size]))
    pair = st.tuples(*(st.integers(0, size - 1) for _ in "ab")).filter(lambda p: p[0] != p[1])
    pairs += [(IDS[a], IDS[b]) for a, b in draw(st.lists(pair, max_size=20))]
    winners: st.SearchStrategy[Winner] = st.sampled_from(("a", "b", "tie"))
    return [Judgement(a, b, draw(winners)) for a, b in pairs]


@pytest.fixture
def roughly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strengths settle to four places: enough for what is compared to a tenth."""
    monkeypatch.setattr(pairwise, "CLOSE", 1e-4)


def by_regression(judgements: list[Judgement], prior: float) -> dict[str, float]:
    """A logistic regression on differences of items, ties as halves, the prior as more rows."""
    design = [[(each.a == i) - (each.b == i) for i in IDS] for each in judgements]
    won = [{"a": 1.0, "b": 0.0, "tie": 0.5}[each.winner] for each in judgements]
    weights = [1.0] * len(won)
    if prior:
        design += np.eye(len(IDS), dtype=int).tolist()
        won += [0.5] * len(IDS)
        weights += [prior] * len(IDS)
    columns = np.array(design, dtype=float)[:, 0 if prior else 1 :]
    family = families.Binomial()
    fitted = GLM(np.array(won), columns, family=family, freq_weights=np.array(weights)).fit(
        tol=1e-13
    )
    found = fitted.params if prior else np.concatenate([[0.0], fitted.params])
    return dict(zip(IDS, (found - found.mean()).tolist(), strict=True))


@pytest.mark.parametrize("prior", [0.0, 0.3, 1.0])
def test_strengths_are_those_of_a_logistic_regression_on_differences(prior: float) -> None:
    judgements = drawn(200)
    assert strengths(judgements, prior) == pytest.approx(by_regression(judgements, prior), abs=1e-9)


def test_two_items_differ_by_the_logarithm_of_their_odds() -> None:
    judgements = [Judgement("x", "y", winner) for winner in ("a", "a", "a", "b")]
    found = strengths(judgements, prior=0)
    assert found["x"] - found["y"] == pytest.approx(math.log(3))
    assert found["x"] + found["y"] == pytest.approx(0)


@given(judged(), st.randoms())
def test_neither_the_order_of_judgements_nor_of_the_two_matters(
    judgements: list[Judgement], shuffle: random.Random
) -> None:
    other: dict[Winner, Winner] = {"a": "b", "b": "a", "tie": "tie"}
    turned = [Judgement(each.b, each.a, other[each.winner]) for each in judgements]
    shuffle.shuffle(turned)
    assert strengths(turned) == pytest.approx(strengths(judgements), abs=1e-9)


@given(judged())
def test_other_names_give_the_same_strengths(judgements: list[Judgement]) -> None:
    renamed = [replace(each, a=f"z{each.a}", b=f"A{each.b}") for each in judgements]
    renamed = [replace(each, b=f"z{each.b[1:]}") for each in renamed]
    found = strengths(judgements)
    assert strengths(renamed) == pytest.approx({f"z{i}": v for i, v in found.items()}, abs=1e-9)


@given(judged())
def test_who_wins_once_more_is_stronger_and_who_loses_weaker(judgements: list[Judgement]) -> None:
    a, b = judgements[0].a, judgements[0].b
    before, after = strengths(judgements), strengths([*judgements, Judgement(a, b, "a")])
    assert after[a] - after[b] > before[a] - before[b]


@given(judged())
def test_strengths_have_mean_0_and_are_finite(judgements: list[Judgement]) -> None:
    found = strengths(judgements)
    assert sum(found.values()) == pytest.approx(0, abs=1e-9)
    assert all(map(math.isfinite, found.values()))


def test_ties_alone_make_all_equal() -> None:
    judgements = [Judgement(a, b, "tie") for a, b in zip("abc", "bca", strict=True)]
    assert list(strengths(judgements).values()) == pytest.approx([0, 0, 0], abs=1e-12)


def test_an_item_that_never_lost_needs_a_prior() -> None:
    judgements = [Judgement("x", "y", "a"), Judgement("y", "z", "a"), Judgement("z", "y", "a")]
    assert strengths(judgements)["x"] > strengths(judgements)["y"]
    with pytest.raises(UtilityError, match="never lost"):
        strengths(judgements, prior=0)


def test_a_weaker_prior_lets_strengths_go_further_apart() -> None:
    judgements = [Judgement("x", "y", "a")] * 3
    apart = [strengths(judgements, prior)["x"] for prior in (4.0, 1.0, 0.1)]
    assert apart == sorted(apart)


def test_items_that_no_judgement_joins_are_not_compared() -> None:
    judgements = [*drawn(40), Judgement("x", "y", "a")]
    assert groups(judgements) == [list(IDS), ["x", "y"]]
    with pytest.raises(UtilityError, match=r"2 groups .* of 8, 2 items each.*'a', 'x'"):
        strengths(judgements)
    joined = [*judgements, Judgement("x", "a", "tie")]
    assert len(strengths(joined)) == len(IDS) + 2


def test_without_judgements_there_is_nothing_to_say() -> None:
    with pytest.raises(UtilityError, match="no judgements"):
        strengths([])
    with pytest.raises(ValueError, match="prior"):
        strengths(drawn(10), prior=-1)


@pytest.mark.usefixtures("roughly")
def test_reliability_is_high_where_judgements_agree_and_low_where_they_are_chance() -> None:
    clear, chance = reliability(drawn(200, 2.0)), reliability(drawn(200, 0.0))
    assert clear is not None
    assert chance is not None
    assert clear > 0.9
    assert chance < 0.6
    few = reliability(drawn(60, 2.0))
    assert few is not None
    assert few < clear


@pytest.mark.usefixtures("roughly")
def test_reliability_foretells_how_two_sets_of_judgements_correlate() -> None:
    found = []
    for seed in range(4):
        one, other = drawn(200, seed=2 * seed), drawn(200, seed=2 * seed + 1)
        sides = [[strengths(side)[i] for i in IDS] for side in (one, other)]
        found.append((reliability(one), np.corrcoef(*sides)[0, 1]))
    foretold, seen = np.mean(np.array(found, dtype=float), axis=0)
    assert foretold == pytest.approx(seen, abs=0.1)


@pytest.mark.usefixtures("roughly")
def test_judgements_on_one_instruction_stay_in_one_half() -> None:
    # One item wins all of an instruction's judgements: to split these would look like agreement.
    rng = np.random.default_rng(1)
    together = [
        replace(each, winner="a" if favoured == each.a else "b", instruction=str(number))
        for number in range(30)
        for favoured in [rng.choice(list(IDS))]
        for each in [Judgement(str(favoured), i, "tie") for i in IDS if i != favoured]
    ]
    apart = [replace(each, instruction=None) for each in together]
    of_together, of_apart = reliability(together), reliability(apart)
    assert of_together is not None
    assert of_apart is not None
    assert of_together < of_apart - 0.2


def test_too_few_items_have_no_reliability() -> None:
    assert reliability([Judgement("x", "y", "a")] * 10) is None
    assert reliability([]) is None


def test_the_utility_says_who_judged() -> None:
    one = [replace(each, rater="ann") for each in drawn(60)]
    utility = bradley_terry(one, name="pairs")
    assert (utility.source, utility.kind, utility.rater) == ("pairwise", "human", "ann")
    assert utility.values == strengths(one)
    assert utility.reliability == reliability(one)
    two = [*one[:30], *(replace(each, rater="bob") for each in one[30:])]
    assert bradley_terry(two, name="pairs").rater == "2 raters"
    assert bradley_terry(drawn(60), name="pairs", kind="model", rater="gpt").rater == "gpt"


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_judgements_are_read_from_rows(tmp_path: Path, suffix: str) -> None:
    rows = [
        {"a": "x", "b": "7", "winner": "A", "rater": "ann", "instruction": "q1"},
        {"a": "7", "b": "x", "winner": "tie", "rater": "", "instruction": ""},
    ]
    path = tmp_path / f"pairs{suffix}"
    if suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        write_jsonl(path, rows)
    assert read_judgements(path) == [
        Judgement("x", "7", "a", "ann", "q1"),
        Judgement("7", "x", "tie"),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"b": "y", "winner": "a"}, ":2: a is None. Write the item's id"),
        ({"a": "x", "b": "", "winner": "a"}, ":2: b is ''. Write the item's id"),
        ({"a": "x", "b": "x", "winner": "a"}, ":2: item 'x' is judged against itself"),
        ({"a": "x", "b": "y", "winner": "x"}, r":2: winner \('x'\) must be a, b or tie"),
        ({"a": "x", "b": "y"}, r":2: winner \(None\) must be"),
        ({"a": "x", "b": "y", "winner": ["a"]}, r":2: winner \(\['a'\]\) must be"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict[str, object], message: str) -> None:
    path = write_jsonl(tmp_path / "pairs.jsonl", [{"a": "x", "b": "y", "winner": "a"}, row])
    with pytest.raises(UtilityError, match=message):
        read_judgements(path)


def test_files_without_judgements_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UtilityError, match="holds no judgements"):
        read_judgements(write_jsonl(tmp_path / "pairs.jsonl", []))
    with pytest.raises(UtilityError, match=r"suffix '\.txt'"):
        read_judgements(tmp_path / "pairs.txt")
    (tmp_path / "p.csv").write_text("a,b\nx,y\n", encoding="utf-8")
    with pytest.raises(UtilityError, match="no column 'winner'"):
        read_judgements(tmp_path / "p.csv")
