"""Every chart of a page: a valid Vega-Lite specification, with the same figures as a table."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from selectllm.downstream.trials.schema import (
    BothGains,
    GainComparison,
    GainComparisons,
    GainDifference,
    GainNoise,
    SelectorGain,
    StudentsCompared,
    TrainedSet,
)
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.optimization.schema import GridResults, read_optimize
from selectllm.report.html.chart import Chart
from selectllm.report.html.charts.every import charts
from selectllm.report.html.charts.trend import Trend, TrendPoint, trend_chart
from selectllm.report.html.evidence import (
    LengthBin,
    Provenance,
    RunEvidence,
    ShownArm,
    ShownCluster,
)
from selectllm.stats.interval import Interval
from tests.report.test_report import ab, interval, pair, regress, run, sequential, swap
from tests.report.test_report_grid import told as grid
from tests.support.audit_pickers import audited, first, mute, obeying, subject_of

SUPPORT = Path(__file__).parents[2] / "support"
GOLDEN = Path(__file__).parents[2] / "golden" / "written_by_0_1_0"
ARMS = ("short@1 + gpt", "criteria@1 + gpt")


@cache
def vega_lite() -> Draft7Validator:
    """Of the version that the bundle holds; from the package vega-lite of npm, BSD-3-Clause."""
    packed = (SUPPORT / "vega_lite_schema.json.gz").read_bytes()
    return Draft7Validator(json.loads(gzip.decompress(packed)))


def evidence(*lost: tuple[float | None, ...], lengths: tuple[LengthBin, ...] = ()) -> RunEvidence:
    """Of two arms, with what they lost in each cluster."""
    return RunEvidence(
        picks=2,
        arms=tuple(map(ShownArm, ARMS)),
        utilities=("rating",),
        deciding="rating",
        reference=0,
        judged=1,
        items=(),
        clusters=tuple(ShownCluster(n, None, each) for n, each in enumerate(lost)),
        showings=(),
        choices=(),
        replies=(),
        pieces=(),
        shapes=(),
        labels={},
        lengths=lengths,
        asked=None,
        provenance=Provenance("selectllm ab demo.yaml", "1 May 2026", ()),
    )


def of(result: Any, seen: RunEvidence | None = None) -> dict[str, Chart]:
    """The charts of a result, by name; each has a valid specification and a table."""
    made = {each.name: each for each in charts(result, seen, "rating")}
    for each in made.values():
        errors = list(vega_lite().iter_errors(each.spec))
        assert not errors, (each.name, [error.message[:300] for error in errors])
        assert each.spec["description"] == each.description
        assert each.rows
        assert {len(row) for row in each.rows} == {len(each.head)}
    return made


def agreement(captured: float) -> dict[str, Any]:
    nothing = dict.fromkeys(("nuc", "hit", "ndcg", "tau", "auc", "kappa", "worst_case"))
    counts = {"kind": "human", "rater": None, "clusters": 120, "flat_clusters": 0}
    return {"rating": counts | nothing | {"captured": interval(captured)}}


def content(*verdicts: Mapping[str, Any]) -> dict[str, Any]:
    """A results.json of two pairs and a control, with ten picks each in two slots."""
    slots = {"counts": [7, 3], "expected": [5.0, 5.0], "chi2": 1.6, "df": 1, "p": 0.2}
    pairs = [
        pair(*name.split(" + "), seconds=1.0) | {"agreement": agreement(found), "slots": slots}
        for name, found in zip(ARMS, (0.3, 0.42), strict=True)
    ]
    figures = {name: pairs[0][name] for name in ("tokens_in", "tokens_out", "replay_cost_usd")}
    counted = {"clusters": 120, "flat_clusters": 0, "seconds": 0.0}
    longest = figures | counted | {"strategy": "longest", "agreement": agreement(-0.1)}
    utility = {"name": "rating", "kind": "human", "rater": None, "sha256": "0" * 64}
    return run(*verdicts, pairs=pairs, strategies=[longest], utilities=[utility])


def comparison(verdict: Mapping[str, Any]) -> RunResults:
    return RunResults.model_validate(content(verdict))


def table(chart: Chart) -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for row in chart.rows}


def test_a_forest_plot_holds_pairs_controls_random_and_best() -> None:
    rows = table(of(comparison(ab()))["forest"])
    assert set(ARMS) <= rows.keys()
    assert rows["random picks"] == ("0.00", "-", "by definition")
    assert rows["best possible picks"] == ("1.00", "-", "by definition")


def test_differences_count_clusters_by_who_picked_better() -> None:
    seen = evidence((0.5, 0.5), (0.5, 0.0), (0.0, 0.31), (None, 0.2))
    rows = table(of(comparison(ab()), seen)["differences-1"])
    assert rows == {"-0.3": ("1",), "+0.0": ("1",), "+0.5": ("1",)}


def test_looks_show_the_boundary_that_the_difference_had_to_cross() -> None:
    chart = of(comparison(sequential()))["looks-1"]
    assert chart.rows == (("100", "+0.050", "0.150"), ("150", "+0.105", "0.095"))
    assert "stopped at 150" in chart.description
    assert "looks-1" not in of(comparison(ab()))


def test_a_swap_tells_the_share_that_is_kept_with_its_interval() -> None:
    """0.9 of the 0.3 that the former captures, and 0.05 (0.02 to 0.08) beyond."""
    chart = of(comparison(swap()))["kept-1"]
    assert chart.rows == (
        ("short@1 + llama", "107 %", "96.7 % to 117 %", "+0.050", "+0.020 to +0.080"),
    )
    (drawn,) = chart.spec["data"]["values"]
    assert drawn["low"] == pytest.approx(0.9 + 0.02 / 0.3)
    (demanded,) = chart.spec["layer"][0]["data"]["values"]
    assert demanded == {"at": 0.9}


def test_of_a_model_that_gains_nothing_no_share_is_drawn() -> None:
    unsure = {"assay": {"estimate": 0.02, "low": -0.05, "high": 0.09}}
    chart = of(comparison(swap(swap=unsure)))["kept-1"]
    ((_, share, ends, *_),) = chart.rows
    assert (share, ends) == ("140 %", "-")
    assert "not shown as a share" in chart.description
    (demanded,) = chart.spec["layer"][0]["data"]["values"]
    assert demanded == {"at": 0.0}


def test_a_gate_has_the_charts_of_its_pairs() -> None:
    assert {"forest", "slots"} <= of(comparison(regress())).keys()


def test_a_pair_that_another_beats_at_less_is_not_on_the_front() -> None:
    told = content(ab())
    for each, (spent, captured) in zip(told["pairs"], ((1.0, 0.5), (3.0, 0.4)), strict=True):
        each |= {"replay_cost_usd": spent, "decisions": 100, "agreement": agreement(captured)}
    rows = of(RunResults.model_validate(told))["cost"].rows
    assert rows == (
        (ARMS[0], "5.00", "0.50", "on the front"),  # 1 USD for 100 decisions of two picks
        (ARMS[1], "15.00", "0.40", "beaten"),
    )


def test_length_bias_is_the_share_picked_of_what_was_shown() -> None:
    bins = (
        LengthBin(ARMS[0], 1, 10, 50, 5),
        LengthBin(ARMS[0], 10, 99, 50, 15),
    )
    chart = of(comparison(ab()), evidence(lengths=bins))["lengths"]
    assert chart.head == ("pair", "1 to 10", "10 to 99")
    assert chart.rows == ((ARMS[0], "10%", "30%"),)


def test_a_ceiling_is_drawn_where_a_reliability_is_known() -> None:
    told = content(ab())
    assert "ceiling" not in of(RunResults.model_validate(told))
    told["utilities"][0] |= {"reliability": 0.64, "ceiling": 0.8}
    (row,) = of(RunResults.model_validate(told))["ceiling"].rows
    assert row == ("rating", "0.64", "0.80", ARMS[1], "0.42 (+0.33 to +0.51)", "-")


def test_sets_have_budget_curves_and_overlaps() -> None:
    folder = next(path.parent for path in GOLDEN.rglob("sets.json"))
    made = of(SetsResults.read(folder / "sets.json", "{why}"))
    assert made["budgets"].rows
    names = [row[0][3:] for row in made["overlap"].rows]
    assert len(names) == len(set(names)) > 1


def gains(name: str, *values: float, role: str = "selector") -> list[TrainedSet]:
    return [
        TrainedSet.model_construct(
            arm=name, role=role, seed=n, gain=BothGains(per_token=value, per_item=value)
        )
        for n, value in enumerate(values)
    ]


def test_student_gains_stand_beside_the_cloud_of_random_sets() -> None:
    over = GainDifference(estimate=0.2, low=0.1, high=0.3)
    arm = SelectorGain(arm="k-center", gain=0.3, over_random=over, above=1.0)
    noise = GainNoise.model_construct(sets=None, seeds=None, items=None)
    both = GainComparison.model_construct(noise=noise, refused=None, arms=(arm,))
    compared = StudentsCompared.model_construct(
        primary="per_token",
        comparisons=GainComparisons.model_construct(per_token=both, per_item=both),
        sets=(
            *gains("random", 0.0, 0.1, 0.2, role="random"),
            *gains("k-center", 0.3),
            *gains("k-center", -0.1, role="matched"),
        ),
    )
    rows = table(of(compared)["gains"])
    assert rows["as many random tokens as k-center"] == ("1", "-0.100", "-0.100", "-0.100")
    assert rows["random sets"] == ("3", "0.000", "0.100", "0.200")
    assert rows["k-center"] == ("1", "0.300", "0.300", "0.300")


@pytest.mark.parametrize(("days", "marked"), [((9, 9), True), ((9, 10), False)])
def test_runs_of_one_day_are_told_apart_by_their_time(days: tuple[int, int], marked: bool) -> None:
    points = tuple(
        TrendPoint(
            f"run{n}", f"2026-03-{day:02}T10:0{n}:00", "1", "c", Interval(0.3, 0.2, 0.4), 1.0, 0.0
        )
        for n, day in enumerate(days)
    )
    drawn = trend_chart(Trend("demo", "short", "gpt", "rating", points))
    assert drawn is not None
    axis = drawn.spec["layer"][-1]["encoding"]["x"]["axis"]
    assert ("format" in axis) is marked
    assert axis.get("values") == ([point.when for point in points] if marked else None)


def test_a_search_shows_its_optimism_by_split() -> None:
    folder = next(path.parent for path in GOLDEN.rglob("optimize.json"))
    rows = of(read_optimize(folder / "optimize.json"))["optimism"].rows
    assert {row[1] for row in rows} >= {"training", "validation"}


def test_a_grid_shows_what_was_confirmed() -> None:
    rows = of(GridResults.model_validate(grid()))["optimism"].rows
    assert any(row[1] == "confirmation" for row in rows)


@pytest.mark.parametrize("verdict", [ab(), regress(), swap(), sequential()])
def test_nothing_in_a_specification_is_fetched_or_evaluated_from_elsewhere(
    verdict: Mapping[str, Any],
) -> None:
    for chart in of(comparison(verdict)).values():
        text = json.dumps(chart.spec)
        assert '"url"' not in text
        assert text.count("http") == 1  # the name of the schema


class TestAudits:
    """The curve over slots, and the uplift of attack texts."""

    def test_a_picker_by_slot_that_obeys_shows_in_both(self) -> None:
        made = of(audited(subject_of(clusters=12, orders=5), obeying(first)))
        assert [*made] == ["slot-curve", "attacks"]
        assert made["slot-curve"].rows[0] == ("1", "1.00", "+0.74 to +1.00")
        assert made["attacks"].rows[0][2] == "12 of 12"
        line = made["slot-curve"].spec["layer"][0]["data"]["values"][0]["at"]
        assert line == pytest.approx(0.2)

    def test_silence_has_no_charts(self) -> None:
        assert of(audited(subject_of(clusters=5, orders=2), mute)) == {}
