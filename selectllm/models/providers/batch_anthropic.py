"""Anthropic's Message Batches: one POST with all questions, and a file of results.

A batch carries no name of ours. One that was sent by a process which did not live to note it is
found again among those made since, by how many questions it holds; whether it was ours its results
tell, whose `custom_id` are the keys of requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from selectllm.core.errors import ProviderError
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.answers import Answered
from selectllm.models.providers.batch_calls import PAGES, UNLISTED, BatchCalls, BatchStatus, Sought
from selectllm.models.providers.batch_lines import BatchAnswers, Outcome, read_answers
from selectllm.models.providers.body import Heard, at, json_of, text_of, thinks
from selectllm.models.providers.endpoint import api_key, base_url
from selectllm.models.providers.failures import Fault, refused
from selectllm.models.providers.litellm import LiteLLMModel
from selectllm.models.providers.usage import Usage, usage_of
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
        """There is nothing to upload first; the newest batch there is, "" if there is none.

        None where the server lists no batches.
        """
        try:
            newest = at(await self._calls.data("GET", f"{_BATCHES}?limit=1"), "data")
        except ProviderError as error:
            if error.status in UNLISTED:
                return None
            raise
        return self._calls.id_of(newest[0], "batch") if newest else ""

    async def create(self, name: str, file: str | None, lines: Sequence[bytes]) -> str:
        """Have the questions answered, within 24 hours."""
        body = b'{"requests": [' + b",".join(lines) + b"]}"
        beta = {"anthropic-beta": self._beta} if self._beta else {}
        heard = await self._calls.call("POST", _BATCHES, body, tries=1, headers=beta)
        return self._calls.id_of(json_of(heard.content), "batch")

    async def find(self, sought: Sought) -> str | None:
        """The newest batch with so many questions that is none of `others`.

        It is one that was made since, by the order of the list: clocks are set anew, and a batch
        that is not found would be paid for twice.
        """
        after = ""
        for _ in range(PAGES):
            data = await self._calls.data("GET", f"{_BATCHES}?limit=100{after}")
            rows = at(data, "data")
            for row in rows if isinstance(rows, list) else []:
                batch, count = at(row, "id"), sum(_counts(row).values())
                if batch == sought.file:
                    return None
                if count == sought.count and batch not in sought.others:
                    return self._calls.id_of(row, "batch")
            if not (rows and at(data, "has_more")):
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


def _counts(row: Any) -> dict[str, int]:
    counts = at(row, "request_counts")
    return {name: int(at(counts, name) or 0) for name in _COUNTS}
