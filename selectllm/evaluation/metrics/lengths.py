"""Whether long items are picked more often: picks by the length of what was shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from selectllm.core.types import Decision

BINS = 8


@dataclass(frozen=True, slots=True)
class PicksByLength:
    """Items of `low` to `high` characters: how often they were shown, and how often picked."""

    low: int
    high: int
    shown: int
    picked: int


def picks_by_length(
    decisions: Iterable[Decision], lengths: Mapping[str, int], edges: np.ndarray
) -> tuple[PicksByLength, ...]:
    """One for each bin between `edges` (see `length_edges`) in which anything was shown.

    `lengths`: characters of instruction and input, by item id. Decisions without a pick count
    nothing.
    """
    shown_ids: list[int] = []
    picked_ids: list[int] = []
    for decision in decisions:
        if decision.picks:
            shown_ids += [lengths[item] for item in decision.shown]
            picked_ids += [lengths[item] for item in decision.picks]
    shown, picked = (_histogram(ids, edges) for ids in (shown_ids, picked_ids))
    return tuple(
        PicksByLength(int(low), int(high), int(s), int(p))
        for low, high, s, p in zip(edges, edges[1:], shown, picked, strict=False)
        if s
    )


def length_edges(lengths: Iterable[int], bins: int = BINS) -> np.ndarray:
    """Ends of at most `bins` bins that hold about equally many values; ascending, distinct."""
    values = np.fromiter(lengths, dtype=float)
    if not values.size:
        return np.array([0.0, 1.0])
    edges = np.unique(np.floor(np.quantile(values, np.linspace(0, 1, bins + 1))))
    return edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1])


def _histogram(values: list[int], edges: np.ndarray) -> np.ndarray:
    counts, _ = np.histogram(np.array(values, dtype=float), bins=np.append(edges[:-1], np.inf))
    return counts
