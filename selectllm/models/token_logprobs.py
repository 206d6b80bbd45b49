"""Log-probabilities of first tokens: which are asked for, and how their lists become text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from selectllm.core.codec import canonical_json

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


def label_in(token: str) -> str:
    """The token without what may surround a label in it."""
    return token.strip(_AROUND)
