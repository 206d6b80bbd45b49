"""Replies as JSON: the rows of the cache and the lines of packs."""

from __future__ import annotations

from typing import Any

from selectllm.core.codec import sha256_json
from selectllm.core.types import Reply
from selectllm.models.wrappers.asked import NewerFormat, is_newer


def cache_row(model: str, at: float, reply: Reply) -> dict[str, Any]:
    """What the cache keeps of a reply; `sha256`: of its fields, for what no database notices."""
    fields = reply_fields(reply)
    return {"model": model, "at": at, "reply": fields, "sha256": sha256_json(fields)}


def checked_reply(row: Any) -> Reply:
    """The reply of a whole row, which need not have a `sha256`.

    Raises NewerFormat for a row of a later version, ValueError for any other.
    """
    if is_newer(row):
        raise NewerFormat("of a newer format")
    match row:
        case {"model": str(), "at": float(), "reply": fields}:
            reply = reply_from(fields, cached=True)
            if row.get("sha256") not in (None, sha256_json(fields)):
                raise ValueError("not the reply that was kept")
            return reply
    raise ValueError("not a reply")


def reply_fields(reply: Reply) -> dict[str, Any]:
    """A reply as JSON fields, without `cached`: that is about this run, not about the reply.

    `tokens_reasoning` is in it only if it is known: rows from before it was there stay as they are.
    """
    fields = {
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        "tokens_in": reply.tokens_in,
        "tokens_out": reply.tokens_out,
        "cost_usd": reply.cost_usd,
        "seconds": reply.seconds,
    }
    if reply.tokens_reasoning is not None:
        fields["tokens_reasoning"] = reply.tokens_reasoning
    return fields


REPLY_KEYS = reply_fields(Reply("")).keys()


def reply_from(fields: Any, *, cached: bool = False) -> Reply:
    """The inverse of `reply_fields`, marked as `cached`. Raises ValueError for anything else."""
    match fields:
        case {
            "text": str(),
            "finish_reason": str(),
            "tokens_in": int() | None,
            "tokens_out": int() | None,
            "cost_usd": int() | float() | None,
            "seconds": int() | float(),
        } if fields.keys() - {"tokens_reasoning"} == REPLY_KEYS:
            if not isinstance(fields.get("tokens_reasoning"), int | None):
                raise ValueError("not a reply")
            return Reply(**fields, cached=cached)
    raise ValueError("not a reply")
