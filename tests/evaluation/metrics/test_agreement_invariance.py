"""Agreement does not change with what must not matter: scale, origin, order and repeats."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from selectllm.evaluation.metrics.agreement import METRICS, Choice, agreement
from tests.support.agreement_cases import CLOSE, Values, captured, runs


class TestInvariance:
    """What must not matter does not."""

    @given(runs(), st.floats(0.01, 100), st.floats(-100, 100))
    def test_scale_and_origin_of_the_utility_do_not_matter(
        self, run: tuple[list[Choice], Values, int], scale: float, origin: float
    ) -> None:
        choices, utility, k = run
        utility = {item_id: round(value, 2) for item_id, value in utility.items()}
        moved = {item_id: scale * value + origin for item_id, value in utility.items()}
        before, after = agreement(choices, utility, k), agreement(choices, moved, k)
        assert before.clusters == after.clusters
        for metric in METRICS:
            a, b = getattr(before, metric), getattr(after, metric)
            assert (a is None) == (b is None), metric
            assert a is None or b.estimate == pytest.approx(a.estimate, rel=1e-6, abs=1e-6), metric

    @given(runs(), st.randoms(use_true_random=False))
    def test_the_order_of_choices_and_members_does_not_change_a_bit(
        self, run: tuple[list[Choice], Values, int], rng: random.Random
    ) -> None:
        choices, utility, k = run
        shuffled = [
            replace(choice, members=tuple(rng.sample(choice.members, len(choice.members))))
            for choice in rng.sample(choices, len(choices))
        ]
        assert agreement(shuffled, utility, k) == agreement(choices, utility, k)

    @given(runs())
    def test_captured_is_linear_in_gain(self, run: tuple[list[Choice], Values, int]) -> None:
        result = agreement(*run)
        assume(result.captured is not None)
        lift = sum(result.gain[c] - result.chance[c] for c in result.gain)
        room = sum(1 - chance for chance in result.chance.values())
        assert captured(result) == pytest.approx(lift / room, **CLOSE)

    @given(runs())
    def test_orders_and_repeats_are_averaged_within_their_cluster(
        self, run: tuple[list[Choice], Values, int]
    ) -> None:
        choices, utility, k = run
        result = agreement(choices, utility, k)
        for c, gain in result.gain.items():
            alone = [agreement([x], utility, k).gain[c] for x in choices if x.cluster == c]
            assert gain == pytest.approx(fmean(alone), **CLOSE)

    @given(runs())
    def test_giving_every_choice_twice_changes_nothing(
        self, run: tuple[list[Choice], Values, int]
    ) -> None:
        choices, utility, k = run
        once, again = agreement(choices, utility, k), agreement(choices * 2, utility, k)
        assert once.clusters == again.clusters
        for metric in METRICS:
            a, b = getattr(once, metric), getattr(again, metric)
            assert (a is None) == (b is None), metric
            assert a is None or b.to_json() == pytest.approx(a.to_json(), **CLOSE), metric
