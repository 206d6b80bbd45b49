"""Utilities: ratings are read strictly; knn is the exact Shapley value."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from math import comb, isfinite
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import UtilityError
from selectllm.core.types import Item, Pool
from selectllm.utility.knn import Answer, KnnVectors, knn_set_value, knn_shapley, knn_utility
from selectllm.utility.ratings import ratings
from selectllm.utility.utility import Utility, check_covered


def rated(*values: Any, **more: Any) -> Pool:
    """A pool of items a, b, ... with a column `rating`."""
    rows = [{"rating": value, **more} for value in values]
    return Pool(
        [Item(id, "do it", row=row) for id, row in zip("abcdefghij", rows, strict=False)], ""
    )


def answered(*responses: str | None, prefix: str = "i") -> Pool:
    return Pool(
        [Item(f"{prefix}{n}", f"question {n}", response=r) for n, r in enumerate(responses)], ""
    )


def rows(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=float)


class TestUtility:
    """The contract of every source."""

    def test_the_hash_is_of_the_values_whatever_their_order_and_the_name(self) -> None:
        one = Utility("rating", "ratings", "human", {"a": 1, "b": 2.5})
        other = Utility("other", "knn", "proxy", {"b": 2.5, "a": 1.0})
        assert one.sha256 == other.sha256
        assert one.sha256 != Utility("rating", "ratings", "human", {"a": 1.0, "b": 2.0}).sha256

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_a_value_that_is_not_finite_is_refused(self, value: float) -> None:
        with pytest.raises(UtilityError, match=r"utility rating: .*no finite value .* 'b'"):
            Utility("rating", "ratings", "human", {"a": 1.0, "b": value})

    def test_uncovered_items_are_counted_and_five_are_named(self) -> None:
        with pytest.raises(UtilityError, match=r"suite: .* \(7\): 'b', .* 'f' and 2 more\. Give"):
            check_covered("abcdefgh", {"a": 1.0}, "suite")

    def test_turned_it_orders_the_other_way_on_a_scale_of_its_own(self) -> None:
        loss = Utility("loss", "import", "outcome", {"a": 1, "b": 2.5}, range=(0, 4), of_set=len)
        turned = loss.turned()
        assert (turned.values, turned.range) == ({"a": -1, "b": -2.5}, (-4, 0))
        assert turned.of_set is not None
        assert turned.of_set({"a", "b"}) == -2
        assert turned.turned() == loss


class TestRatings:
    """A column of the pool as a utility."""

    def test_numbers_and_plain_numeric_text_are_taken(self) -> None:
        pool = rated(1, 2.5, "4.5", " -3 ", "1e2", ".5", True, False, Decimal("0.25"))
        utility = ratings(pool, name="rating", column="rating", rater="two of us")
        assert list(utility.values.values()) == [1, 2.5, 4.5, -3, 100, 0.5, 1, 0, 0.25]
        assert all(type(value) is float for value in utility.values.values())
        assert (utility.kind, utility.source, utility.rater) == ("human", "ratings", "two of us")

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_any_float_is_kept_as_it_is_also_from_text(self, value: float) -> None:
        utility = ratings(rated(value, repr(value)), name="r", column="rating")
        assert list(utility.values.values()) == [value, value]

    @given(st.text() | st.integers() | st.floats() | st.none() | st.lists(st.integers()))
    def test_any_value_is_a_finite_number_or_an_error(self, value: Any) -> None:
        try:
            utility = ratings(rated(value), name="r", column="rating")
        except UtilityError:
            return
        assert isfinite(utility.values["a"])

    @pytest.mark.parametrize("value", ["n/a", "1,234", "1_000", "٤", "nan", "inf", "0x10", [4], {}])
    def test_what_is_no_number_is_named_with_its_item(self, value: Any) -> None:
        with pytest.raises(UtilityError) as error:
            ratings(rated(3, value), name="quality", column="rating")
        assert str(error.value) == (
            f"utility quality: item 'b': rating ({value!r}) is not a number. "
            "Write one such as 4 or 4.5"
        )

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, "1e999"])
    def test_numbers_that_are_not_finite_are_refused(self, value: Any) -> None:
        with pytest.raises(UtilityError, match=r"item 'b': rating \(.*\) is not finite"):
            ratings(rated(3, value), name="r", column="rating")

    @pytest.mark.parametrize("value", [None, "", "  "])
    def test_a_missing_value_is_refused(self, value: Any) -> None:
        with pytest.raises(
            UtilityError, match=r"rating is missing for 1 of 2 items: 'b'\. Rate them"
        ):
            ratings(rated(3, value), name="r", column="rating")

    def test_an_item_without_the_column_is_refused(self) -> None:
        pool = Pool([*rated(3).items, Item("z", "do it")], "")
        with pytest.raises(UtilityError, match=r"missing for 1 of 2 items: 'z'"):
            ratings(pool, name="r", column="rating")

    def test_both_ends_of_the_range_are_within_it(self) -> None:
        utility = ratings(rated(1, 5), name="r", column="rating", value_range=(1, 5))
        assert utility.values == {"a": 1.0, "b": 5.0}

    @pytest.mark.parametrize("value", [0.999, 6, "-1"])
    def test_a_value_outside_the_range_is_refused(self, value: Any) -> None:
        with pytest.raises(UtilityError, match=r"item 'b': rating .* outside range \[1, 5\]"):
            ratings(rated(3, value), name="r", column="rating", value_range=(1, 5))

    def test_an_empty_range_is_refused(self) -> None:
        with pytest.raises(UtilityError, match=r"range \[5, 1\] is empty"):
            ratings(rated(3), name="r", column="rating", value_range=(5, 1))

    def test_an_unknown_column_is_answered_with_the_numeric_ones_and_the_closest(self) -> None:
        pool = rated(3, 4, length="12", category="qa")
        with pytest.raises(UtilityError) as error:
            ratings(pool, name="r", column="ratings")
        assert "no column 'ratings'. Did you mean 'rating'" in str(error.value)
        assert "There are: length, rating" in str(error.value)
        assert "category" not in str(error.value)


def shapley_by_hand(similarity: np.ndarray, answer: np.ndarray, k: int) -> list[float]:
    """The definition: an item's mean contribution over all subsets of the others."""
    n, n_tests = similarity.shape

    def worth(subset: tuple[int, ...]) -> float:
        total = 0.0
        for t in range(n_tests):
            nearest = sorted(subset, key=lambda i: (-similarity[i, t], i))[:k]
            total += sum(answer[i, t] for i in nearest) / k
        return total / n_tests

    def value(item: int) -> float:
        rest = [other for other in range(n) if other != item]
        return sum(
            (worth((*subset, item)) - worth(subset)) / (n * comb(n - 1, size))
            for size in range(n)
            for subset in combinations(rest, size)
        )

    return [value(item) for item in range(n)]


