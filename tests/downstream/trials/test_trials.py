"""Trials: what is trained on, what it gained, and what a selector's gain is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.downstream.outcomes.training_sets import TrainingSet
from selectllm.downstream.trials.blocks import block_values, blocks
from selectllm.downstream.trials.comparison import (
    FEWEST_RANDOM,
    LEAST_RELIABILITY,
    compare,
    noise_of,
    refusal,
)
from selectllm.downstream.trials.gains import (
    Gains,
    gains_of,
    item_error,
    mean_gain,
    test_reliability,
)
from selectllm.downstream.trials.log import BASE, Trial
from selectllm.downstream.trials.schema import GainNoise
from selectllm.downstream.trials.study import agreements
from selectllm.downstream.trials.training_set import (
    DRAWN,
    RANDOM,
    Role,
    TrialSet,
    matched_set,
    random_sets,
    selectors_sets,
)
from tests.support.sets_cases import compared_sets

test_reliability.__test__ = False  # type: ignore[attr-defined]

RNG = np.random.default_rng(7)
TOKENS = RNG.integers(2, 200, size=60)


def items(count: int) -> list[Item]:
    return [Item(f"i{n}", f"Ask {n}", "", "word " * (n + 1)) for n in range(count)]


def gains(arm: str, role: Role, level: float, number: int = 0, noise: float = 0.01) -> Gains:
    """Gains about `level` nats per token on every test item, in two trainings."""
    rng = np.random.default_rng([number, len(arm), int(abs(level) * 1e4)])
    saved = TOKENS * (level + noise * rng.standard_normal((2, len(TOKENS))))
    chosen = TrialSet(arm, role, number, (Item(f"{arm}{number}", arm, "", "x"),))
    return Gains(chosen, (0, 1), saved, TOKENS, learned=100)


def chance(count: int, spread: float = 0.01) -> list[Gains]:
    levels = 0.1 + spread * np.random.default_rng(3).standard_normal(count)
    return [gains(RANDOM, "random", level, number) for number, level in enumerate(levels)]


def test_the_selector_random_is_held_by_its_own_sets_alone() -> None:
    own = [gains(RANDOM, "random", 0.5, number) for number in range(2)]
    drawn = [gains(DRAWN, "random", 0.1, number) for number in range(6)]
    others = [gains(f"arm{n}", "selector", 0.1 * n, n) for n in range(4)]
    arms = {RANDOM, *(each.of.arm for each in others)}
    compared = compared_sets({arm: float(n) for n, arm in enumerate(sorted(arms))})
    (row,) = agreements([*own, *drawn, *others], "per_token", compared, 1)
    assert set(row.agreement.arms) == arms
    (alone,) = agreements([*own, *others], "per_token", compared, 1)
    assert row == alone


@pytest.mark.parametrize("tests", [1, 3])
def test_of_very_few_test_items_no_reliability_is_told(tests: int) -> None:
    few = [
        replace(each, saved=each.saved[:, :tests], tokens=each.tokens[:tests]) for each in chance(9)
    ]
    assert test_reliability(few, "per_token") is None
    assert compare([*few], "per_token").noise.test_reliability is None


class TestWhatIsTrainedOn:
    """Selectors' sets, random ones, and random items of as many tokens."""

    @given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 5))
    def test_random_sets_have_as_many_different_items_as_was_asked(
        self, size: int, count: int, seed: int
    ) -> None:
        found = random_sets(items(30), size, count, seed)
        assert [len({item.id for item in each.items}) for each in found] == [size] * count
        assert [each.seed for each in found] == list(range(count))

    def test_more_random_sets_begin_with_the_same(self) -> None:
        assert random_sets(items(30), 5, 9)[:4] == random_sets(items(30), 5, 4)

    def test_a_random_set_does_not_depend_on_the_order_of_the_pool(self) -> None:
        a, b = (random_sets(each, 5, 3) for each in (items(30), items(30)[::-1]))
        assert [each.sha256 for each in a] == [each.sha256 for each in b]

    def test_every_item_is_in_as_many_random_sets_as_any_other(self) -> None:
        found = random_sets(items(10), 5, 2_000)
        counts = np.array([[i.id in {x.id for x in s.items} for i in items(10)] for s in found])
        assert scipy.stats.chisquare(counts.sum(axis=0)).pvalue > 1e-4

    def test_a_set_larger_than_the_pool_is_refused(self) -> None:
        with pytest.raises(
            UsageError, match=r"a random set of 31 items cannot be drawn, because there are only 30"
        ):
            random_sets(items(30), 31, 1)

    @given(st.sets(st.integers(0, 29), min_size=1), st.integers(0, 5))
    def test_a_matched_set_is_within_half_an_item_of_the_tokens(
        self, chosen: set[int], seed: int
    ) -> None:
        pool = items(30)
        tokens = {item.id: n + 1 for n, item in enumerate(pool)}
        of = TrialSet("a", "selector", 0, tuple(pool[n] for n in sorted(chosen)))
        found = matched_set(of, pool, tokens, seed)
        wanted = sum(tokens[item.id] for item in of.items)
        total = sum(tokens[item.id] for item in found.items)
        assert abs(total - wanted) <= max(tokens.values()) / 2 or len(found.items) == 1
        assert len({item.id for item in found.items}) == len(found.items)

    def test_what_a_selector_selects_with_every_seed_is_trained_once(self) -> None:
        pool = items(6)
        made = [
            TrainingSet("strategy:longest", 2, 0, tuple(pool[4:])),
            TrainingSet("strategy:longest", 2, 1, (pool[5], pool[4])),
            TrainingSet("strategy:longest", 3, 0, tuple(pool[3:])),
            TrainingSet(RANDOM, 2, 0, tuple(pool[:2])),
        ]
        found = [(each.arm, each.role, len(each.items)) for each in selectors_sets(made, 2)]
        assert found == [("strategy:longest", "selector", 2), (RANDOM, "random", 2)]


