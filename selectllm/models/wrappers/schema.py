"""A line of a reply pack, typed; nothing here computes.

Packs and the cache have a reply for every call that was ever made, so they are written and read
as plain rows (cache.py, recorded.py); the JSON Schema is generated from these types.
"""

from __future__ import annotations

from pydantic import ConfigDict

from selectllm.core.document import Document, Part
from selectllm.core.figures import Amount, Number, Sha256


class RecordedReply(Part):
    """A reply, with the tokens, cost and time that it took when it was made.

    A figure is null if the provider did not report it, or if the model has no known price.
    """

    text: str
    finish_reason: str
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: Number | None
    seconds: Amount


class RecordedRequest(Document):
    """One request, by its hash, and the reply to it."""

    model_config = ConfigDict(title="one line of a reply pack")

    key: Sha256
    model: str
    reply: RecordedReply
