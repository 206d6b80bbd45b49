"""The JSON lines of a batch in OpenAI's form: questions out, answers back. Pure.

`vllm run-batch`, gateways and every service that copies OpenAI's Batch API read and write the same
lines: `custom_id`, `method`, `url` and `body` of a question; `custom_id`, `response` with
`status_code` and `body`, or `error`, of an answer. Our `custom_id` is the request's key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.answers import Answered, read_heard
from selectllm.models.providers.body import Heard, at, json_of
from selectllm.models.providers.failures import NOT_JSON, Fault, refused
from selectllm.models.providers.openai_body import body_of

Outcome = Answered | Fault
CHAT = "/v1/chat/completions"
UNANSWERED = ("batch_expired", "batch_cancelled", "batch_canceled")
NO_ANSWER = Fault("busy", "the batch came back without an answer to this question")
"""Of a question whose line is missing. Nothing was billed, and it may be asked again."""


@dataclass
class BatchAnswers:
    """What a batch brought back.

    `outcomes`: by `custom_id`, the first one that answers. `doubled`: lines beyond the first of
    their `custom_id`; `garbage`: lines that are no answers at all.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    doubled: int = 0
    garbage: int = 0

    def unknown(self, asked: Collection[str]) -> list[str]:
        """The ids that nobody asked."""
        return [each for each in self.outcomes if each not in asked]

    def add(self, custom_id: str, outcome: Outcome) -> None:
        """Keep an outcome; an answer goes over a fault, and of two answers the first is kept."""
        before = self.outcomes.get(custom_id)
        self.doubled += before is not None
        if before is None or (isinstance(before, Fault) and isinstance(outcome, Answered)):
            self.outcomes[custom_id] = outcome


def question_line(spec: ModelSpec, request: Request, url: str = CHAT) -> bytes | Fault:
    """The line that asks `request`, with its line end; a Fault for what the model does not take."""
    body = body_of(spec, request)
    if isinstance(body, Fault):
        return body
    return line_of(request.key, body, url)


def line_of(key: str, body: bytes, url: str = CHAT) -> bytes:
    """The line that sends `body` under the key of its request."""
    head = {"custom_id": key, "method": "POST", "url": url}
    return json.dumps(head).encode()[:-1] + b', "body": ' + body + b"}\n"


def read_answers(
    lines: Iterable[bytes], answers: BatchAnswers, read: Callable[[Any], Outcome | None]
) -> None:
    """Add the answers in `lines` to `answers`; `read` reads a line's JSON, None if it is none."""
    for line in lines:
        if not line.strip():
            continue
        row = json_of(line)
        custom_id, outcome = at(row, "custom_id"), read(row)
        if not isinstance(custom_id, str) or outcome is None:
            answers.garbage += 1
        else:
            answers.add(custom_id, outcome)


def openai_outcome(row: Any) -> Outcome | None:
    """What a line of OpenAI's form answers; None if it is no such line."""
    response, error = at(row, "response"), at(row, "error")
    status = at(response, "status_code")
    if isinstance(status, int) and not isinstance(status, bool):
        heard = Heard(status, {}, json.dumps(at(response, "body")).encode())
        if status >= 300:
            return refused(heard)
        return read_heard([heard]) or Fault("broken", NOT_JSON, 200)
    if at(error, "code") in UNANSWERED:
        return Fault("busy", str(at(error, "message") or at(error, "code")))
    if error:
        return refused(Heard(400, {}, json.dumps({"error": error}).encode()))
    return None
