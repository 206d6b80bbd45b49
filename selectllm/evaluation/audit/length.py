"""Length: are long items picked, and what of the agreement is left without it? Pure.

It asks nothing: the decisions are those of the order probe. Correlations are within a cluster,
between the share of its orders in which an item was picked, its characters and its utility, and
are then averaged over clusters. Pooled over clusters they would mix the clusters' own differences
in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.types import Decision
from selectllm.evaluation.audit.measures import CORRELATION, mean_of, measure
from selectllm.evaluation.audit.order import grouped
from selectllm.evaluation.audit.schema import LengthAudit, LengthDecile, Measure
from selectllm.evaluation.audit.subject import Subject
from selectllm.evaluation.metrics.lengths import length_edges, picks_by_length
from selectllm.stats.rank_correlation import partial_correlation, spearman

DECILES = 10


def length_audit(subject: Subject, decisions: Sequence[Decision]) -> LengthAudit:
    """What the decisions of the order probe say of length."""
    lengths = {item: _length(subject, item) for d in decisions for item in d.shown}
    shown = [lengths[item] for decision in decisions for item in decision.shown]
    edges = length_edges(shown, DECILES)
    named = subject.utility
    return LengthAudit(
        deciles=tuple(
            LengthDecile(low=each.low, high=each.high, shown=each.shown, picked=each.picked)
            for each in picks_by_length(decisions, lengths, edges)
        ),
        preference=mean_of(_preferences(subject, decisions), CORRELATION),
        utility=None if named is None else named.name,
        agreement=mean_of(_agreements(subject, decisions), CORRELATION),
        given_length=mean_of(_given_length(subject, decisions), CORRELATION),
        input_preference=mean_of(_input_preferences(subject, decisions), CORRELATION),
    )


def length_measures(subject: Subject, decisions: Sequence[Decision]) -> Iterator[Measure]:
    """How far length and the presence of an input decide, and what is left without length."""
    yield measure(
        "length.preference",
        "rank correlation of picks and length within clusters: 0 = length does not matter",
        "zero",
        _preferences(subject, decisions),
        within=CORRELATION,
    )
    yield measure(
        "length.input-preference",
        "pick rate of items with an input less that of items without: 0 = it does not matter",
        "zero",
        _input_preferences(subject, decisions),
        within=CORRELATION,
    )
    if subject.utility is not None:
        yield measure(
            "length.agreement-left",
            f"rank correlation of picks and {subject.utility.name} with length partialled out",
            "higher",
            _given_length(subject, decisions),
            within=CORRELATION,
        )


def _length(subject: Subject, item_id: str) -> int:
    return len(subject.items[item_id].text)


def _by_cluster(
    subject: Subject,
    decisions: Sequence[Decision],
    value: Callable[[list[str], Floats], float | None],
) -> dict[int, float]:
    """What `value` makes of a cluster's ids and pick shares; without clusters where it is None."""
    values: dict[int, float] = {}
    for cluster, orders in grouped(decisions).items():
        ids = sorted(orders[0].shown)
        shares = np.array([fmean(item in d.picks for d in orders) for item in ids])
        found = value(ids, shares)
        if found is not None:
            values[cluster] = found
    return values


def _preferences(subject: Subject, decisions: Sequence[Decision]) -> dict[int, float]:
    return _by_cluster(
        subject, decisions, lambda ids, shares: spearman(shares, _lengths(subject, ids)).value
    )


def _lengths(subject: Subject, ids: Sequence[str]) -> Floats:
    return np.array([_length(subject, item) for item in ids], dtype=float)


def _agreements(subject: Subject, decisions: Sequence[Decision]) -> dict[int, float]:
    if subject.utility is None:
        return {}
    values = subject.utility.values
    return _by_cluster(
        subject, decisions, lambda ids, shares: spearman(shares, _values(values, ids)).value
    )


def _given_length(subject: Subject, decisions: Sequence[Decision]) -> dict[int, float]:
    if subject.utility is None:
        return {}
    values = subject.utility.values

    def left(ids: list[str], shares: Floats) -> float | None:
        return partial_correlation(shares, _values(values, ids), _lengths(subject, ids))

    return _by_cluster(subject, decisions, left)


def _values(values: Mapping[str, float], ids: Sequence[str]) -> Floats:
    return np.array([values[item] for item in ids])


def _input_preferences(subject: Subject, decisions: Sequence[Decision]) -> dict[int, float]:
    def preference(ids: list[str], shares: Floats) -> float | None:
        with_input = np.array([bool(subject.items[item].input.strip()) for item in ids])
        if with_input.all() or not with_input.any():
            return None
        return float(shares[with_input].mean() - shares[~with_input].mean())

    return _by_cluster(subject, decisions, preference)
