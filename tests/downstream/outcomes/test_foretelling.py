"""Which measure of a long table of results foretells which: `utility agree --table`."""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selectllm.core.errors import UtilityError
from selectllm.downstream.outcomes.foretelling import foretold
from selectllm.downstream.outcomes.result_table import read_result_table
from selectllm.downstream.outcomes.schema import Foretelling, ForetoldTable
from tests.conftest import Command

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "targeted_selection_results.csv"
ARMS = ("a", "b", "c", "d", "e")
COLUMNS = ("model", "task", "method", "items", "seed", "measure", "value")


def row(**changes: Any) -> dict[str, Any]:
    usual = {"model": "m", "task": "t", "method": "a", "items": 500, "seed": 0}
    return usual | {"measure": "score", "value": 0.0} | changes


def write(rows: list[dict[str, Any]], path: Path) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for each in rows for name in each)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def table_of(
    losses: dict[tuple[str, str, int], tuple[float, ...]],
    scores: dict[tuple[str, str, int], tuple[float, ...]],
) -> list[dict[str, Any]]:
    """A loss and a score for every arm, by model, task and budget."""
    return [
        row(model=model, task=task, items=items, method=arm, measure=measure, value=value)
        for measure, values in (("loss", losses), ("score", scores))
        for (model, task, items), numbers in values.items()
        for arm, value in zip(ARMS, numbers, strict=False)
    ]


def found(path: Path, **how: Any) -> ForetoldTable:
    return foretold(read_result_table(path, {}), **how)


def of(result: ForetoldTable, measure: str = "loss") -> Foretelling:
    (one,) = (each for each in result.measures if each.measure == measure)
    return one


numbers = st.tuples(*[st.integers(0, 9).map(float)] * len(ARMS)).filter(lambda x: len(set(x)) > 1)


@given(data=st.lists(st.tuples(numbers, numbers), min_size=4, max_size=4))
def test_the_mean_and_its_interval_are_those_of_scipy_over_groups(
    tmp_path_factory: pytest.TempPathFactory, data: list[Any]
) -> None:
    """Two models with two budgets each: four strata in two groups."""
    strata = [("m", "t", 1), ("m", "t", 2), ("n", "t", 1), ("n", "t", 2)]
    losses = {key: pair[0] for key, pair in zip(strata, data, strict=True)}
    scores = {key: pair[1] for key, pair in zip(strata, data, strict=True)}
    path = write(table_of(losses, scores), tmp_path_factory.mktemp("t") / "t.csv")
    one = of(found(path))
    rhos = [
        stats.spearmanr([-value for value in losses[key]], scores[key]).statistic for key in strata
    ]
    assert (one.strata, one.groups, one.lower_is_better) == (4, 2, True)
    assert one.overall.spearman == pytest.approx(fmean(rhos), abs=1e-9)
    halves = [fmean(rhos[:2]), fmean(rhos[2:])]
    reach = stats.t.ppf(0.975, 1) * stdev(halves) / math.sqrt(2)
    assert one.overall.low == pytest.approx(max(-1, fmean(rhos) - reach), abs=1e-9)
    assert one.overall.high == pytest.approx(min(1, fmean(rhos) + reach), abs=1e-9)
    alike = [
        np.sign(losses[key][i] - losses[key][j]) * np.sign(scores[key][j] - scores[key][i])
        for key in strata
        for i, j in itertools.combinations(range(len(ARMS)), 2)
    ]
    assert one.overall.decisions == pytest.approx((1 + fmean(alike)) / 2, abs=1e-9)


def test_the_values_of_an_arm_are_means_over_its_seeds_and_seeds_tell_how_reliable_they_are(
    tmp_path: Path,
) -> None:
    rows = [
        row(method=arm, seed=seed, measure=measure, value=sign * number + seed * swing)
        for measure, sign, swing in (("loss", -1, 0.0), ("score", 1, 0.5))
        for number, arm in enumerate(ARMS)
        for seed in (0, 1, 2)
    ]
    one = of(found(write(rows, tmp_path / "t.csv")))
    assert one.overall.spearman == pytest.approx(1)
    assert one.overall.low is None  # one group has no spread
    assert one.reliability == 1
    assert one.outcome_reliability is not None
    assert 0.8 < one.outcome_reliability < 1