class TestWhatWasGained:
    """Gains per token and per item, and how sure they are."""

    def test_a_gain_is_the_loss_before_less_the_loss_after(self) -> None:
        of = TrialSet("a", "selector", 0, tuple(items(2)))
        trials = {
            BASE: Trial("", 0, 0, (8.0, 3.0)),
            (of.sha256, 0): Trial(of.sha256, 0, 9, (4.0, 2.0)),
            (of.sha256, 1): Trial(of.sha256, 1, 9, (8.0, 1.0)),
        }
        found = gains_of(of, (0, 1), trials, np.array([4, 1]))
        assert found.runs("per_token") == {"0": 5 / 5, "1": 2 / 5}
        assert found.runs("per_item") == {"0": (4 / 4 + 1) / 2, "1": (0 + 2) / 2}
        assert found.value("per_token") == pytest.approx(0.7)
        assert found.learned == 9

    def test_bands_part_the_test_items_by_length(self) -> None:
        found = gains("a", "selector", 0.1)
        assert len(found.bands("per_token")) == 3
        saved = found.saved.mean(axis=0)
        short = TOKENS <= np.quantile(TOKENS, 1 / 3, method="inverted_cdf")
        assert found.bands("per_item")[0] == pytest.approx((saved / TOKENS)[short].mean())

    def test_the_error_of_a_mean_per_item_is_that_of_scipy(self) -> None:
        saved = RNG.standard_normal(len(TOKENS)) * TOKENS
        expected = scipy.stats.sem(saved / TOKENS)
        assert item_error(saved, TOKENS, "per_item") == pytest.approx(expected)

    def test_the_error_of_a_gain_per_token_is_near_that_of_the_bootstrap(self) -> None:
        saved = TOKENS * (0.1 + 0.2 * RNG.standard_normal(len(TOKENS)))
        draws = RNG.integers(0, len(TOKENS), size=(4_000, len(TOKENS)))
        drawn = [mean_gain(saved[at], TOKENS[at], "per_token") for at in draws]
        assert item_error(saved, TOKENS, "per_token") == pytest.approx(np.std(drawn), rel=0.1)

    def test_sets_that_differ_by_noise_alone_have_no_reliability(self) -> None:
        apart = chance(12, spread=0.05)
        alike = [gains(RANDOM, "random", 0.1, number, noise=0.2) for number in range(60)]
        for by in ("per_token", "per_item"):
            assert (test_reliability(apart, by) or 0) > 0.9
            assert (test_reliability(alike, by) or 0) < 0.5
            assert (noise_of(apart, by).seed_reliability or 0) > 0.9


