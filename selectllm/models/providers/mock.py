"""Scripted models, `mock/NAME`: for trying out and for tests; they cost nothing.

mock/first       picks the first k candidates as shown
mock/random      picks k at random, by seed and cluster
mock/oracle      picks the k best by a utility
mock/reply:TEXT  answers TEXT, whatever is asked

They answer in the prompt's own reply format, or with log-probabilities if asked for those, so
that their replies go the whole way through the parser. They are never cached: the oracle's
answer depends on more than the request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from selectllm.core.codec import seeded_hash
from selectllm.core.errors import ModelError
from selectllm.core.types import Question, Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.token_logprobs import as_text
from selectllm.models.tokens import estimate_tokens

REPLY = "reply:"

Write = Callable[[Question, Sequence[int]], str]


class MockModel:
    """The model that `spec.id` names; `utility` is what mock/oracle picks by.

    `write(question, preference)`: a reply that prefers positions in this order; in the form that
    the prompt asks for it is prompting.replies.formats.write_reply, without it a list of labels.
    Raises ModelError for an unknown name, and for mock/oracle without a utility.
    """

    def __init__(
        self,
        spec: ModelSpec,
        utility: Mapping[str, float] | None = None,
        write: Write | None = None,
    ) -> None:
        name = spec.id.removeprefix("mock/")
        if name.startswith(REPLY):
            self._answer: Callable[[Request], str] = lambda request: name.removeprefix(REPLY)
        elif name == "oracle" and utility is None:
            raise ModelError(f"{spec.id} needs a utility to pick by. Name one in the suite")
        elif name in ("first", "random", "oracle"):
            self._answer = lambda request: _written(
                request, _preference(name, request, utility or {}), write or picks_in_brackets
            )
        else:
            raise ModelError(
                f"{spec.id} is not a scripted model. There are mock/first, mock/random, "
                "mock/oracle and mock/reply:TEXT"
            )

    async def complete(self, request: Request) -> Reply:
        """The scripted reply; tokens are estimates, cost is 0."""
        text = self._answer(request)
        return Reply(
            text=text,
            tokens_in=estimate_tokens(request.messages),
            tokens_out=estimate_tokens(text) if request.top_logprobs is None else 1,
            cost_usd=0.0,
        )

    async def close(self) -> None:
        """Nothing was opened."""


def _preference(name: str, request: Request, utility: Mapping[str, float]) -> list[int]:
    positions = list(range(len(request.question.shown)))
    ids = [item.id for item in request.question.shown]
    if name == "random":
        return sorted(positions, key=lambda p: seeded_hash("mock", request.seed, *ids, ids[p]))
    if name == "oracle":
        missing = [item_id for item_id in ids if item_id not in utility]
        if missing:
            raise ModelError(f"mock/oracle: the utility has no value for {missing[0]}")
        return sorted(positions, key=lambda p: -utility[ids[p]])
    return positions


def _written(request: Request, preference: Sequence[int], write: Write) -> str:
    """The reply to a request, as text or as log-probabilities, each place half the last."""
    if request.top_logprobs is None:
        return write(request.question, preference)
    labels = [request.question.labels[position] for position in preference]
    listed = [(label, -math.log(2) * place) for place, label in enumerate(labels, start=1)]
    return as_text(labels[0], listed[: request.top_logprobs])


def picks_in_brackets(question: Question, preference: Sequence[int]) -> str:
    """The first k labels of a preference as a list."""
    return f"[{', '.join(question.labels[position] for position in preference[: question.k])}]"