def test_each_circumstance_has_its_own_figures(tmp_path: Path) -> None:
    up, down = (1.0, 2.0, 3.0, 4.0, 5.0), (5.0, 4.0, 3.0, 2.0, 1.0)
    keys = list(itertools.product(("m", "n"), ("easy", "hard"), (500, 1000)))
    losses = {key: down if key[1] == "easy" else up for key in keys}
    one = of(found(write(table_of(losses, dict.fromkeys(keys, up)), tmp_path / "t.csv")))
    parts = {(part.column, part.value): part for part in one.parts}
    assert parts["task", "easy"].spearman == pytest.approx(1)
    assert parts["task", "hard"].spearman == pytest.approx(-1)
    assert parts["model", "m"].spearman == pytest.approx(0)
    assert [value for column, value in parts if column == "budget"] == ["500", "1000"]


def test_what_trains_below_the_untrained_model_is_counted(tmp_path: Path) -> None:
    scores = {("m", "t", 500): (1.0, 2.0, 3.0), ("m", "t", 1000): (4.0, 5.0, 3.0)}
    rows = table_of(scores, scores)
    rows.append(row(method="untrained", items=0, seed="", value=3.5))
    result = found(write(rows, tmp_path / "t.csv"))
    assert result.untrained == "untrained"
    assert result.arms == ("a", "b", "c")
    by_budget = {each.budget: each for each in result.beyond_untrained if each.column == "model"}
    assert (by_budget["500"].above, by_budget["500"].arms) == (0, 3)
    assert by_budget["500"].best_gain == pytest.approx(-0.5)
    assert (by_budget["1000"].above, by_budget["1000"].best) == (2, "b")


def test_strata_without_an_order_are_counted_and_left_out(tmp_path: Path) -> None:
    losses = {("m", "t", 1): (1.0, 1.0, 1.0), ("m", "t", 2): (1.0, 2.0, 3.0)}
    scores = dict.fromkeys(losses, (1.0, 2.0, 3.0))
    one = of(found(write(table_of(losses, scores), tmp_path / "t.csv")))
    assert (one.strata, one.undefined) == (1, 1)


def test_one_value_for_all_arms_is_no_lack_of_arms(tmp_path: Path) -> None:
    rows = table_of({("m", "t", 500): (1, 2, 3, 4, 5)}, {("m", "t", 500): (1, 1, 1, 1, 1)})
    with pytest.raises(UtilityError, match="one value for all arms"):
        found(write(rows, tmp_path / "t.csv"))


def test_a_table_without_a_known_budget_says_what_that_does(
    tmp_path: Path, selectllm: Command
) -> None:
    rows = table_of({("m", "t", 500): (1, 2, 3, 4, 5)}, {("m", "t", 500): (1, 2, 3, 4, 5)})
    known = write(rows, tmp_path / "known.csv")
    renamed = [{"n" if name == "items" else name: v for name, v in r.items()} for r in rows]
    other = write(renamed, tmp_path / "other.csv")
    told = "--column budget="
    assert told not in selectllm("utility", "agree", "--table", known).out
    assert told not in selectllm("utility", "agree", "--table", other, "--column", "budget=n").out
    assert told in selectllm("utility", "agree", "--table", other).out


def test_a_split_belongs_to_the_measure(tmp_path: Path) -> None:
    rows = [
        {**row(method=arm, measure=measure, value=number), "split": split}
        for measure, split in (("loss", "dev"), ("loss", "test"), ("score", "test"))
        for number, arm in enumerate(ARMS)
    ]
    result = found(write(rows, tmp_path / "t.csv"))
    assert result.outcome == "score (test)"
    assert [each.measure for each in result.measures] == ["loss (dev)", "loss (test)"]