class TestWhatItIsHeldAgainst:
    """The distribution of random sets, and the draw of the test items."""

    def test_without_other_noise_it_is_the_prediction_interval_of_random_sets(self) -> None:
        random = [gains(RANDOM, "random", each, n, 0.0) for n, each in enumerate(_levels(9))]
        arm = gains("p + m", "selector", 0.2, noise=0.0)
        (found,) = compare([arm, *random], "per_token").arms
        values = [each.value("per_token") for each in random]
        reach = scipy.stats.t.ppf(0.975, 8) * np.std(values, ddof=1) * np.sqrt(1 + 1 / 9)
        assert found.over_random.high is not None
        assert found.over_random.estimate == pytest.approx(0.2 - np.mean(values))
        assert found.over_random.high - found.over_random.estimate == pytest.approx(reach, rel=1e-6)

    def test_the_draw_of_the_test_items_widens_it(self) -> None:
        random = [gains(RANDOM, "random", each, n, 0.0) for n, each in enumerate(_levels(9))]
        reaches = []
        for noise in (0.0, 0.3):
            arm = gains("p + m", "selector", 0.2, noise=noise)
            interval = compare([arm, *random], "per_token").arms[0].over_random
            assert interval.low is not None
            assert interval.high is not None
            reaches.append(interval.high - interval.low)
        assert reaches[1] > 1.5 * reaches[0]

    def test_a_selector_far_above_every_random_set_is_better_and_far_below_worse(self) -> None:
        arms = [gains("good", "selector", 0.4), gains("bad", "selector", -0.2)]
        found = compare([*arms, *chance(8)], "per_token")
        assert found.refused is None
        assert [arm.verdict for arm in found.arms] == ["better", "worse"]
        assert [arm.above for arm in found.arms] == [1.0, 0.0]

    def test_training_that_does_harm_is_worse_than_no_training(self) -> None:
        found = [*chance(10), gains("harmful", "selector", -0.5), gains("useful", "selector", 0.5)]
        arms = {arm.arm: arm for arm in compare(found, "per_token").arms}
        assert [arms[name].worse_than_untrained for name in ("harmful", "useful")] == [True, False]
        beside = arms["harmful"].over_untrained
        assert beside is not None
        assert beside.estimate == arms["harmful"].gain < 0
        assert beside.high is not None
        assert beside.high < 0

    def test_several_selectors_are_corrected_for_by_holm(self) -> None:
        arms = [gains(f"arm {n}", "selector", 0.12 + n / 1_000, n) for n in range(12)]
        found = compare([*arms, *chance(8)], "per_token").arms
        for arm in found:
            assert arm.p_holm is not None
            assert arm.over_random.p is not None
            assert arm.p_holm >= arm.over_random.p

    def test_a_random_set_taken_for_a_selector_is_rarely_better_or_worse(self) -> None:
        wrong = 0
        for draw in range(400):
            rng = np.random.default_rng(draw)
            levels = 0.1 + 0.01 * rng.standard_normal(9)
            made = [gains(RANDOM, "random", each, n) for n, each in enumerate(levels[1:])]
            arm = gains("one more draw", "selector", levels[0], draw)
            difference = compare([arm, *made], "per_token").arms[0].over_random
            wrong += (difference.p or 0) <= 0.05
        assert wrong / 400 < 0.08

    def test_random_items_of_as_many_tokens_are_told_beside(self) -> None:
        matched = gains("good", "matched", 0.38)
        found = compare([gains("good", "selector", 0.4), matched, *chance(8)], "per_token")
        (arm,) = found.arms
        assert arm.over_matched is not None
        assert arm.over_matched.estimate == pytest.approx(0.02, abs=0.01)
        assert arm.over_random.estimate == pytest.approx(0.3, abs=0.02)


class TestWhenNoVerdictIsGiven:
    """Too little to go by is said, and no word is given."""

    GOOD = GainNoise(sets=0.1, seeds=0.01, items=0.1, seed_reliability=0.9, test_reliability=0.9)

    def test_with_fewer_than_eight_random_sets(self) -> None:
        found = compare([gains("good", "selector", 0.4), *chance(FEWEST_RANDOM - 1)], "per_token")
        assert found.refused == "7 random sets are too few for a verdict; train 8 or more"
        assert [arm.verdict for arm in found.arms] == [None]

    def test_of_a_single_test_item(self) -> None:
        made = [gains("good", "selector", 0.4), *chance(8)]
        single = [replace(each, saved=each.saved[:, :1], tokens=each.tokens[:1]) for each in made]
        found = compare(single, "per_token")
        assert "of a single test item" in str(found.refused)
        assert found.noise.items is None
        (arm,) = found.arms
        assert (arm.over_random.low, arm.over_random.p, arm.verdict) == (None, None, None)

    def test_where_no_set_was_trained_twice(self) -> None:
        made = [gains("good", "selector", 0.4), *chance(8)]
        once = [Gains(each.of, (0,), each.saved[:1], each.tokens, 1) for each in made]
        found = compare(once, "per_token")
        assert "no set was trained twice" in str(found.refused)

    @pytest.mark.parametrize("which", ["seed_reliability", "test_reliability"])
    def test_below_a_reliability_of_one_half(self, which: str) -> None:
        low = GainNoise(
            sets=0.1,
            seeds=0.01,
            items=0.1,
            **{"seed_reliability": 0.9, "test_reliability": 0.9, which: 0.4},
        )
        assert refusal(8, self.GOOD) is None
        assert f"reliability 0.40 is below {LEAST_RELIABILITY}" in str(refusal(8, low))


