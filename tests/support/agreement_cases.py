"""Choices and utilities for tests: small clusters with many ties, and runs of several."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from hypothesis import assume
from hypothesis import strategies as st

from selectllm.evaluation.metrics.agreement import Agreement, Choice

Values = dict[str, float]
CLOSE = {"rel": 1e-9, "abs": 1e-12}

few_values = st.integers(0, 3).map(float)  # many ties
any_values = st.floats(-1e3, 1e3).map(lambda u: round(u, 6))
utilities = st.lists(few_values, min_size=3, max_size=7) | st.lists(
    any_values, min_size=3, max_size=7
)


def cluster(values: list[float], name: str = "a") -> Values:
    """Utilities by item id: a0, a1, ..."""
    return {f"{name}{index}": value for index, value in enumerate(values)}


def pick(u: Values, picks: tuple[str, ...], cluster_id: int = 0) -> Choice:
    return Choice(cluster_id, tuple(u), picks)


def twice(u: Values, picks: tuple[str, ...]) -> list[Choice]:
    """The same choice in two clusters, so that there is an interval."""
    return [pick(u, picks, 0), pick(u, picks, 1)]


def best(u: Values, k: int) -> tuple[str, ...]:
    return tuple(sorted(u, key=lambda item_id: (-u[item_id], item_id))[:k])


def captured(result: Agreement) -> float:
    assert result.captured is not None
    return result.captured.estimate


def estimate(result: Agreement, metric: str) -> float:
    interval = getattr(result, metric)
    assert interval is not None, metric
    return float(interval.estimate)


@st.composite
def clusters_that_differ(draw: st.DrawFn) -> tuple[Values, int]:
    u = cluster(draw(utilities))
    assume(len(set(u.values())) > 1)
    return u, draw(st.integers(1, len(u) - 1))


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Choice], Values, int]:
    """Choices in 2 to 5 clusters of mixed sizes with 1 to 3 orders, some picks missing."""
    k = draw(st.integers(1, 2))
    choices, utility = [], {}
    for cluster_id in range(draw(st.integers(2, 5))):
        u = cluster(draw(utilities), name=f"c{cluster_id}-")
        utility |= u
        for _ in range(draw(st.integers(1, 3))):
            order = draw(st.permutations(list(u)))
            ranked = draw(st.booleans())
            picks = tuple(order[: k if ranked else draw(st.integers(0, k))])
            choices.append(
                Choice(cluster_id, tuple(order), picks, tuple(order) if ranked else None)
            )
    return choices, utility, k


def all_subsets(u: Values, k: int) -> Iterator[tuple[str, ...]]:
    return combinations(u, k)
