"""Answers read from log-probabilities: one token is generated, and it ranks all candidates.

The labels are ranked by how likely each was to be that token, as FIRST does (Reddy et al. 2024,
arXiv 2406.15657) and the setwise likelihood of Zhuang et al. (2024, arXiv 2310.09497): a full
ranking for the price of one token. Pure; the edge gets the probabilities, see litellm_model.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence

from selectllm.codec import canonical_json, seeded_hash
from selectllm.types import Parsed, Question, Status

Listed = tuple[str, float]
"""A token and its natural log-probability."""

MOST = 20
"""The most likely tokens that a provider is asked for: OpenAI lists no more."""
MOST_OF_ENGINE = 1_000
"""The embedded engine lists what it may write before any constraint, where labels of a small
model stand far down: of 26 labels the last was at 272."""

# What may surround a label in a token: spaces, as tokenizers write them, and brackets.
_AROUND = " \t\r\n\u2581\u0120[](){}"


def as_text(token: str, listed: Iterable[Listed], labels: Sequence[str] = ()) -> str:
    """The text of a reply: canonical JSON of the generated token and the list, likeliest first.

    Infinite and undefined values are left out. Of more than MOST tokens the rest are kept only
    if they are labels.
    """
    finite = [pair for pair in listed if math.isfinite(pair[1])]
    ordered = sorted(finite, key=lambda pair: -pair[1])
    rest = [pair for pair in ordered[MOST:] if _label(pair[0]) in labels]
    return canonical_json({"token": token, "top_logprobs": [*ordered[:MOST], *rest]})


def parse_logprobs(text: str, question: Question) -> Parsed:
    """The k labels that were most likely, from the text of a reply. Never raises on any text.

    A label's probability is the sum of the tokens that are it, but for spaces and brackets
    around it; its case must match. Labels that no listed token is come after all that are, so
    that the picks are known if at least k are listed, and the ranking only if all m are: the
    problem `unlisted` says that some are not. (What a label had beside its listed tokens is not
    seen.) Where the model would have written something else than a label, the labels are still
    ranked, and `stray_token` says so. Equal probabilities go by a hash of the item's id.
    """
    found = _probabilities(_listed(text), question.labels)
    if not found:
        return Parsed((), "invalid", ("no_answer",))
    k, m = question.k, len(question.labels)
    places = sorted(
        (question.labels.index(label) for label in found),
        key=lambda i: (-found[question.labels[i]], seeded_hash(question.shown[i].id)),
    )
    unlisted = ("unlisted",) if len(places) < m else ()
    stray = () if _label(_token(text)) in question.labels else ("stray_token",)
    if len(places) < k:
        return Parsed(tuple(places), "partial", ("short", *unlisted, *stray))
    edge = [found[question.labels[i]] for i in places[k - 1 : k + 1]]
    tied = ("tied",) if len(edge) == 2 and edge[0] == edge[1] else ()
    ranking = None if unlisted else tuple(places)
    status: Status = "repaired" if stray else "ok"
    return Parsed(tuple(places[:k]), status, (*unlisted, *stray, *tied), ranking)


def _token(text: str) -> str:
    """The generated token; "" if there is none."""
    try:
        token = json.loads(text)["token"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return token if isinstance(token, str) else ""


def _listed(text: str) -> list[Listed]:
    """The list in the text of a reply; empty if there is none."""
    try:
        pairs = json.loads(text)["top_logprobs"]
        return [(token, float(value)) for token, value in pairs if isinstance(token, str)]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return []


def _probabilities(listed: Iterable[Listed], labels: Sequence[str]) -> Mapping[str, float]:
    """The log-probability of every label that is listed."""
    found: dict[str, list[float]] = {}
    for token, value in listed:
        if math.isfinite(value) and (label := _label(token)) in labels:
            found.setdefault(label, []).append(value)
    return {label: _log_sum_exp(values) for label, values in found.items()}


def _log_sum_exp(values: Sequence[float]) -> float:
    largest = max(values)
    return largest + math.log(sum(math.exp(value - largest) for value in values))


def _label(token: str) -> str:
    return token.strip(_AROUND)
