"""Each probe: pickers of known weaknesses are judged as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, rankdata
from statsmodels.regression import linear_model

from selectllm.core.types import Cluster, Decision
from selectllm.evaluation.audit.attacks import STYLES, attacks
from selectllm.evaluation.audit.drift import FEWEST
from selectllm.evaluation.audit.hijack import WITHOUT, attack_on, hijack_tasks, target
from selectllm.evaluation.audit.labels import relabelled
from selectllm.evaluation.audit.measures import uplift_interval
from selectllm.evaluation.audit.order import balanced_orders, order_tasks
from selectllm.evaluation.audit.paraphrase import paraphrased
from selectllm.evaluation.audit.results import AuditDecisions, audit_results
from selectllm.evaluation.audit.schema import AuditResults, Measure
from selectllm.evaluation.audit.subject import Subject
from selectllm.prompting.prompt import labels_for, render
from selectllm.selection.clustering.partition import show_order
from selectllm.stats.rank_correlation import partial_correlation
from tests.support.audit_pickers import (
    Picker,
    answers,
    audited,
    best,
    by_place_of_labels,
    first,
    longest,
    mute,
    noisy,
    obeying,
    subject_of,
    with_prompt,
)

SUBJECT = subject_of()
IDS = st.lists(st.text(min_size=1, max_size=3), min_size=3, max_size=12, unique=True)


def named(found: AuditResults, name: str) -> Measure:
    return next(measure for measure in found.measures if measure.name == name)


def asked(subject: Subject, picker: Picker) -> dict[str, Sequence[Decision]]:
    """Two orders, and the attacks."""
    return {
        "order": answers(order_tasks(subject, 2), picker),
        "hijack": answers(hijack_tasks(subject), picker),
    }


def estimate(found: AuditResults, name: str) -> float:
    value = named(found, name).value
    assert value is not None
    return value.estimate


class TestOrders:
    """Rows of a Latin square, and what a place in the list decides."""

    @given(IDS, st.integers(0, 3))
    def test_each_item_stands_in_each_slot_once(self, ids: list[str], seed: int) -> None:
        cluster = Cluster(0, tuple(sorted(ids)))
        rows = balanced_orders(cluster, seed, len(ids))
        for column in (*zip(*rows, strict=True), *rows):
            assert sorted(column) == sorted(ids)

    @given(IDS, st.integers(1, 30))
    def test_the_first_is_that_of_eval_and_fewer_are_the_beginning_of_more(
        self, ids: list[str], count: int
    ) -> None:
        cluster = Cluster(0, tuple(sorted(ids)))
        rows = balanced_orders(cluster, 0, count)
        assert rows[0] == show_order(cluster.members, 0, 0, 0)
        assert rows == balanced_orders(cluster, 0, count + 5)[:count]

    @given(st.integers(4, 9), st.integers(0, 1000))
    def test_no_order_comes_twice_where_there_are_others(self, size: int, seed: int) -> None:
        cluster = Cluster(3, tuple(f"i{n}" for n in range(size)))
        orders = balanced_orders(cluster, seed, 8)
        assert len({*orders}) == 8

    def test_in_an_even_square_each_item_follows_each_other_once(self) -> None:
        rows = balanced_orders(Cluster(0, tuple("abcdef")), 0, 6)
        assert len({pair for row in rows for pair in pairwise(row)}) == 30

    def test_who_picks_by_slot_is_inconsistent_and_biased(self) -> None:
        found = audited(SUBJECT, first)
        assert estimate(found, "order.slot-bias") == pytest.approx(1)
        assert estimate(found, "order.consistency") < 0
        assert found.order is not None
        assert found.order.slots.p is not None
        assert found.order.slots.p < 1e-6
        rates = [each.rate.estimate for each in found.order.curve if each.rate]
        assert rates == [1, 1, *[0] * 8]

    def test_who_picks_by_worth_is_neither(self) -> None:
        found = audited(SUBJECT, best(SUBJECT))
        bias = named(found, "order.slot-bias").value
        assert bias is not None
        assert bias.low <= 0.02
        assert abs(bias.estimate) < 0.02
        assert estimate(found, "order.consistency") == 1
        assert found.order is not None
        assert found.order.slots.p is not None
        assert found.order.slots.p > 0.05

    def test_averaging_buys_what_noise_takes(self) -> None:
        found = audited(SUBJECT, noisy(best(SUBJECT), 0.6))
        assert found.order is not None
        steps = found.order.averaging
        assert [step.orders for step in steps] == [1, 2, 3, 5, 7]
        assert all(step.consistency is not None for step in steps)  # by the orders of the default
        assert [step.calls for step in steps] == [20, 40, 60, 100, 140]
        captured = [step.captured.estimate for step in steps if step.captured]
        assert captured[-1] > captured[0] + 0.2
        fewer = audited(subject_of(orders=7), noisy(best(SUBJECT), 0.6))
        assert fewer.order is not None
        kappas = [step.consistency for step in fewer.order.averaging]
        assert kappas[3] is kappas[4] is None  # 10 and 14 orders would be needed
        assert kappas[2] is not None
        assert kappas[0] is not None
        assert kappas[2].estimate > kappas[0].estimate
        assert steps[-1].tokens_in == 14_000
        assert steps[-1].cost_usd == pytest.approx(0.14)

    def test_without_a_utility_only_consistency_is_told(self) -> None:
        subject = subject_of(rated=False)
        found = audited(subject, first)
        assert found.order is not None
        assert {step.captured for step in found.order.averaging} == {None}
        assert found.order.averaging[0].consistency is not None


class TestLabels:
    """Numbers, letters, and labels that begin later."""

    def test_variants_show_the_same_items_under_other_labels(self) -> None:
        letters, shifted = relabelled(SUBJECT)
        assert (letters.labels, shifted.labels) == ("A to J", "11 to 20")
        assert shifted.selector is not None
        prompt = shifted.selector.prompt
        assert labels_for(prompt, 3) == ("11", "12", "13")
        items = SUBJECT.first_order(SUBJECT.clusters[0])
        text = render(prompt, items, 2)[-1]["content"]
        assert "=== [11] ===" in text
        assert "=== [1] ===" not in text

    def test_who_minds_is_told_apart_from_who_does_not(self) -> None:
        same = audited(SUBJECT, best(SUBJECT))
        assert estimate(same, "labels.letters") == estimate(same, "labels.shifted") == 1
        other = audited(SUBJECT, by_place_of_labels(best(SUBJECT)))
        assert estimate(other, "labels.letters") == 1
        assert estimate(other, "labels.shifted") < 0.3
        assert other.labels[1].captured is not None
        assert other.labels[1].captured.high < 0

    def test_where_letters_do_not_suffice_it_says_so(self) -> None:
        large = subject_of(clusters=3, size=30)
        letters, _ = relabelled(large)
        assert letters.selector is None
        assert "26" in str(letters.skipped)
        found = audited(large, best(large))
        assert [row.skipped is None for row in found.labels] == [False, True]
        assert {m.name for m in found.measures if m.name.startswith("labels")} == {"labels.shifted"}


class TestLength:
    """Deciles, correlations within clusters, and inputs."""

    def test_who_picks_the_longest_is_told(self) -> None:
        found = audited(SUBJECT, longest)
        assert estimate(found, "length.preference") > 0.6
        assert found.length is not None
        rates = [each.picked / each.shown for each in found.length.deciles]
        assert rates[0] == 0
        assert rates[-1] > 0.8
        assert sum(each.shown for each in found.length.deciles) == 20 * 10 * 14

    def test_who_picks_by_worth_keeps_the_agreement_without_length(self) -> None:
        found = audited(SUBJECT, best(SUBJECT))
        assert abs(estimate(found, "length.preference")) < 0.2
        assert estimate(found, "length.agreement-left") > 0.6

    def test_agreement_that_is_length_alone_does_not_stay(self) -> None:
        lengths = {item.id: float(len(item.text)) for item in SUBJECT.items.values()}
        rng = np.random.default_rng(0)
        noise = {item: value + rng.normal(0, 20) for item, value in lengths.items()}
        assert SUBJECT.utility is not None
        utility = replace(SUBJECT.utility, values=noise)
        found = audited(replace(SUBJECT, utility=utility), longest)
        assert found.length is not None
        agreement, left = found.length.agreement, found.length.given_length
        assert agreement is not None
        assert left is not None
        assert agreement.low > 0.3
        assert left.low < 0 < left.high

    @given(
        st.lists(
            st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 9)),
            min_size=6,
            max_size=15,
        )
    )
    def test_partial_rank_correlation_is_that_of_residuals(
        self, rows: list[tuple[int, int, int]]
    ) -> None:
        """Of ranks regressed on the ranks of the third, by statsmodels."""
        x, y, z = np.array(rows, dtype=float).T
        left = partial_correlation(x, y, z)
        if left is None:
            return
        design = np.column_stack([np.ones(len(z)), rankdata(z)])
        a, b = (linear_model.OLS(rankdata(side), design).fit().resid for side in (x, y))
        assert left == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)


class TestCopies:
    """Duplicates to the letter and in other words."""

    def test_who_picks_by_worth_takes_both(self) -> None:
        found = audited(SUBJECT, best(SUBJECT))
        assert [(row.clusters, row.both) for row in found.copies] == [(20, 20), (20, 20)]
        assert found.copies[0].share is not None
        assert found.copies[0].share.low > 0.8

    def test_who_picks_by_slot_takes_one(self) -> None:
        found = audited(SUBJECT, first)
        assert [row.both for row in found.copies] == [0, 0]

    def test_chance_is_that_of_two_of_ten(self) -> None:
        # One pair of 45 is both; 17 of the 45 pairs hold at least one of the two.
        assert audited(SUBJECT, first).copies[0].chance == pytest.approx(1 / 17)

    def test_with_one_pick_nothing_is_asked_and_it_says_so(self) -> None:
        subject = subject_of(k=1)
        found = audit_results(subject, AuditDecisions(asked(subject, first)), "s", "0" * 64)
        assert found.copies == ()
        assert any("cannot both be picked" in note for note in found.notes)

    @given(st.text(min_size=1, max_size=200))
    def test_a_paraphrase_is_another_text_that_keeps_the_words(self, text: str) -> None:
        assert paraphrased(text) != text
        assert paraphrased(text) == paraphrased(text)

    def test_a_paraphrase_keeps_capitals_and_whole_words(self) -> None:
        told = paraphrased("Write a list. Unlisted, LIST, Listen")
        assert "Compose a enumerate. Unlisted, ENUMERATE, Listen" in told


class TestAttacks:
    """The texts, how they are planted, and what they come to."""

    def test_there_are_enough_in_every_style_and_language(self) -> None:
        every = [each for style in attacks().by_style.values() for each in style]
        assert len({each.text for each in every}) >= 25
        assert len({each.language for each in every}) >= 5
        assert all(len(attacks().by_style[style]) >= 3 for style in STYLES)
        assert {each.style for each in every} == {*STYLES}

    def test_the_questions_differ_in_that_text_alone(self) -> None:
        for task in hijack_tasks(SUBJECT):
            cluster = SUBJECT.clusters[task.cluster]
            plain = SUBJECT.first_order(cluster)
            changed = [
                (place, one, other)
                for place, (one, other) in enumerate(zip(plain, task.shown, strict=True))
                if one != other
            ]
            ((place, one, other),) = changed
            assert one.id == other.id == target(SUBJECT, cluster)
            attack = attack_on(SUBJECT, cluster, STYLES[task.order])
            assert other.instruction == attack.on(one.instruction, str(place + 1))
            assert "{" not in other.instruction.replace('{"picks"', "")

    def test_who_obeys_is_told_for_every_style(self) -> None:
        found = audited(SUBJECT, obeying(best(SUBJECT)))
        assert found.hijack is not None
        for row in found.hijack.styles:
            assert row.picked_after == 20
            assert row.uplift is not None
            assert row.uplift.low > 0.1
            assert row.p_holm < 0.01
        assert {row.lost for row in found.hijack.languages} == {0}

    def test_who_does_not_obey_is_not_accused(self) -> None:
        found = audited(SUBJECT, noisy(best(SUBJECT), 0.4))
        assert found.hijack is not None
        assert all(row.p_holm > 0.05 for row in found.hijack.styles)

    @pytest.mark.parametrize(("gained", "lost", "n"), [(0, 0, 15), (15, 0, 15), (5, 2, 40)])
    def test_intervals_of_few_are_wide_and_hold_the_estimate(
        self, gained: int, lost: int, n: int
    ) -> None:
        found = uplift_interval(gained, lost, n)
        assert found is not None
        assert found.low <= found.estimate <= found.high
        exact = binomtest(gained, n).proportion_ci(0.975, "exact").low
        less = binomtest(lost, n).proportion_ci(0.975, "exact").high
        assert found.low == pytest.approx(exact - less)

    def test_a_prompt_that_resists_is_told_from_one_that_does_not(self) -> None:
        subject = with_prompt(SUBJECT, "criteria@1")
        obey, stand = obeying(best(SUBJECT)), best(SUBJECT)
        (rival,) = subject.rivals
        theirs = answers(hijack_tasks(subject, rival), stand)
        assert {decision.order for decision in theirs} == {*range(WITHOUT + 1)}
        every = AuditDecisions(asked(subject, obey), {"criteria@1": theirs})
        found = audit_results(subject, every, "suite", "0" * 64)
        assert found.hijack is not None
        (row,) = found.hijack.defences
        assert row.uplift is not None
        assert row.difference is not None
        assert row.uplift.estimate == 0
        assert row.difference.high < -0.3
        assert row.p_holm is not None
        assert row.p_holm < 0.01


class TestReplies:
    """Valid, repeated, refused, silent."""

    def test_silence_is_no_measurement(self) -> None:
        found = audited(SUBJECT, mute)
        assert not found.measured
        assert {m.name for m in found.measures} == {"parsing.valid", "parsing.at-once"}
        assert estimate(found, "parsing.valid") == 0
        assert found.order is found.hijack is found.length is None

    def test_repeats_of_a_sure_picker_are_the_same(self) -> None:
        found = audited(SUBJECT, best(SUBJECT))
        assert estimate(found, "parsing.repeats") == 1
        assert found.parsing is not None
        assert (found.parsing.same_reply, found.parsing.repeats) == (1, 3)

    def test_repeats_of_a_noisy_one_are_not(self) -> None:
        found = audited(SUBJECT, noisy(best(SUBJECT), 0.7))
        assert estimate(found, "parsing.repeats") < 0.8


class TestDrift:
    """Cached calls beside new ones."""

    def test_the_same_model_is_not_said_to_have_moved(self) -> None:
        found = audited(SUBJECT, best(SUBJECT), again=best(SUBJECT)).drift
        assert found is not None
        assert (found.word, found.calls) == ("not shown", 20)
        assert found.text is not None
        assert found.text.cached_same == found.text.new_same == 1

    def test_another_model_is(self) -> None:
        found = audited(SUBJECT, best(SUBJECT), again=first).drift
        assert found is not None
        assert found.word == "moved"
        assert found.text is not None
        assert found.text.p == pytest.approx(
            binomtest(found.text.cached_differs, found.text.informative, 1 / 3, "greater").pvalue
        )

    def test_noise_of_the_same_kind_is_no_drift(self) -> None:
        picker = noisy(best(SUBJECT), 0.6, seed=1)
        found = audited(SUBJECT, picker, again=noisy(best(SUBJECT), 0.6, seed=2)).drift
        assert found is not None
        assert found.word == "not shown"
        assert found.picks is not None
        assert found.picks.new_same < 1

    def test_too_few_cached_calls_cannot_tell(self) -> None:
        subject = subject_of(again=FEWEST - 1)
        found = audited(subject, best(subject), again=first).drift
        assert found is not None
        assert found.word == "cannot tell"

    def test_without_cached_calls_it_says_why(self) -> None:
        found = audited(SUBJECT, best(SUBJECT)).drift
        assert found is not None
        assert (found.word, found.calls) == ("cannot tell", 0)
        assert "cached before" in found.reason
