"""Strategies: selectors without a selection prompt. The paper's baselines and our controls.

`select` applies one to the pool, `eval` inside each cluster. Most order all candidates, best
first, and pick the first n; some pick n that go together. Some go by a number per item that a
scorer has to give first: their names say which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from selectllm.core.arrays import Ints
from selectllm.core.choices import LANGUAGE_MODEL
from selectllm.core.errors import UsageError
from selectllm.core.plugins import is_reference
from selectllm.selection.scorers.answer_divergence import AnswerDivergenceScorer
from selectllm.selection.scorers.item_scorer import ItemScorer
from selectllm.selection.scorers.likelihood import (
    IfdScorer,
    PerplexityScorer,
    ResponsePerplexityScorer,
)
from selectllm.selection.scorers.open_endedness import OpenEndednessScorer
from selectllm.selection.scorers.own import OwnScorer
from selectllm.selection.scorers.rating import RatingScorer
from selectllm.selection.scorers.uncertainty import UncertaintyScorer
from selectllm.selection.scorers.utility_values import UtilityScorer
from selectllm.selection.strategies.binned import by_task, highest_in_bins
from selectllm.selection.strategies.candidates import Candidates
from selectllm.selection.strategies.controls import (
    first,
    has_input,
    lengths,
    longest,
    random,
    shortest,
    slot,
)
from selectllm.selection.strategies.d_optimal import d_optimal
from selectllm.selection.strategies.facility import facility_location, weighted_by
from selectllm.selection.strategies.grouped import k_center_hdbscan
from selectllm.selection.strategies.kcenter import centroid, k_center
from selectllm.selection.strategies.kmeans import kmeans_nearest
from selectllm.selection.strategies.measured import highest, ifd_order, lowest, middle, score_first
from selectllm.selection.strategies.overlap import rouge_diversity
from selectllm.selection.strategies.own import own_strategy
from selectllm.selection.strategies.quota import per_column
from selectllm.selection.strategies.strategy import Pick, Strategy

__all__ = ["FORMS", "STRATEGIES", "Candidates", "Strategy", "find_strategy", "is_analytic"]

Order = Callable[[Candidates], Ints]


def _by(order: Order) -> Pick:
    """Picking the first n of an order of all candidates."""

    def pick(candidates: Candidates, n: int) -> list[int]:
        picks: list[int] = order(candidates)[:n].tolist()
        return picks

    return pick


# Perplexity: the paper's baselines, there of model outputs under Llama-2-7B.
_LIKELIHOODS: Mapping[str, tuple[Callable[[str], ItemScorer], Order]] = {
    "perplexity-low": (PerplexityScorer, lowest),
    "perplexity-high": (PerplexityScorer, highest),
    "perplexity-middle": (PerplexityScorer, middle),
    "response-perplexity-low": (ResponsePerplexityScorer, lowest),
    "response-perplexity-high": (ResponsePerplexityScorer, highest),
    "response-perplexity-middle": (ResponsePerplexityScorer, middle),
    "ifd": (IfdScorer, ifd_order),
}


def _likelihood(name: str, of: str = "") -> Strategy:
    """By a likelihood under the language model `of`, "" for the embedded one."""
    scorer, order = _LIKELIHOODS[name.partition(":")[0]]
    return _scored(name, scorer(of), order)


def _scored(name: str, scorer: ItemScorer, order: Order) -> Strategy:
    return Strategy(
        name,
        _by(order),
        scorer=scorer,
        descending=order is highest,
        ascending=order is lowest,
    )


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("random", _by(random), analytic=True),
        Strategy("longest", _by(longest), score=lengths),
        Strategy("shortest", _by(shortest), score=lengths),
        Strategy("first", _by(first)),
        Strategy("has-input", _by(has_input)),
        Strategy("rouge-diversity", rouge_diversity, blind=True),
        Strategy("centroid", _by(centroid), needs_vectors=True, blind=True),
        Strategy("k-center", k_center, needs_vectors=True),
        Strategy("k-center-hdbscan", k_center_hdbscan, needs_vectors=True, ranks=False),
        Strategy("k-means", kmeans_nearest, needs_vectors=True, ranks=False),
        Strategy("facility-location", facility_location, needs_vectors=True),
        Strategy("d-optimal", d_optimal, needs_vectors=True),
        *map(_likelihood, _LIKELIHOODS),
    )
}
"""Those that are named without more."""

FORMS: Mapping[str, str] = {
    "slot": "slot:I",
    "oracle": "oracle:UTILITY",
    "rating": "rating:PROMPT+MODEL",
    "open-endedness": "open-endedness:MODEL",
    "answer-divergence": "answer-divergence:MODEL",
    "token-uncertainty": "token-uncertainty:MODEL",
    "margin": "margin:MODEL",
    "mean-entropy": "mean-entropy:MODEL",
    "task-confidence": "task-confidence:COLUMN[+MODEL]",
    "score-first": "score-first:COSINE:STRATEGY",
    "facility-location": "facility-location:STRATEGY",
    "per": "per:COLUMN:STRATEGY",
    "equal-per": "equal-per:COLUMN:STRATEGY",
    "highest": "highest:MODULE:ATTR",
    "lowest": "lowest:MODULE:ATTR",
    "middle": "middle:MODULE:ATTR",
}
"""Those that are named with what they go by."""


def find_strategy(name: str, base: Path | None = None) -> Strategy:
    """The strategy called `name`: one of STRATEGIES, of one of the FORMS, or `module:attr`.

    slot:I  the slot I, from 1 on
    oracle:UTILITY  the best by a utility of the suite, or a numeric column of the pool
    rating:PROMPT+MODEL  highest rated one by one by a prompt that asks for scores (AlpaGasus)
    open-endedness:MODEL  most different bigrams in three replies (scorers/open_endedness.py)
    answer-divergence:MODEL  answers far apart, in every part of the pool (answer_divergence.py)
    token-uncertainty:MODEL, margin:..., mean-entropy:...  least sure (scorers/uncertainty.py)
    task-confidence:COLUMN[+MODEL]  more of the tasks that a model is less sure of (binned.py)
    score-first:COSINE:STRATEGY  see measured.py
    facility-location:STRATEGY  items weigh by the number that the strategy goes by (facility.py)
    per:COLUMN:STRATEGY, equal-per:...  the strategy in groups by a column (quota.py)
    perplexity-low:MODEL, ifd:MODEL, ...  under another local language model
    highest:MODULE:ATTR, lowest:..., middle:...  by a scorer of the user's own (ItemScorer)
    MODULE:ATTR  a strategy of the user's own (Strategy)

    `base`: a folder in which such modules may be. Raises UsageError with the closest match and the
    list, and for a part that cannot be.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    head, _, given = name.partition(":")
    if head in _LIKELIHOODS and given:
        return _likelihood(name, given)
    if head not in FORMS:
        return own_strategy(name, {**STRATEGIES, **dict.fromkeys(FORMS.values())}, base)
    if not given and head != "slot":
        raise UsageError(f"strategy {name!r}: write {FORMS[head]}")
    return _BUILDERS[head](name, given, base)