@pytest.mark.parametrize(
    ("rows", "how", "words"),
    [
        ([row(value="x")], {}, ("t.csv:2", "'x'", "finite")),
        ([row(value="nan")], {}, ("t.csv:2", "nan")),
        ([row(), row()], {}, ("t.csv:3", "second value", "'a'")),
        ([row(value="")], {}, ("no rows with a value",)),
        ([row(method="")], {}, ("t.csv:2", "method")),
        ([{"model": "m", "value": 1}], {}, ("no column is the arm", "'model'")),
        ([row(), row(measure="loss")], {}, ("3 arms",)),
        ([row(), row(measure="accuracy")], {}, ("'score'", "'accuracy'", "`outcome`")),
        ([row()], {"outcome": "scor"}, ("'scor'", "'score'")),
        ([row()], {"lower": ("los",)}, ("'los'",)),
        ([row()], {"untrained": "none"}, ("'none'",)),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(
    tmp_path: Path, rows: list[dict[str, Any]], how: dict[str, Any], words: tuple[str, ...]
) -> None:
    path = write(rows, tmp_path / "t.csv")
    with pytest.raises(UtilityError) as error:
        found(path, **how)
    assert all(word in str(error.value) for word in words), error.value


class TestCommand:
    """`selectllm utility agree --table`."""

    @pytest.fixture
    def table(self, tmp_path: Path) -> Path:
        keys = list(itertools.product(("m", "n"), ("t", "u"), (500, 1000)))
        scores = dict.fromkeys(keys, (1.0, 2.0, 3.0, 4.0, 5.0))
        losses = dict.fromkeys(keys, (5.0, 4.0, 3.0, 1.0, 2.0))
        return write(table_of(losses, scores), tmp_path / "results.csv")

    def test_it_says_which_measure_foretells_which(self, selectllm: Command, table: Path) -> None:
        outcome = selectllm("utility", "agree", "--table", table)
        assert outcome.code == 0, outcome.err
        assert "0.90" in outcome.out
        printed = selectllm("utility", "agree", "--table", table, "--json")
        assert printed.json["measures"][0]["overall"]["spearman"] == pytest.approx(0.9)
        assert printed.json["outcome"] == "score"

    def test_columns_of_other_names_are_named(self, selectllm: Command, table: Path) -> None:
        text = table.read_text(encoding="utf-8")
        table.write_text(text.replace("method", "how").replace("value", "number"), "utf-8")
        refused = selectllm("utility", "agree", "--table", table)
        assert refused.code == 2
        assert "--column arm=COLUMN" in refused.err
        named = ("--column", "arm=how", "--column", "value=number")
        assert selectllm("utility", "agree", "--table", table, *named).code == 0

    @pytest.mark.parametrize(
        "words",
        [
            (),
            ("sets", "--table", "results.csv"),
            ("--table", "results.csv", "--column", "arm"),
            ("--table", "results.csv", "--column", "item=task"),
            ("sets", "--outcome", "score"),
            ("sets",),
        ],
    )
    def test_what_does_not_go_together_is_refused(
        self, selectllm: Command, table: Path, words: tuple[str, ...]
    ) -> None:
        outcome = selectllm("utility", "agree", *words)
        assert (outcome.code, outcome.out) == (2, "")


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published results are not at hand")
def test_of_published_results_a_held_out_loss_foretells_little() -> None:
    """18,150 results (arXiv 2602.14696): the loss on dev items against the score."""
    result = found(PUBLISHED)
    one = of(result, "loss (dev)")
    assert (result.rows, one.strata, one.groups) == (18_150, 250, 50)
    assert one.overall.spearman == pytest.approx(0.131, abs=5e-4)
    by_task = {p.value: p.spearman for p in one.parts if p.column == "task"}
    expected = {"tydiqa": 0.78, "mmlu_pro": 0.29, "gsm8k": 0.16, "bbh": -0.08, "codex": -0.50}
    assert by_task == pytest.approx(expected, abs=5e-3)
    at_500 = [b for b in result.beyond_untrained if (b.column, b.budget) == ("model", "500")]
    assert [each.value for each in at_500 if each.above == 0] == [
        "qwen3-4b-base",
        "smollm3-3b-base",
    ]
