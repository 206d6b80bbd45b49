"""Replies as JSON: the rows of the cache and the lines of packs."""

from __future__ import annotations

from typing import Any

from selectllm.core.codec import canonical_json, json_text, sha256_json, sha256_text
from selectllm.core.types import Reply
from selectllm.models.wrappers.asked import NewerFormat, is_newer


def cache_row(model: str, at: float, reply: Reply) -> dict[str, Any]:
    """What the cache keeps of a reply; `sha256`: of its fields, for what no database notices."""
    fields = reply_fields(reply)
    return {"model": model, "at": at, "reply": fields, "sha256": sha256_json(fields)}


def cache_text(model: str, at: float, reply: Reply) -> str:
    """`cache_row` as canonical JSON, in which the reply is written once for both of its uses."""
    fields = canonical_json(reply_fields(reply))
    sha256 = sha256_text(fields)
    return f'{{"at":{at!r},"model":{json_text(model)},"reply":{fields},"sha256":"{sha256}"}}'


def checked_reply(row: Any, text: str = "") -> Reply:
    """The reply of a whole row, which need not have a `sha256`.

    `text`: what the row was read from; its reply is not written anew if that has its hash.
    Raises NewerFormat for a row of a later version, ValueError for any other.
    """
    if is_newer(row):
        raise NewerFormat("of a newer format")
    match row:
        case {"model": str(), "at": float(), "reply": fields}:
            reply = reply_from(fields, cached=True)
            sha256 = row.get("sha256")
            if sha256 not in (None, _sha256_in(text)) and sha256 != sha256_json(fields):
                raise ValueError("not the reply that was kept")
            return reply
    raise ValueError("not a reply")


def _sha256_in(text: str) -> str:
    """Of the reply as it stands in the text of a row."""
    start = text.find(',"reply":') + len(',"reply":')
    return sha256_text(text[start : text.rfind(',"sha256":')])


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
