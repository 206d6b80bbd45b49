"""Anthropic's Message Batches: one POST with all questions, and a file of results.

A batch carries no name of ours. One that was sent by a process which did not live to note it is
found again by when it was created and how many questions it holds; whether it was ours its results
tell, whose `custom_id` are the keys of requests.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.answers import Answered
from selectllm.models.providers.batch_calls import PAGES, BatchCalls, BatchStatus, Sought
from selectllm.models.providers.batch_lines import BatchAnswers, Outcome, read_answers
from selectllm.models.providers.body import Heard, at, json_of, text_of, thinks
from selectllm.models.providers.endpoint import api_key, base_url
from selectllm.models.providers.failures import Fault, refused
from selectllm.models.providers.litellm import LiteLLMModel
from selectllm.models.providers.usage import Usage, usage_of
from selectllm.models.providers.waits import provider_now
from selectllm.models.providers.wordings import finish_word

_ROOT = "https://api.anthropic.com"
_VERSION = "2023-06-01"
_BATCHES = "/v1/messages/batches"
_COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that goes with each of Anthropic's kinds of errors."""
_CLOCKS = 600.0  # seconds by which a clock may be put right between sending and looking


class AnthropicBatches:
    """Message batches of Anthropic, or of a server that has them under the same paths.

    `environment`: where keys and base URLs are looked up. What is asked is written by litellm, as
    for every other call. Raises ModelError as LiteLLMModel does.
    """

    most = 100_000
    most_bytes = 256_000_000

    def __init__(self, spec: ModelSpec, environment: Mapping[str, str]) -> None:
        self._model = LiteLLMModel(spec, environment=environment)
        self._beta = ""
        self._headers = {
            "Accept": "application/json",
            "x-api-key": api_key(spec, environment) or "none",
            "anthropic-version": _VERSION,
        }
        root = (base_url(spec, environment) or _ROOT).strip().rstrip("/")
        root = root.removesuffix("/v1/messages").removesuffix("/v1")
        self._calls = BatchCalls(spec, environment, root, self._headers)

    async def line(self, request: Request) -> bytes:
        """The question as an element of a batch."""
        written = await self._model.written(request)
        self._beta = written.headers.get("anthropic-beta", self._beta)
        head = json.dumps({"custom_id": request.key})
        return head[:-1].encode() + b', "params": ' + written.body + b"}"

    async def upload(self, name: str, lines: Sequence[bytes]) -> str | None:
        """There is nothing to upload first."""
        return None

    async def create(self, name: str, file: str | None, lines: Sequence[bytes]) -> str:
        """Have the questions answered, within 24 hours."""
        body = b'{"requests": [' + b",".join(lines) + b"]}"
        beta = {"anthropic-beta": self._beta} if self._beta else {}
        heard = await self._calls.call("POST", _BATCHES, body, tries=1, headers=beta)
        return self._calls.id_of(json_of(heard.content), "batch")

    async def find(self, sought: Sought) -> str | None:
        """The newest batch of that time with so many questions, but for those that it is not.

        The time is that of the provider's clock, as its answer has it: this machine's may be hours
        off, and a batch that is not found would be paid for twice.
        """
        after = ""
        for _ in range(PAGES):
            heard = await self._calls.call("GET", f"{_BATCHES}?limit=100{after}")
            data, now = json_of(heard.content), provider_now(heard.headers)
            begun = sought.at + now - time.time()
            rows = at(data, "data")
            rows = rows if isinstance(rows, list) else []
            for row in rows:
                if at(row, "id") not in sought.others and _fits(row, sought.count, begun, now):
                    return self._calls.id_of(row, "batch")
            old = rows and _created(rows[-1]) < begun - _CLOCKS
            if old or not (rows and at(data, "has_more")):
                return None
            after = f"&after_id={quote(str(at(rows[-1], 'id')))}"
        return None

    async def status(self, batch: str) -> BatchStatus:
        """As the provider has it."""
        data = await self._calls.data("GET", f"{_BATCHES}/{quote(batch)}")
        word, counts = str(at(data, "processing_status")), _counts(data)
        total = sum(counts.values())
        return BatchStatus(
            id=batch,
            word=word,
            ended=word == "ended",
            stopped=word == "ended" and counts["canceled"] > 0,
            total=total,
            done=total - counts["processing"],
            files=("results",),
        )

    async def answers(self, status: BatchStatus) -> BatchAnswers:
        """Its results."""
        answers = BatchAnswers()
        heard = await self._calls.call("GET", f"{_BATCHES}/{quote(status.id)}/results")
        read_answers(heard.content.split(b"\n"), answers, anthropic_outcome)
        return answers

    async def close(self) -> None:
        """Close the connections."""
        await self._model.close()
        await self._calls.client.close()


def anthropic_outcome(row: Any) -> Outcome | None:
    """What a line of results answers; None if it is no such line."""
    result = at(row, "result")
    kind, message = at(result, "type"), at(result, "message")
    if kind == "succeeded" and isinstance(message, Mapping):
        usage = usage_of(message) or Usage(None, None)
        finish = finish_word(message.get("stop_reason"))
        if finish not in ("refused", "length", "broken"):
            finish = "tool_calls" if finish == "tool_use" else "stop"
        text = text_of(message.get("content"))
        return Answered(text, finish, usage, thought=thinks(message))
    if kind == "errored":
        error = at(result, "error")
        inner = at(error, "error") or error
        status = _STATUSES.get(str(at(inner, "type")), 400)
        return refused(Heard(status, {}, json.dumps({"error": inner}).encode()))
    if kind in ("canceled", "expired"):
        return Fault("busy", f"the batch was {kind} before this question was answered")
    return None


def _fits(row: Any, count: int, begun: float, now: float) -> bool:
    """Whether a batch may be the one of `count` questions; the times are the provider's."""
    recent = begun - _CLOCKS <= _created(row) <= max(now, begun) + _CLOCKS
    return recent and sum(_counts(row).values()) == count


def _created(row: Any) -> float:
    """When a batch was created, as Unix seconds; 0 if the row does not say."""
    with contextlib.suppress(TypeError, ValueError):
        return datetime.fromisoformat(str(at(row, "created_at"))).timestamp()
    return 0.0


def _counts(row: Any) -> dict[str, int]:
    counts = at(row, "request_counts")
    return {name: int(at(counts, name) or 0) for name in _COUNTS}
