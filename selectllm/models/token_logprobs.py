"""Log-probabilities of tokens: which are asked for, and how their lists become text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from selectllm.core.codec import canonical_json, load_json

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
    rest = [pair for pair in ordered[MOST:] if label_in(pair[0]) in labels]
    return canonical_json({"token": token, "top_logprobs": [*ordered[:MOST], *rest]})


def as_tokens(text: str, each: Iterable[Sequence[Listed]]) -> str:
    """The text of a reply of which every token was listed: canonical JSON of text and numbers.

    `each`: what was listed in place of each token. Of each the MOST likeliest log-probabilities are
    kept, likeliest first, to six decimals; infinite and undefined ones are left out.
    """
    kept = [
        sorted((round(value, 6) for _, value in listed if math.isfinite(value)), reverse=True)
        for listed in each
    ]
    return canonical_json({"text": text, "logprobs": [values[:MOST] for values in kept if values]})


def tokens_in(reply: str) -> list[list[float]]:
    """The log-probabilities in a text of `as_tokens`, token by token; empty if it is none."""
    try:
        tokens = load_json(reply)["logprobs"]
        return [[float(value) for value in values] for values in tokens if values]
    except (ValueError, KeyError, TypeError):
        return []


def label_in(token: str) -> str:
    """The token without what may surround a label in it."""
    return token.strip(_AROUND)
