"""Answers read from log-probabilities: one token is generated, and it ranks all candidates.

The labels are ranked by how likely each was to be that token, as FIRST does (Reddy et al. 2024,
arXiv 2406.15657) and the setwise likelihood of Zhuang et al. (2024, arXiv 2310.09497): a full
ranking for the price of one token. Pure; the edge gets the probabilities, see litellm.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Parsed, Question, Status
from selectllm.models.token_logprobs import Listed, label_in


def parse_logprobs(text: str, question: Question) -> Parsed:
    """The k labels that were most likely, from the text of a reply. Never raises on any text.

    A label's probability is the sum of the tokens that are it, but for spaces and brackets
    around it; its case must match. Labels that no listed token is come after all that are, so
    that the picks are known if at least k are listed, and the ranking only if all m are: the
    problem `unlisted` says that some are not. (What a label had beside its listed tokens is not
    seen.) Where the model would have written something else than a label, the labels are still
    ranked, and `stray_token` says so. Equal probabilities go by a hash of the item's id.
    """
    likely = log_probabilities(text, question.labels)
    if not likely:
        return Parsed((), "invalid", ("no_answer",))
    k, m = question.k, len(question.labels)
    places = sorted(
        (question.labels.index(label) for label in likely),
        key=lambda i: (-likely[question.labels[i]], seeded_hash(question.shown[i].id)),
    )
    unlisted = ("unlisted",) if len(places) < m else ()
    stray = () if wrote_label(text, question.labels) else ("stray_token",)
    if len(places) < k:
        return Parsed(tuple(places), "partial", ("short", *unlisted, *stray))
    edge = [likely[question.labels[i]] for i in places[k - 1 : k + 1]]
    tied = ("tied",) if len(edge) == 2 and edge[0] == edge[1] else ()
    ranking = None if unlisted else tuple(places)
    status: Status = "repaired" if stray else "ok"
    return Parsed(tuple(places[:k]), status, (*unlisted, *stray, *tied), ranking)


def wrote_label(text: str, labels: Sequence[str]) -> bool:
    """Whether the token that was generated is one of `labels`."""
    try:
        token = json.loads(text)["token"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return isinstance(token, str) and label_in(token) in labels


def _listed(text: str) -> list[Listed]:
    """The list in the text of a reply; empty if there is none."""
    try:
        pairs = json.loads(text)["top_logprobs"]
        return [(token, float(value)) for token, value in pairs if isinstance(token, str)]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return []


def log_probabilities(text: str, labels: Sequence[str]) -> Mapping[str, float]:
    """The log-probability of every label that is listed in the text of a reply."""
    by_label: dict[str, list[float]] = {}
    for token, value in _listed(text):
        if math.isfinite(value) and (label := label_in(token)) in labels:
            by_label.setdefault(label, []).append(value)
    return {label: _log_sum_exp(values) for label, values in by_label.items()}


def _log_sum_exp(values: Sequence[float]) -> float:
    largest = max(values)
    return largest + math.log(sum(math.exp(value - largest) for value in values))
