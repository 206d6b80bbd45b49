"""Strategies: selectors without a selection prompt. The paper's baselines and our controls.

`select` applies one to the pool, `eval` inside each cluster. Most order all candidates, best
first, and pick the first n; some pick n that go together. Some go by a number per item that a
model has to give first: their names say which model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.selection.strategies.candidates import Candidates
from selectllm.selection.strategies.controls import (
    first,
    has_input,
    longest,
    random,
    shortest,
    slot,
)
from selectllm.selection.strategies.facility import facility_location
from selectllm.selection.strategies.grouped import k_center_hdbscan
from selectllm.selection.strategies.kcenter import centroid, k_center
from selectllm.selection.strategies.kmeans import kmeans_nearest
from selectllm.selection.strategies.measured import highest, ifd_order, lowest, middle, score_first
from selectllm.selection.strategies.overlap import rouge_diversity
from selectllm.selection.strategies.strategy import Measure, MeasureKind, Pick, Strategy

__all__ = ["FORMS", "STRATEGIES", "Candidates", "Measure", "Strategy", "find_strategy"]

Order = Callable[[Candidates], list[int]]


def _by(order: Order) -> Pick:
    """Picking the first n of an order of all candidates."""
    return lambda candidates, n: order(candidates)[:n]


# Perplexity: the paper's baselines, there of model outputs under Llama-2-7B.
_LIKELIHOODS: Mapping[str, tuple[MeasureKind, Order]] = {
    "perplexity-low": ("perplexity", lowest),
    "perplexity-high": ("perplexity", highest),
    "perplexity-middle": ("perplexity", middle),
    "response-perplexity-low": ("response-perplexity", lowest),
    "response-perplexity-high": ("response-perplexity", highest),
    "response-perplexity-middle": ("response-perplexity", middle),
    "ifd": ("ifd", ifd_order),
}

STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("random", _by(random), analytic=True),
        Strategy("longest", _by(longest)),
        Strategy("shortest", _by(shortest)),
        Strategy("first", _by(first)),
        Strategy("has-input", _by(has_input)),
        Strategy("rouge-diversity", rouge_diversity),
        Strategy("centroid", _by(centroid), needs_vectors=True),
        Strategy("k-center", k_center, needs_vectors=True),
        Strategy("k-center-hdbscan", k_center_hdbscan, needs_vectors=True, ranks=False),
        Strategy("k-means", kmeans_nearest, needs_vectors=True, ranks=False),
        Strategy("facility-location", facility_location, needs_vectors=True),
        *(
            Strategy(name, _by(order), measure=Measure(kind), descending=order is highest)
            for name, (kind, order) in _LIKELIHOODS.items()
        ),
    )
}
"""Those that are named without more."""

FORMS: Mapping[str, str] = {
    "slot": "slot:I",
    "oracle": "oracle:UTILITY",
    "rating": "rating:PROMPT+MODEL",
    "open-endedness": "open-endedness:MODEL",
    "score-first": "score-first:COSINE:STRATEGY",
}
"""Those that are named with what they go by."""


def find_strategy(name: str) -> Strategy:
    """The strategy called `name`: one of STRATEGIES, or of one of the FORMS.

    slot:I  the slot I, from 1 on
    oracle:UTILITY  the best by a utility of the suite, or a numeric column of the pool
    rating:PROMPT+MODEL  highest rated one by one by a prompt that asks for scores (AlpaGasus)
    open-endedness:MODEL  most different bigrams in three replies (scorers/open_endedness.py)
    score-first:COSINE:STRATEGY  see measured.py
    perplexity-low:MODEL, ifd:MODEL, ...  under another local language model

    Raises UsageError with the closest match and the list, and for a part that cannot be.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    head, _, given = name.partition(":")
    if head in _LIKELIHOODS and given:
        plain, kind = STRATEGIES[head], _LIKELIHOODS[head][0]
        return replace(plain, name=name, measure=Measure(kind, given))
    if head not in FORMS:
        raise UsageError(unknown("strategy", name, {*STRATEGIES, *FORMS.values()}))
    if head == "slot":
        return _slot(name, given)
    if not given:
        raise UsageError(f"strategy {name!r}: write {FORMS[head]}")
    if head == "score-first":
        return _score_first(name, given)
    return Strategy(name, _by(highest), measure=_measure(name, head, given), descending=True)


def _slot(name: str, given: str) -> Strategy:
    if not (given.isascii() and given.isdecimal() and int(given)):
        raise UsageError(f"strategy {name!r}: the slot is a whole number from 1 on: slot:3")
    return Strategy(name, _by(partial(slot, int(given))))


def _score_first(name: str, given: str) -> Strategy:
    text, _, inner = given.partition(":")
    try:
        cutoff = float(text)
    except ValueError:
        cutoff = math.nan
    if not inner or not 0 < cutoff <= 1:
        raise UsageError(
            f"strategy {name!r}: write {FORMS['score-first']} with a cosine above 0 and at most "
            "1, such as score-first:0.9:longest"
        )
    scoring = find_strategy(inner)
    if not scoring.ranks:
        raise UsageError(
            f"strategy {name!r}: {scoring.name} does not rank items; name one that does"
        )
    pick = score_first(cutoff, scoring.pick)
    return Strategy(name, pick, needs_vectors=True, measure=scoring.measure)


def _measure(name: str, head: str, given: str) -> Measure:
    if head == "rating" and not all(given.partition("+")):
        raise UsageError(f"strategy {name!r}: write {FORMS['rating']}")
    kinds: Mapping[str, MeasureKind] = {
        "oracle": "utility",
        "rating": "rating",
        "open-endedness": "open-endedness",
    }
    return Measure(kinds[head], given)