def _levels(count: int) -> Sequence[float]:
    return [float(each) for each in 0.1 + 0.02 * np.random.default_rng(1).standard_normal(count)]


def test_the_log_of_trials_tells_settings_apart(tmp_path: Path) -> None:
    from selectllm.downstream.student.config import StudentConfig
    from selectllm.downstream.trials.log import TrialLog, trial_manifest

    made = [
        trial_manifest("m", StudentConfig(), items(4)),
        trial_manifest("m", StudentConfig(epochs=3), items(4)),
        trial_manifest("m", StudentConfig(), items(4)[::-1]),
        trial_manifest("n", StudentConfig(), items(4)),
    ]
    paths = set()
    for manifest in made:
        with TrialLog(tmp_path, manifest) as log:
            paths.add(log.path)
    assert len(paths) == len(made)
    same = trial_manifest("m", StudentConfig(seed=5, model="elsewhere"), items(4))
    assert same == made[0]


class TestValuesOfSingleItems:
    """What students trained on blocks of the pool say of its items."""

    @given(st.integers(4, 40), st.integers(1, 20), st.integers(1, 4), st.integers(0, 3))
    def test_every_pass_holds_every_item_once(
        self, count: int, size: int, passes: int, seed: int
    ) -> None:
        assume(-(-count // size) > 1)
        found = blocks(items(count), size, passes, seed)
        for number in range(passes):
            parts = [each for each in found if each.arm == f"pass {number}"]
            assert sorted(item.id for each in parts for item in each.items) == sorted(
                item.id for item in items(count)
            )
            sizes = {len(each.items) for each in parts}
            assert max(sizes) <= size
            assert max(sizes) - min(sizes) <= 1

    def test_one_block_is_no_choice(self) -> None:
        with pytest.raises(
            UsageError, match=r"blocks of 8 items are too large for 8 items, .* Use at most 4"
        ):
            blocks(items(8), 8, 1)

    def test_an_items_value_is_what_its_blocks_gained_above_their_passes(self) -> None:
        found = [
            _block("pass 0", 0.3, "i0", "i1"),
            _block("pass 0", 0.1, "i2", "i3"),
            _block("pass 1", 0.6, "i0", "i2"),
            _block("pass 1", 0.2, "i1", "i3"),
        ]
        made = block_values(found, "per_item", name="student", student="tiny")
        values = {"i0": 0.15, "i1": -0.05, "i2": 0.05, "i3": -0.15}
        assert dict(made.values) == pytest.approx(values)
        assert (made.kind, made.source, made.rater) == ("outcome", "student", "tiny, 2 passes")

    def test_many_passes_find_the_items_that_help(self) -> None:
        pool = items(20)
        worth = {item.id: n for n, item in enumerate(pool)}
        made = [
            _block(each.arm, float(np.mean([worth[i.id] for i in each.items])), *ids(each))
            for each in blocks(pool, 5, 60)
        ]
        found = block_values(made, "per_token", name="student", student="tiny")
        rank = scipy.stats.spearmanr([*worth.values()], [found.values[i] for i in worth])
        assert rank.statistic > 0.9
        assert (found.reliability or 0) > 0.8

    def test_values_that_only_chance_makes_have_no_reliability(self) -> None:
        rng = np.random.default_rng(5)
        made = [_block(b.arm, rng.standard_normal(), *ids(b)) for b in blocks(items(40), 5, 6)]
        found = block_values(made, "per_token", name="student", student="tiny")
        assert (found.reliability or 0) < 0.4


def ids(of: TrialSet) -> list[str]:
    return [item.id for item in of.items]


def _block(arm: str, level: float, *members: str) -> Gains:
    chosen = TrialSet(arm, "block", 0, tuple(Item(each, each, "", "x") for each in members))
    return Gains(chosen, (0,), np.array([[level, level]]), np.array([1, 1]), learned=1)