@st.composite
def games(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Up to six items and three tests, with many ties in similarity."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    size = shape[0] * shape[1]
    near = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    serves = draw(st.lists(st.floats(-1, 1), min_size=size, max_size=size))
    similarity = np.array(near, dtype=float).reshape(shape)
    return similarity, np.array(serves).reshape(shape), draw(st.integers(1, 8))


class TestShapley:
    """KNN-Shapley against its definition."""

    @given(games())
    def test_it_is_the_mean_contribution_over_all_subsets(
        self, game: tuple[np.ndarray, np.ndarray, int]
    ) -> None:
        assert knn_shapley(*game) == pytest.approx(shapley_by_hand(*game), abs=1e-12)

    @given(games())
    def test_the_values_add_up_to_the_worth_of_the_whole_pool(
        self, game: tuple[np.ndarray, np.ndarray, int]
    ) -> None:
        similarity, answer, k = game
        nearest = np.argsort(-similarity, axis=0, kind="stable")[:k]
        worth = np.take_along_axis(answer, nearest, axis=0).sum(axis=0).mean() / k
        assert knn_shapley(similarity, answer, k).sum() == pytest.approx(worth, abs=1e-12)
        assert knn_set_value(similarity, answer, k) == pytest.approx(worth, abs=1e-12)

    def test_many_tests_are_worked_off_in_blocks_with_the_same_result(self) -> None:
        rng = np.random.default_rng(0)
        similarity, answer = rng.normal(size=(2, 3000, 800))  # more pairs than one block holds
        by_test = [
            knn_shapley(similarity[:, [t]], answer[:, [t]], 5) for t in range(similarity.shape[1])
        ]
        assert knn_shapley(similarity, answer, 5) == pytest.approx(np.mean(by_test, axis=0))

    def test_items_equally_near_rank_in_the_order_of_their_rows(self) -> None:
        similarity, answer = np.ones((2, 1)), rows([1.0], [0.0])
        assert knn_shapley(similarity, answer, 1).tolist() == [1.0, 0.0]
        assert knn_shapley(similarity, answer[::-1], 1).tolist() == [-0.5, 0.5]

    @pytest.mark.parametrize(
        ("similarity", "answer", "k", "complaint"),
        [
            (np.ones((2, 1)), np.ones((1, 2)), 1, "two matrices"),
            (np.ones((0, 1)), np.ones((0, 1)), 1, "two matrices"),
            (np.ones((2, 1)), np.full((2, 1), np.nan), 1, "finite"),
            (np.ones((2, 1)), np.ones((2, 1)), 0, "k of 1 or more"),
        ],
    )
    def test_input_that_makes_no_game_is_refused(
        self, similarity: np.ndarray, answer: np.ndarray, k: int, complaint: str
    ) -> None:
        with pytest.raises(ValueError, match=complaint):
            knn_shapley(similarity, answer, k)
        with pytest.raises(ValueError, match=complaint):
            knn_set_value(similarity, answer, k)


class TestKnn:
    """The utility made of both."""

    instructions = rows([1, 0], [0.9, 0.1], [0, 1])
    tests = rows([1, 0], [0, 2])
    pool = answered("the cat sat", "a dog", "rain")
    test_pool = answered("the cat sat", "rain", prefix="t")

    def test_a_response_that_fits_its_neighbourhood_is_worth_most(self) -> None:
        vectors = KnnVectors(self.instructions, self.tests)
        utility = knn_utility(self.pool, self.test_pool, vectors, k=1, answer="rouge-l")
        assert list(utility.values) == ["i0", "i1", "i2"]
        assert utility.values["i0"] > utility.values["i1"]
        assert utility.values["i2"] > utility.values["i1"]
        assert sum(utility.values.values()) == pytest.approx(1.0)  # both nearest answers are right

    @pytest.mark.parametrize("answer", ["cosine", "rouge-l"])
    def test_a_set_is_worth_what_its_items_add_up_to_in_a_pool_of_nothing_else(
        self, answer: Answer
    ) -> None:
        vectors = KnnVectors(self.instructions, self.tests, self.instructions, self.tests)
        of_set = knn_utility(self.pool, self.test_pool, vectors, k=2, answer=answer).of_set
        assert of_set is not None
        for chosen in ([0], [2, 0], [0, 1, 2]):
            items = [self.pool.items[n] for n in chosen]
            part = replace(vectors, items=self.instructions[chosen])
            part = replace(part, item_responses=self.instructions[chosen])
            alone = knn_utility(Pool(items, ""), self.test_pool, part, k=2, answer=answer)
            worth = of_set([item.id for item in items])
            assert worth == pytest.approx(sum(alone.values.values()), abs=1e-9)

    def test_a_set_of_equal_items_is_worth_less_than_one_that_serves_every_test(self) -> None:
        vectors = KnnVectors(rows([1, 0], [1, 0], [0, 1]), self.tests)
        pool = answered("the cat sat", "the cat sat", "rain")
        utility = knn_utility(pool, self.test_pool, vectors, k=1, answer="rouge-l")
        assert utility.of_set is not None
        assert utility.of_set(["i0", "i1"]) < utility.of_set(["i0", "i2"]) == 1.0

    def test_it_is_always_a_proxy_and_says_how_it_was_made(self) -> None:
        vectors = KnnVectors(self.instructions, self.tests, self.instructions, self.tests)
        utility = knn_utility(self.pool, self.test_pool, vectors, name="near", k=2)
        assert (utility.name, utility.source, utility.kind) == ("near", "knn", "proxy")
        assert utility.rater == "knn-shapley k=2 cosine"

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_with_cosine_it_is_the_shapley_value_of_cosines(self, dtype: type) -> None:
        rng = np.random.default_rng(1)
        items, responses = rng.normal(size=(2, 6, 4)).astype(dtype)
        tests, answers = rng.normal(size=(2, 5, 4)).astype(dtype)

        def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.array([[x @ y / np.sqrt((x @ x) * (y @ y)) for y in b] for x in a])

        utility = knn_utility(
            answered(*["x"] * 6),
            answered(*["x"] * 5, prefix="t"),
            KnnVectors(items, tests, responses, answers),
            k=2,
        )
        expected = knn_shapley(cosines(items, tests), cosines(responses, answers), 2)
        assert list(utility.values.values()) == pytest.approx(expected, abs=1e-6)

    def test_a_vector_of_zeros_is_near_to_nothing(self) -> None:
        nothing = np.zeros((3, 2))
        vectors = KnnVectors(nothing, self.tests, nothing, self.tests)
        utility = knn_utility(self.pool, self.test_pool, vectors)
        assert set(utility.values.values()) == {0.0}

    def test_reliability_is_the_stepped_up_correlation_of_two_halves_of_the_tests(self) -> None:
        rng = np.random.default_rng(2)
        items, tests = rng.normal(size=(40, 8)), 1 + rng.normal(size=(30, 8))
        pool, test_pool = answered(*["x"] * 40), answered(*["x"] * 30, prefix="t")
        utility = knn_utility(pool, test_pool, KnnVectors(items, tests, items, tests))

        def half(start: int) -> list[float]:
            part = Pool(test_pool.items[start::2], "")
            vectors = KnnVectors(items, tests[start::2], items, tests[start::2])
            return list(knn_utility(pool, part, vectors).values.values())

        r = np.corrcoef(half(0), half(1))[0, 1]
        assert r > 0
        assert utility.reliability == pytest.approx(2 * r / (1 + r))

    def test_halves_that_contradict_each_other_have_reliability_zero(self) -> None:
        pool = answered("rain", "snow")
        vectors = KnnVectors(np.eye(2), np.ones((2, 2)))
        test_pool = answered("rain", "snow", prefix="t")
        utility = knn_utility(pool, test_pool, vectors, k=1, answer="rouge-l")
        assert utility.reliability == 0.0

    def test_a_single_test_item_has_no_reliability(self) -> None:
        vectors = KnnVectors(self.instructions, self.tests[:1])
        utility = knn_utility(self.pool, answered("rain", prefix="t"), vectors, answer="rouge-l")
        assert utility.reliability is None

    @pytest.mark.parametrize("response", [None, "", " \n"])
    def test_items_without_response_are_counted_and_named(self, response: str | None) -> None:
        pool = answered("x", *[response] * 7)
        vectors = KnnVectors(np.ones((8, 2)), self.tests)
        with pytest.raises(UtilityError) as error:
            knn_utility(pool, self.test_pool, vectors, answer="rouge-l")
        assert "needs a response for every item" in str(error.value)
        assert "7 of 8 in the pool have none: 'i1', 'i2', 'i3', 'i4', 'i5' and 2 more." in str(
            error.value
        )

    def test_test_items_without_response_are_named_as_such(self) -> None:
        vectors = KnnVectors(self.instructions, self.tests)
        with pytest.raises(UtilityError, match="1 of 2 in the test pool have none: 't1'"):
            knn_utility(self.pool, answered("x", None, prefix="t"), vectors, answer="rouge-l")

    @pytest.mark.parametrize(
        ("vectors", "complaint"),
        [
            (KnnVectors(np.ones((2, 2)), np.ones((2, 2))), r"shapes \(2, 2\) and \(2, 2\)"),
            (KnnVectors(np.ones((3, 2)), np.ones((2, 3))), r"need \(3, dim\) and \(2, dim\)"),
            (KnnVectors(np.full((3, 2), np.nan), np.ones((2, 2))), "not finite"),
            (KnnVectors(np.ones((3, 2)), np.ones((2, 2))), "needs vectors of the responses"),
            (
                KnnVectors(np.ones((3, 2)), np.ones((2, 2)), np.ones((3, 2)), np.ones((1, 2))),
                "response vectors have shapes",
            ),
        ],
    )
    def test_vectors_that_do_not_fit_are_refused(self, vectors: KnnVectors, complaint: str) -> None:
        with pytest.raises(UtilityError, match=complaint):
            knn_utility(self.pool, self.test_pool, vectors)

    def test_k_below_one_is_refused(self) -> None:
        vectors = KnnVectors(self.instructions, self.tests)
        with pytest.raises(UtilityError, match=r"k is 0\. Write 1 or more"):
            knn_utility(self.pool, self.test_pool, vectors, k=0, answer="rouge-l")

    def test_an_empty_pool_is_refused(self) -> None:
        vectors = KnnVectors(self.instructions, np.empty((0, 2)))
        with pytest.raises(UtilityError, match="the test pool is empty"):
            knn_utility(self.pool, answered(), vectors, answer="rouge-l")
