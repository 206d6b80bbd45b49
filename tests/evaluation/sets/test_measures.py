"""Measures of a selected set, against brute force, references and simulation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import entropy, hypergeom
from sklearn.metrics import adjusted_rand_score, cohen_kappa_score, pairwise_distances_argmin

from selectllm.core.errors import EncoderError, PoolError, UsageError, UtilityError
from selectllm.core.types import Item
from selectllm.evaluation.metrics.agreement import Choice, agreement
from selectllm.evaluation.sets.diversity import (
    Groups,
    categories_of,
    category_entropy,
    coverage,
    expected_coverage,
    kmeans_groups,
    mean_pairwise_cosine,
    vendi_score,
)
from selectllm.evaluation.sets.measures import (
    PoolFacts,
    SetMeasures,
    captured,
    captured_spread,
    mean_and_range,
    measure_set,
    overlap,
)
from selectllm.evaluation.sets.schema import Summary
from selectllm.selection.clustering import kmeans
from selectllm.selection.clustering.seeded_rows import BLOCK, SeededRows
from selectllm.selection.strategies.candidates import Candidates, seeded_rows
from tests.support.made_vectors import Vectors, blobs, names, random_vectors, unit

randoms = st.randoms(use_true_random=False)
few_values = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)
labels = st.lists(st.integers(0, 4), min_size=1, max_size=20)


@st.composite
def vectors(draw: st.DrawFn) -> Vectors:
    """Of fewer and of more dimensions than rows; on a coarse grid, so that rows repeat."""
    shape = draw(st.integers(1, 30)), draw(st.sampled_from([2, 3, 50]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return unit(rng.integers(1, 4, shape) * rng.choice([-1.0, 1.0], shape))


@st.composite
def subsets(draw: st.DrawFn, items: int) -> list[int]:
    """At least one position, none twice, in any order."""
    return draw(st.lists(st.integers(0, items - 1), min_size=1, max_size=items, unique=True))


def seeded(vectors: Vectors, ids: list[str] | None = None, seed: int = 0) -> SeededRows:
    items = [Item(id, id) for id in ids or names(len(vectors))]
    return seeded_rows(Candidates(items, seed, vectors))


class TestMeanPairwiseCosine:
    """The mean over pairs, without looking at pairs."""

    @given(vectors())
    def test_is_the_mean_over_all_pairs(self, rows: Vectors) -> None:
        assume(len(rows) > 1)
        reference = np.mean(1 - pdist(rows.astype(np.float64), "cosine"))
        assert mean_pairwise_cosine(rows) == pytest.approx(reference, abs=1e-12)

    def test_is_the_same_in_several_blocks(self) -> None:
        rows = random_vectors(BLOCK + 7, dim=3)
        gram = rows.astype(np.float64) @ rows.T.astype(np.float64)
        reference = (gram.sum() - gram.trace()) / (len(rows) * (len(rows) - 1))
        assert mean_pairwise_cosine(rows) == pytest.approx(reference, abs=1e-9)

    def test_one_item_has_none(self) -> None:
        assert mean_pairwise_cosine(random_vectors(1)) is None

    @pytest.mark.parametrize("n", [2, 5, 100])
    def test_identical_vectors_have_one(self, n: int) -> None:
        rows = np.repeat(random_vectors(1, dim=384), n, axis=0)
        assert mean_pairwise_cosine(rows) == pytest.approx(1.0, abs=1e-12)

    @pytest.mark.parametrize("n", [2, 3, 9])
    def test_a_regular_simplex_reaches_the_lower_end(self, n: int) -> None:
        rows = unit(np.eye(n) - 1 / n)
        assert mean_pairwise_cosine(rows) == pytest.approx(-1 / (n - 1), abs=1e-7)

    def test_random_sets_expect_that_of_the_pool(self) -> None:
        pool = blobs(2, 4)
        sets = [mean_pairwise_cosine(pool[list(each)]) for each in combinations(range(8), 3)]
        assert np.mean(np.array(sets, dtype=float)) == pytest.approx(mean_pairwise_cosine(pool))


class TestVendiScore:
    """The effective number of different items."""

    @given(vectors())
    def test_is_the_exponential_of_the_entropy_of_the_kernels_eigenvalues(
        self, rows: Vectors
    ) -> None:
        rows = rows.astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        eigenvalues = np.linalg.eigvalsh(rows @ rows.T / len(rows))
        reference = math.exp(entropy(eigenvalues.clip(0)))
        assert vendi_score(rows.astype(np.float32)) == pytest.approx(reference, rel=1e-5)

    @pytest.mark.parametrize("dim", [4, 64])
    def test_is_the_same_in_several_blocks(self, dim: int) -> None:
        few = random_vectors(16, dim)
        many = np.tile(few, (BLOCK // 8, 1))  # the shares of the eigenvalues stay
        assert vendi_score(many) == pytest.approx(vendi_score(few), rel=1e-9)

    @given(vectors())
    def test_lies_between_one_and_the_smaller_of_items_and_dimensions(self, rows: Vectors) -> None:
        assert 1 <= vendi_score(rows) <= min(rows.shape)

    @pytest.mark.parametrize(("n", "dim"), [(1, 5), (7, 5), (7, 384)])
    def test_identical_vectors_count_as_one(self, n: int, dim: int) -> None:
        rows = np.repeat(random_vectors(1, dim), n, axis=0)
        assert vendi_score(rows) == pytest.approx(1.0, abs=1e-9)

    @pytest.mark.parametrize(("different", "each"), [(5, 1), (5, 2), (3, 40)])
    def test_orthogonal_items_count_as_many_as_differ(self, different: int, each: int) -> None:
        rows = np.repeat(np.eye(different, 10, dtype=np.float32), each, axis=0)
        assert vendi_score(rows) == pytest.approx(different)

    def test_no_items_have_none(self) -> None:
        with pytest.raises(ValueError, match="at least one item"):
            vendi_score(random_vectors(3)[:0])


@given(vectors(), st.data())
def test_a_duplicate_in_place_of_an_item_raises_the_cosine_and_lowers_the_vendi_score(
    rows: Vectors, data: st.DataObject
) -> None:
    """Where the items are orthogonal, and so entirely different, before."""
    n = data.draw(st.integers(2, 12))
    kept = data.draw(st.integers(0, n - 1))
    replaced = data.draw(st.integers(0, n - 1).filter(lambda other: other != kept))
    different = np.eye(n, 12, dtype=np.float32)
    repeated = different.copy()
    repeated[replaced] = repeated[kept]
    assert vendi_score(repeated) < vendi_score(different) - 0.1
    before, after = mean_pairwise_cosine(different), mean_pairwise_cosine(repeated)
    assert before is not None
    assert after is not None
    assert after > before


@pytest.mark.parametrize("measure", [mean_pairwise_cosine, vendi_score])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 2.0])
def test_vectors_not_of_length_one_are_refused(
    measure: Callable[[Vectors], float | None], value: float
) -> None:
    rows = random_vectors(BLOCK + 5)
    rows[BLOCK + 2] = value
    with pytest.raises(EncoderError, match=f"row {BLOCK + 2} of the vectors has length"):
        measure(rows)


class TestGroups:
    """k-means groups of the pool, and how many of them a set reaches."""

    def test_tight_bunches_are_the_groups(self) -> None:
        groups = kmeans_groups(seeded(blobs(6, 30)), 6, 0)
        assert adjusted_rand_score(np.repeat(np.arange(6), 30), groups.labels) == 1.0
        assert groups.sizes.tolist() == [30] * 6

    @given(vectors(), st.integers(0, 5), randoms, st.data())
    def test_the_order_of_the_file_only_reorders_the_labels(
        self, rows: Vectors, seed: int, random: Random, data: st.DataObject
    ) -> None:
        count = data.draw(st.integers(1, len(rows)))
        order = random.sample(range(len(rows)), len(rows))
        ids = names(len(rows))
        groups = kmeans_groups(seeded(rows, ids, seed), count, seed)
        shuffled = kmeans_groups(seeded(rows[order], [ids[i] for i in order], seed), count, seed)
        np.testing.assert_array_equal(shuffled.labels, groups.labels[order])

    @given(vectors(), st.data())
    def test_groups_are_numbered_without_gaps_and_hold_every_item(
        self, rows: Vectors, data: st.DataObject
    ) -> None:
        count = data.draw(st.integers(1, len(rows)))
        groups = kmeans_groups(seeded(rows), count, 0)
        assert 1 <= len(groups) <= count
        assert groups.sizes.min() >= 1
        np.testing.assert_array_equal(np.bincount(groups.labels), groups.sizes)

    def test_every_item_is_with_the_nearest_centre(self) -> None:
        rows = random_vectors(BLOCK + 300, dim=3)  # more than one block
        groups = kmeans_groups(seeded(rows), 5, 0)
        centres = kmeans.kmeans_centres(seeded(rows), 5, 0)
        np.testing.assert_array_equal(groups.labels, pairwise_distances_argmin(rows, centres))

    def test_identical_vectors_are_one_group(self) -> None:
        assert len(kmeans_groups(seeded(np.repeat(random_vectors(1), 20, axis=0)), 5, 0)) == 1

    def test_large_pools_go_by_mini_batches_from_a_memory_map(self, tmp_path: Path) -> None:
        np.save(tmp_path / "vectors.npy", blobs(4, 2_000))
        rows = np.load(tmp_path / "vectors.npy", mmap_mode="r")
        first, again = (kmeans_groups(seeded(rows), 4, 0, lloyd_up_to=1_000) for _ in range(2))
        np.testing.assert_array_equal(first.labels, again.labels)
        assert adjusted_rand_score(np.repeat(np.arange(4), 2_000), first.labels) == 1.0

    @pytest.mark.parametrize("count", [-1, 0, 6])
    def test_more_groups_than_items_or_none_are_refused(self, count: int) -> None:
        with pytest.raises(UsageError, match=f"5 items into {count} groups"):
            kmeans_groups(seeded(random_vectors(5)), count, 0)

    def test_any_labels_make_groups(self) -> None:
        groups = Groups.of(["b", "a", "b", "c"])
        assert groups.labels.tolist() == [1, 0, 1, 2]
        assert groups.sizes.tolist() == [1, 2, 1]

    @given(labels, st.data())
    def test_coverage_counts_the_groups_that_were_reached(
        self, labels: list[int], data: st.DataObject
    ) -> None:
        chosen = data.draw(subsets(len(labels)))
        reached = {labels[position] for position in chosen}
        assert coverage(Groups.of(labels), chosen) == len(reached) / len(set(labels))

    @given(labels)
    def test_the_whole_pool_covers_every_group(self, labels: list[int]) -> None:
        groups = Groups.of(labels)
        assert coverage(groups, range(len(labels))) == 1.0
        assert expected_coverage(groups, len(labels)) == 1.0

    @given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.data())
    def test_expected_coverage_is_the_mean_over_all_sets(
        self, labels: list[int], data: st.DataObject
    ) -> None:
        groups, n = Groups.of(labels), data.draw(st.integers(1, len(labels)))
        every = [coverage(groups, chosen) for chosen in combinations(range(len(labels)), n)]
        assert expected_coverage(groups, n) == pytest.approx(np.mean(every))

    @pytest.mark.parametrize("n", [1, 100, 20_000, 999_000])
    def test_expected_coverage_of_a_large_pool_is_hypergeometric(self, n: int) -> None:
        sizes = np.array([1, 50, 949, 9_000, 990_000])
        groups = Groups(np.repeat(np.arange(5), sizes), sizes)
        reference = np.mean(1 - hypergeom.pmf(0, 1_000_000, sizes, n))
        assert expected_coverage(groups, n) == pytest.approx(reference, abs=1e-7)

    @pytest.mark.parametrize("n", [-1, 0, 4])
    def test_a_set_outside_the_pool_is_refused(self, n: int) -> None:
        with pytest.raises(ValueError, match=f"1 to 3 items, got {n}"):
            expected_coverage(Groups.of([0, 1, 1]), n)


class TestCategories:
    """Entropy of the categories, and where they come from."""

    @given(labels, randoms)
    def test_entropy_is_shannons_in_bits_whatever_the_order(
        self, labels: list[int], random: Random
    ) -> None:
        categories = [str(label) for label in labels]
        found = category_entropy(categories)
        assert found == pytest.approx(entropy(np.bincount(labels), base=2), abs=1e-12)
        assert 0 <= found <= math.log2(len(set(labels))) + 1e-12
        assert category_entropy(random.sample(categories, len(categories))) == found

    @pytest.mark.parametrize(("categories", "bits"), [("a", 0.0), ("aaa", 0.0), ("abcd" * 3, 2.0)])
    def test_equal_shares_have_the_logarithm_of_their_number(
        self, categories: str, bits: float
    ) -> None:
        assert category_entropy(list(categories)) == bits

    def test_a_random_set_has_less_than_its_pool_by_millers_correction(self) -> None:
        rng, pool = np.random.default_rng(0), np.repeat(list("abcde"), 20_000)
        sets = [category_entropy(pool[rng.choice(100_000, 200)].tolist()) for _ in range(400)]
        expected = math.log2(5) - 4 / (2 * 200 * math.log(2))
        assert np.mean(sets) == pytest.approx(expected, abs=0.001)  # standard error 0.0005

    def test_no_items_have_none(self) -> None:
        with pytest.raises(ValueError, match="at least one item"):
            category_entropy([])

    def test_categories_are_read_from_a_column_as_text(self) -> None:
        items = [Item("a", "x", row={"topic": "qa"}), Item("b", "y", row={"topic": 3})]
        assert categories_of(items, "topic") == ("qa", "3")

    @pytest.mark.parametrize("row", [{}, {"topic": None}, {"topic": ""}, {"Topic": "qa"}])
    def test_an_item_without_the_column_is_an_error_that_names_it(
        self, row: dict[str, object]
    ) -> None:
        items = [Item("a", "x", row={"topic": "qa"}), Item("b", "y", row=row)]
        with pytest.raises(PoolError, match=r"1 of 2 items have no 'topic', the first is 'b'"):
            categories_of(items, "topic")


class TestCaptured:
    """The utility of the set between that of random ones and that of the best one."""

    @given(few_values, st.data())
    def test_is_one_for_the_best_of_all_sets_and_zero_on_average(
        self, values: list[float], data: st.DataObject
    ) -> None:
        n = data.draw(st.integers(1, len(values)))
        every = [captured(values, chosen) for chosen in combinations(range(len(values)), n)]
        if len(set(values)) == 1 or n == len(values):
            assert set(every) == {None}
        else:
            assert max(every) == 1.0
            assert np.mean(np.array(every, dtype=float)) == pytest.approx(0, abs=1e-12)

    @given(few_values, st.data())
    def test_the_spread_is_the_standard_deviation_over_all_sets(
        self, values: list[float], data: st.DataObject
    ) -> None:
        n = data.draw(st.integers(1, len(values)))
        every = [captured(values, chosen) for chosen in combinations(range(len(values)), n)]
        spread = captured_spread(values, n)
        if spread is None:
            assert set(every) == {None}
        else:
            assert spread == pytest.approx(np.std(np.array(every, dtype=float)))

    @given(few_values, st.data())
    def test_is_nuc_with_the_pool_as_the_one_cluster(
        self, values: list[float], data: st.DataObject
    ) -> None:
        chosen = data.draw(subsets(len(values)))
        ids = names(len(values))
        picks = tuple(ids[position] for position in chosen)
        twice = [Choice(cluster, tuple(ids), picks) for cluster in (0, 1)]  # for an interval
        nuc = agreement(twice, dict(zip(ids, values, strict=True)), len(chosen)).nuc
        expected = None if nuc is None else pytest.approx(nuc.estimate)
        assert captured(values, chosen) == expected

    def test_the_spread_is_that_of_a_simulation(self) -> None:
        rng = np.random.default_rng(0)
        values = rng.gamma(0.5, size=2_000)
        draws = [captured(values, rng.choice(2_000, 300, replace=False)) for _ in range(2_000)]
        spread = captured_spread(values, 300)
        assert spread == pytest.approx(np.std(np.array(draws, dtype=float)), rel=0.06)

    @given(few_values, randoms, st.data())
    def test_orders_of_the_set_and_of_the_pool_change_no_bit(
        self, values: list[float], random: Random, data: st.DataObject
    ) -> None:
        values = [value / 7 for value in values]
        chosen = data.draw(subsets(len(values)))
        order = random.sample(range(len(values)), len(values))
        moved = [order.index(position) for position in reversed(chosen)]
        assert captured([values[i] for i in order], moved) == captured(values, chosen)

    @given(few_values, st.data())
    def test_unit_and_origin_of_the_utility_do_not_matter(
        self, values: list[float], data: st.DataObject
    ) -> None:
        chosen = data.draw(subsets(len(values)))
        other = captured(np.array(values) * 0.3 + 1e6, chosen)
        assert other == pytest.approx(captured(values, chosen), abs=1e-6)

    def test_a_flat_pool_captures_nothing_whatever_its_rounding(self) -> None:
        assert captured([0.1] * 30, [3, 4, 5]) is None
        assert captured_spread([0.1] * 30, 3) is None

    def test_values_that_differ_in_their_last_bit_are_told_apart(self) -> None:
        values = [1.0, math.nextafter(1.0, 2.0)]
        assert (captured(values, [0]), captured(values, [1])) == (-1.0, 1.0)

    def test_the_worst_set_lies_as_far_below_as_the_mean_is_above_it(self) -> None:
        assert captured([1.0, 1.0, 1.0, 0.0], [3]) == -3.0

    def test_an_item_without_a_value_is_an_error_that_says_where(self) -> None:
        for measure in (lambda u: captured(u, [0]), lambda u: captured_spread(u, 1)):
            with pytest.raises(UtilityError, match="2 of 4 items, the first at position 1"):
                measure([1.0, math.nan, math.inf, 2.0])

    def test_a_spread_beyond_the_pool_is_refused(self) -> None:
        with pytest.raises(ValueError, match="1 to 3 items, got 4"):
            captured_spread([1.0, 2.0, 3.0], 4)


class TestOverlap:
    """How alike two sets are, with chance taken out."""

    @given(st.integers(2, 30), randoms, st.data())
    def test_is_cohens_kappa_of_the_two_selectors(
        self, pool: int, random: Random, data: st.DataObject
    ) -> None:
        n = data.draw(st.integers(1, pool - 1))
        a, b = random.sample(range(pool), n), random.sample(range(pool), n)
        reference = cohen_kappa_score([i in a for i in range(pool)], [i in b for i in range(pool)])
        assert overlap(a, b, pool) == pytest.approx(reference, abs=1e-12)
        assert overlap(b, a, pool) == overlap(a, b, pool)

    def test_the_same_set_is_one_and_random_ones_average_zero(self) -> None:
        every = [overlap((0, 1, 2), other, 7) for other in combinations(range(7), 3)]
        assert every[0] == 1.0
        assert np.mean(np.array(every, dtype=float)) == pytest.approx(0, abs=1e-12)

    def test_ids_will_do_and_the_whole_pool_decides_nothing(self) -> None:
        assert overlap(["x", "y"], {"y", "x"}, 10) == 1.0
        assert overlap("abc", "cab", 3) is None

    @pytest.mark.parametrize(
        ("a", "b"),
        [([1], [1, 2]), ([1, 1], [1, 2]), ([1, 2], [1, 1]), ([], []), (range(6), range(6))],
    )
    def test_unequal_repeating_empty_and_too_large_sets_are_refused(
        self, a: list[int], b: list[int]
    ) -> None:
        with pytest.raises(ValueError, match="two sets of as many different items, 1 to 5"):
            overlap(a, b, 5)


def facts(items: int = 12) -> PoolFacts:
    rng = np.random.default_rng(1)
    return PoolFacts(
        tokens_read=rng.integers(1, 50, items),
        tokens_written=rng.integers(1, 50, items),
        vectors=random_vectors(items, dim=4),
        groups=Groups.of(np.arange(items) % 5),
        categories=["qa" if i % 3 else "chat" for i in range(items)],
        utilities={"rating": rng.random(items), "flat": np.ones(items)},
    )


class TestMeasureSet:
    """All measures of one set at once."""

    def test_each_measure_is_that_of_the_chosen_items(self) -> None:
        pool, chosen = facts(), [7, 2, 9]
        assert pool.vectors is not None
        assert pool.tokens_written is not None
        rating = pool.utilities["rating"]
        assert measure_set(chosen, pool).to_json() == {
            "size": 3,
            "captured": {"rating": captured(rating, chosen), "flat": None},
            "mean_value": {"rating": pytest.approx(rating[chosen].mean()), "flat": 1.0},
            "mean_pairwise_cosine": pytest.approx(mean_pairwise_cosine(pool.vectors[chosen])),
            "vendi": pytest.approx(vendi_score(pool.vectors[chosen])),
            "coverage": 2 / 5,
            "category_entropy": category_entropy(["qa", "qa", "chat"]),
            "tokens_read": sum(pool.tokens_read[i] for i in chosen),
            "tokens_written": sum(pool.tokens_written[i] for i in chosen),
        }

    @given(subsets(12), randoms)
    def test_the_order_of_the_chosen_changes_no_bit(
        self, chosen: list[int], random: Random
    ) -> None:
        shuffled = random.sample(chosen, len(chosen))
        assert measure_set(shuffled, facts()) == measure_set(chosen, facts())

    def test_what_the_pool_lacks_is_undefined(self) -> None:
        assert measure_set([0, 1], PoolFacts(tokens_read=np.array([5, 7, 9]))) == SetMeasures(
            size=2,
            captured={},
            mean_value={},
            mean_pairwise_cosine=None,
            vendi=None,
            coverage=None,
            category_entropy=None,
            tokens_read=12,
            tokens_written=None,
        )

    def test_one_item_has_no_pairs(self) -> None:
        measures = measure_set([4], facts())
        assert measures.mean_pairwise_cosine is None
        assert (measures.vendi, measures.coverage, measures.category_entropy) == (1.0, 1 / 5, 0.0)

    def test_the_whole_pool_captures_nothing_and_covers_everything(self) -> None:
        measures = measure_set(range(12), facts())
        assert measures.captured == {"rating": None, "flat": None}
        assert (measures.size, measures.coverage) == (12, 1.0)

    def test_a_pool_of_one_item_can_be_measured(self) -> None:
        measures = measure_set([0], facts(1))
        assert (measures.size, measures.vendi, measures.coverage) == (1, 1.0, 1.0)

    def test_the_measures_are_json(self) -> None:
        measures = measure_set(np.array([0, 3, 5]), facts()).to_json()
        assert json.loads(json.dumps(measures, allow_nan=False)) == measures

    @pytest.mark.parametrize("chosen", [[], [1, 2, 1], [-1, 0], [12]])
    def test_positions_that_repeat_or_are_not_of_the_pool_are_refused(
        self, chosen: list[int]
    ) -> None:
        pool = facts()
        assert pool.groups is not None
        for measure in (
            lambda: measure_set(chosen, pool),
            lambda: captured(pool.utilities["rating"], chosen),
            lambda: coverage(pool.groups or Groups.of([]), chosen),
        ):
            with pytest.raises(ValueError, match="at least one position from 0 to 11, none twice"):
                measure()

    def test_facts_of_different_lengths_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"utilities\['rating'\] has 2 items, tokens_read 3"):
            PoolFacts(tokens_read=np.ones(3, dtype=int), utilities={"rating": np.ones(2)})


class TestMeanAndRange:
    """One figure over seeds."""

    def test_is_the_mean_between_the_lowest_and_the_highest(self) -> None:
        summary = mean_and_range([0.5, 0.25, 1.5])
        assert summary == Summary(mean=0.75, low=0.25, high=1.5, count=3)

    def test_one_seed_has_no_range(self) -> None:
        assert mean_and_range([0.3]) == Summary(0.3, 0.3, 0.3, 1)

    def test_what_is_undefined_for_every_seed_is_undefined(self) -> None:
        assert mean_and_range([None, None]) is None

    @pytest.mark.parametrize("values", [[], [0.1, None, 0.2]])
    def test_a_figure_that_some_seeds_lack_is_refused(self, values: list[float | None]) -> None:
        with pytest.raises(ValueError, match="Need all or none"):
            mean_and_range(values)
