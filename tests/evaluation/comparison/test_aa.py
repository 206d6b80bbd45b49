"""`aa`: what a pair differs from itself by, and how often the rules take that for a change."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from scipy.stats import ttest_1samp

from selectllm.core.codec import canonical_json
from selectllm.core.types import Cluster, Decision
from selectllm.evaluation.comparison.aa import RESAMPLES, By, FalseAlarms, Noise, noise
from selectllm.evaluation.comparison.arm_results import arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.kinds import kind_of
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign, RunInputs
from selectllm.evaluation.metrics.consistency import order_consistency, repeat_consistency
from selectllm.evaluation.suite_entries import Gate
from selectllm.report.schemas import schema
from selectllm.stats.paired import Paired
from selectllm.stats.power import detectable
from selectllm.utility.utility import Utility

PAIR = Arm("short@1", "m")
LEVELS = 5  # items of a cluster, with utilities 0, 1/4, ... 1: picking one of them gains that
HEADROOM = 0.5  # 1 - r of such a cluster: a random pick gains 1/2


def run_inputs(
    clusters: int, *, by: By = "orders", gate: Gate | None = None, groups: int | None = None
) -> RunInputs:
    """Clusters of LEVELS items. `groups`: neighbouring clusters share one of so many groups."""
    ids = {number: tuple(f"{number}-{i}" for i in range(LEVELS)) for number in range(clusters)}
    values = {item: i / (LEVELS - 1) for members in ids.values() for i, item in enumerate(members)}
    return RunInputs(
        suite="demo",
        picks=1,
        orders=2,
        clusters=tuple(
            Cluster(number, members, f"g{number * groups // clusters}" if groups else None)
            for number, members in ids.items()
        ),
        utilities=(Utility("rating", "ratings", "human", values, rater="Ann"),),
        pairs=(("short@1", "m"),),
        prompts={"short@1": "0" * 64},
        specs={"m": {}},
        strategies=(),
        gate=gate or Gate(),
        comparison=ComparisonDesign(kind="aa", arms=(PAIR,), by=by),
    )


def decided(picked: Mapping[int, Sequence[int]], by: By = "orders") -> list[Decision]:
    """`picked`: by cluster, the level of the item picked in each of its orders (or repeats)."""
    return [
        Decision(
            cluster=cluster,
            order=part if by == "orders" else 0,
            repeat=part if by == "repeats" else 0,
            round=0,
            shown=tuple(f"{cluster}-{i}" for i in range(LEVELS)),
            picks=(f"{cluster}-{level}",),
            status="ok",
            prompt="short@1",
            model="m",
        )
        for cluster, levels in picked.items()
        for part, level in enumerate(levels)
    ]


def found(inputs: RunInputs, decisions: Sequence[Decision]) -> Noise:
    measured = noise(inputs, arm_results(inputs, decisions))
    assert measured is not None
    return measured


def noisy(clusters: int, seed: int = 0, orders: int = 2) -> dict[int, list[int]]:
    """A pair that picks at random in every order."""
    rng = random.Random(seed)
    return {c: [rng.randrange(LEVELS) for _ in range(orders)] for c in range(clusters)}


def in_captured(picked: Mapping[int, Sequence[int]]) -> np.ndarray:
    """The differences of two orders, in captured units."""
    return np.array([(b - a) / (LEVELS - 1) / HEADROOM for a, b in picked.values()])


# --- what is measured


def test_only_aa_has_noise() -> None:
    inputs = run_inputs(4)
    decisions = decided(noisy(4))
    for comparison in (None, ComparisonDesign(kind="ab", arms=(PAIR, PAIR))):
        other = replace(inputs, comparison=comparison)
        assert kind_of(comparison).noise(other, arm_results(other, decisions)) is None


def test_a_pair_whose_picks_ignore_the_order_has_no_noise() -> None:
    measured = found(run_inputs(120), decided({c: [c % LEVELS] * 2 for c in range(120)}))
    assert (measured.sd, measured.nonzero) == (0.0, 0)
    assert measured.detectable == pytest.approx(detectable(0.0, 120, 0.05, extreme=1 / HEADROOM))
    assert measured.false_alarms == FalseAlarms(ab=0.0, regress=0.0, naive=0.0)
    assert measured.consistency is not None
    assert measured.consistency.estimate == 1.0


def test_the_noise_floor_is_the_spread_of_d_in_captured_units() -> None:
    # d = 1, -1, 0, 0 in G, twice that in captured units.
    measured = found(run_inputs(4), decided({0: [0, 4], 1: [4, 0], 2: [1, 1], 3: [2, 2]}))
    assert measured.sd == pytest.approx(2 * math.sqrt(2 / 3))
    assert measured.difference is not None
    assert measured.difference.estimate == 0.0
    assert (measured.clusters, measured.nonzero, measured.flat_clusters) == (4, 2, 0)


@pytest.mark.usefixtures("few_resamples")
def test_the_difference_is_the_later_half_minus_the_earlier() -> None:
    picked = {0: [0, 2], 1: [1, 2], 2: [0, 4]}
    measured = found(run_inputs(3), decided(picked))
    reference = ttest_1samp(in_captured(picked), 0).confidence_interval(0.95)
    assert measured.difference is not None
    assert measured.difference.estimate == pytest.approx(in_captured(picked).mean())
    assert (measured.difference.low, measured.difference.high) == pytest.approx(tuple(reference))


@pytest.mark.usefixtures("few_resamples")
def test_of_four_orders_the_first_two_stand_against_the_last_two() -> None:
    four = found(run_inputs(3), decided({0: [0, 2, 4, 4], 1: [1, 1, 0, 2], 2: [3, 3, 3, 3]}))
    halves = found(run_inputs(3), decided({0: [1, 4], 1: [1, 1], 2: [3, 3]}))
    assert four.sd == halves.sd
    assert four.difference == halves.difference


@pytest.mark.usefixtures("few_resamples")
def test_of_three_orders_the_middle_one_is_left_out() -> None:
    three = found(run_inputs(3), decided({0: [0, 3, 4], 1: [4, 2, 1], 2: [3, 0, 3]}))
    ends = found(run_inputs(3), decided({0: [0, 4], 1: [4, 1], 2: [3, 3]}))
    assert three.difference == ends.difference


@pytest.mark.usefixtures("few_resamples")
def test_repeats_are_split_like_orders() -> None:
    picked = noisy(20)
    orders = found(run_inputs(20), decided(picked))
    repeats = found(run_inputs(20, by="repeats"), decided(picked, "repeats"))
    assert (repeats.by, repeats.sd, repeats.difference) == ("repeats", orders.sd, orders.difference)


@pytest.mark.usefixtures("few_resamples")
def test_consistency_is_that_of_all_orders_or_repeats() -> None:
    by_order = decided(noisy(20, orders=3))
    by_repeat = decided(noisy(20, orders=3), "repeats")
    assert found(run_inputs(20), by_order).consistency == order_consistency(by_order, 1)
    repeats = found(run_inputs(20, by="repeats"), by_repeat)
    assert repeats.consistency == repeat_consistency(by_repeat, 1)


@pytest.mark.usefixtures("few_resamples")
def test_what_is_detectable_is_what_the_rule_finds_four_times_in_five() -> None:
    measured = found(run_inputs(50), decided(noisy(50)))
    assert measured.sd is not None
    assert measured.detectable is not None
    rng = np.random.default_rng(1)
    drawn = rng.normal(measured.detectable, measured.sd, (2000, 50)) * HEADROOM
    d = [Paired(row, np.full(50, HEADROOM)) for row in drawn]
    assert np.mean([each.p_above() < 0.025 for each in d]) == pytest.approx(0.8, abs=0.03)


@pytest.mark.usefixtures("few_resamples")
def test_few_groups_detect_nothing() -> None:
    measured = found(run_inputs(60, groups=3), decided(noisy(60)))
    assert (measured.groups, measured.detectable) == (3, None)
    assert measured.false_alarms.ab == 0.0


# --- false alarms


def test_without_a_margin_to_speak_of_ab_and_regress_raise_false_alarms_below_alpha() -> None:
    gate = Gate(margin=0.001)  # nothing is equivalent
    alarms = found(run_inputs(400, gate=gate), decided(noisy(400))).false_alarms
    assert alarms.ab is not None
    assert alarms.regress is not None
    assert 0.01 < alarms.ab < 0.05  # of t alone it would be .05
    assert 0.01 < alarms.regress < 0.05


def test_the_naive_rule_raises_them_half_of_the_time() -> None:
    alarms = found(run_inputs(200), decided(noisy(200))).false_alarms
    assert alarms.naive == pytest.approx(0.5, abs=0.05)


def test_alarms_within_the_margin_are_called_equivalent_or_pass() -> None:
    gate = Gate(margin=0.5)
    alarms = found(run_inputs(200, gate=gate), decided(noisy(200))).false_alarms
    assert (alarms.ab, alarms.regress) == (0.0, 0.0)
    assert alarms.naive is not None
    assert alarms.naive > 0.4


def test_with_few_clusters_one_more_that_could_go_badly_silences_most_alarms() -> None:
    gate = Gate(margin=0.001)
    alarms = found(run_inputs(60, gate=gate), decided(noisy(60))).false_alarms
    assert alarms.ab is not None
    assert alarms.regress is not None
    assert max(alarms.ab, alarms.regress) < 0.035  # of t alone they would be .05


def test_a_group_is_drawn_and_changes_sign_as_a_whole() -> None:
    # Two groups, d = 1 throughout: both change sign in a quarter of the resamples. Clusters that
    # changed it alone would have a mean below 0 in nearly half of them.
    picked = {c: [0, 4] for c in range(20)}
    alarms = found(run_inputs(20, groups=2), decided(picked)).false_alarms
    assert alarms.naive == pytest.approx(0.25, abs=0.04)


@pytest.mark.usefixtures("few_resamples")
def test_the_same_decisions_give_the_same_bytes() -> None:
    inputs, decisions = run_inputs(40), decided(noisy(40))
    shuffled = random.Random(1).sample(decisions, len(decisions))
    first, again, other_order = (
        canonical_json(found(inputs, each).to_json()) for each in (decisions, decisions, shuffled)
    )
    assert first == again == other_order


# --- where nothing is known


def undefined(measured: Noise) -> bool:
    figures = (measured.sd, measured.difference, measured.detectable)
    return figures == (None, None, None) and measured.false_alarms == FalseAlarms()


def test_without_a_utility_there_is_still_consistency() -> None:
    inputs = replace(run_inputs(20), utilities=())
    measured = found(inputs, decided(noisy(20)))
    assert undefined(measured)
    assert (measured.utility, measured.clusters, measured.flat_clusters) == (None, 0, None)
    assert measured.consistency is not None


def test_flat_clusters_are_counted_and_say_nothing() -> None:
    inputs = run_inputs(3)
    flat = Utility("rating", "ratings", "human", dict.fromkeys(inputs.utilities[0].values, 3.0))
    measured = found(replace(inputs, utilities=(flat,)), decided(noisy(3)))
    assert undefined(measured)
    assert (measured.clusters, measured.flat_clusters) == (0, 3)


@pytest.mark.parametrize(("clusters", "groups"), [(1, None), (6, 1)])
def test_one_cluster_or_one_group_says_nothing_of_others(clusters: int, groups: int | None) -> None:
    measured = found(run_inputs(clusters, groups=groups), decided(noisy(clusters)))
    assert undefined(measured)
    assert measured.clusters == clusters


def test_a_pair_asked_in_one_order_only_has_nothing_to_be_held_against() -> None:
    measured = found(run_inputs(6), decided(noisy(6, orders=1)))
    assert undefined(measured)
    assert (measured.clusters, measured.consistency) == (0, None)


# --- results.json


@pytest.mark.parametrize("utilities", [True, False])
def test_it_fits_the_schema_of_results(utilities: bool) -> None:
    inputs = run_inputs(6) if utilities else replace(run_inputs(6), utilities=())
    row = found(inputs, decided(noisy(6))).to_json()
    whole = schema("results")
    Draft202012Validator({"$ref": "#/$defs/Noise", "$defs": whole["$defs"]}).validate(row)
    assert row["pair"] == "short@1 + m"
    assert row["resamples"] == RESAMPLES == 2000
    assert (row["alpha"], row["margin"]) == (0.05, 0.1)