def is_analytic(name: str) -> bool:
    """Whether `eval` reports the exact expectation of the strategy of that name, not one draw."""
    return name in STRATEGIES and STRATEGIES[name].analytic


def _slot(name: str, given: str, base: Path | None) -> Strategy:
    if not (given.isascii() and given.isdecimal() and int(given)):
        raise UsageError(f"strategy {name!r}: the slot is a whole number from 1 on: slot:3")
    return Strategy(name, _by(partial(slot, int(given))))


def _oracle(name: str, given: str, base: Path | None) -> Strategy:
    return _scored(name, UtilityScorer(given), highest)


def _rating(name: str, given: str, base: Path | None) -> Strategy:
    if not all(given.partition("+")):
        raise UsageError(f"strategy {name!r}: write {FORMS['rating']}")
    return _scored(name, RatingScorer(given), highest)


def _open_endedness(name: str, given: str, base: Path | None) -> Strategy:
    return _scored(name, OpenEndednessScorer(given), highest)


def _answer_divergence(name: str, given: str, base: Path | None) -> Strategy:
    scorer = AnswerDivergenceScorer(given)
    return Strategy(
        name, highest_in_bins, needs_vectors=True, ranks=False, scorer=scorer, blind=True
    )


def _uncertain(name: str, given: str, base: Path | None) -> Strategy:
    measure = name.partition(":")[0]
    return _scored(name, UncertaintyScorer(measure, given), _UNSURE_FIRST[measure])


_UNSURE_FIRST: Mapping[str, Order] = {
    "token-uncertainty": highest,
    "margin": lowest,
    "mean-entropy": highest,
}


def _task_confidence(name: str, given: str, base: Path | None) -> Strategy:
    column, _, model = given.partition("+")
    if not column:
        raise UsageError(f"strategy {name!r}: write {FORMS['task-confidence']}")
    pick, told = by_task(column)
    scorer = UncertaintyScorer("confidence", model or LANGUAGE_MODEL)
    return Strategy(name, pick, ranks=False, scorer=scorer, columns=(column,), told=told)


def _by_own_scorer(order: Order) -> Callable[[str, str, Path | None], Strategy]:
    def built(name: str, given: str, base: Path | None) -> Strategy:
        if not is_reference(given):
            raise UsageError(f"strategy {name!r}: write {FORMS[name.partition(':')[0]]}")
        return _scored(name, OwnScorer.load(given, base), order)

    return built


_NO_ORDER: Mapping[str, Any] = {"descending": False, "ascending": False, "told": None}


def _weighted(name: str, given: str, base: Path | None) -> Strategy:
    weighing = find_strategy(given, base)
    if not (weighing.descending or weighing.ascending):
        raise UsageError(
            f"strategy {name!r}: {weighing.name} does not rank items by a number, so items cannot "
            "be weighted by it. Name one that does, such as perplexity-high"
        )
    pick = weighted_by(weighing)
    return replace(weighing, name=name, pick=pick, needs_vectors=True, **_NO_ORDER)


def _per(name: str, given: str, base: Path | None) -> Strategy:
    head = name.partition(":")[0]
    column, _, inner = given.partition(":")
    if not column or not inner:
        raise UsageError(f"strategy {name!r}: write {FORMS[head]}")
    return per_column(find_strategy(inner, base), column, name, equal=head == "equal-per")


def _score_first(name: str, given: str, base: Path | None) -> Strategy:
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
    scoring = find_strategy(inner, base)
    if not scoring.ranks:
        raise UsageError(
            f"strategy {name!r}: {scoring.name} does not rank items. Name one that does"
        )
    pick = score_first(cutoff, scoring.pick)
    return replace(scoring, name=name, pick=pick, needs_vectors=True, analytic=False, **_NO_ORDER)


_BUILDERS: Mapping[str, Callable[[str, str, Path | None], Strategy]] = {
    "slot": _slot,
    "oracle": _oracle,
    "rating": _rating,
    "open-endedness": _open_endedness,
    "answer-divergence": _answer_divergence,
    **dict.fromkeys(_UNSURE_FIRST, _uncertain),
    "task-confidence": _task_confidence,
    "score-first": _score_first,
    "facility-location": _weighted,
    "per": _per,
    "equal-per": _per,
    "highest": _by_own_scorer(highest),
    "lowest": _by_own_scorer(lowest),
    "middle": _by_own_scorer(middle),
}
