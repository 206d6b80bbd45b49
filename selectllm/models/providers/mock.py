"""Scripted models, `mock/NAME`: for trying out and for tests; they cost nothing.

mock/first       picks the first k candidates as shown
mock/random      picks k at random, by seed and cluster
mock/oracle      picks the k best by a utility
mock/skill:S     a simulated picker of known skill, S from 0 to 1: see below
mock/reply:TEXT  answers TEXT, whatever is asked

They answer in the prompt's own reply format, or with log-probabilities if asked for those, so
that their replies go the whole way through the parser. They are never cached: the oracle's
answer depends on more than the request.

mock/skill:S draws for each decision: with probability S it ranks the items of the cluster as the
oracle does, else at random (and items of equal utility always at random). The picks of a cluster
so capture S on average, whatever its size, the number of picks and the utility: S x 1, what the
oracle captures, plus (1 - S) x 0, what chance does. The draws come from the ids of the items, the
seed and the model's name alone: the order in which items are shown and the prompt change nothing,
models of different names are independent, and a model that keeps its name and gets another S
differs only where the draw lies between the two, as a model does that got better or worse.
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
SKILL = "skill:"

Write = Callable[[Question, Sequence[int]], str]
Preference = Callable[[Request], list[int]]


class MockModel:
    """The model that `spec.id` names; `utility` is what mock/oracle and mock/skill:S pick by.

    `write(question, preference)`: a reply that prefers positions in this order; in the form that
    the prompt asks for it is prompting.replies.formats.write_reply, without it a list of labels.
    Raises ModelError for an unknown name, for a skill that is no number from 0 to 1, and for
    mock/oracle and mock/skill:S without a utility.
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
            return
        preference = _preference(spec, name, utility)
        self._answer = lambda request: _written(
            request, preference(request), write or picks_in_brackets
        )

    async def complete(self, request: Request) -> Reply:
        """The scripted reply; tokens are estimates, cost is 0."""
        text = self._answer(request)
        return Reply(
            text=text,
            tokens_in=request.tokens,
            tokens_out=estimate_tokens(text) if request.top_logprobs is None else 1,
            cost_usd=0.0,
        )

    async def close(self) -> None:
        """Nothing was opened."""


def _preference(spec: ModelSpec, name: str, utility: Mapping[str, float] | None) -> Preference:
    if name == "first":
        return lambda request: list(range(len(request.question.shown)))
    if name == "random":
        return _at_random
    if name != "oracle" and not name.startswith(SKILL):
        raise ModelError(
            f"{spec.id} is not a scripted model. There are mock/first, mock/random, "
            "mock/oracle, mock/skill:S and mock/reply:TEXT"
        )
    skill = _skill(spec.id, name.removeprefix(SKILL)) if name != "oracle" else None
    if utility is None:
        raise ModelError(f"{spec.id}: needs a utility to pick by; name one in the suite")
    if skill is None:
        return lambda request: _best_first(spec, request, utility)
    return lambda request: _with_skill(spec, skill, request, utility)


def _skill(model_id: str, written: str) -> float:
    try:
        skill = float(written)
    except ValueError:
        skill = math.nan
    if not 0 <= skill <= 1:
        raise ModelError(
            f"{model_id}: the skill {written!r} is not a number from 0 (picks at random) to 1 "
            "(picks the best); write for example mock/skill:0.8"
        )
    return skill


def _at_random(request: Request) -> list[int]:
    ids = [item.id for item in request.question.shown]
    drawn = [seeded_hash("mock", request.seed, *ids, item_id) for item_id in ids]
    return sorted(range(len(ids)), key=drawn.__getitem__)


def _best_first(spec: ModelSpec, request: Request, utility: Mapping[str, float]) -> list[int]:
    values = _values(spec, request, utility)
    return sorted(range(len(values)), key=lambda position: -values[position])


def _with_skill(
    spec: ModelSpec, skill: float, request: Request, utility: Mapping[str, float]
) -> list[int]:
    values = _values(spec, request, utility)
    ids = [item.id for item in request.question.shown]
    source: list[str | int] = [spec.name, request.seed, *sorted(ids)]
    drawn = [seeded_hash("skill", *source, item_id) for item_id in ids]
    if seeded_hash("skilled", *source) >= skill * 2**64:
        return sorted(range(len(ids)), key=drawn.__getitem__)
    return sorted(range(len(ids)), key=lambda position: (-values[position], drawn[position]))


def _values(spec: ModelSpec, request: Request, utility: Mapping[str, float]) -> list[float]:
    ids = [item.id for item in request.question.shown]
    missing = [item_id for item_id in ids if item_id not in utility]
    if missing:
        raise ModelError(f"{spec.id}: the utility has no value for {missing[0]}")
    return [utility[item_id] for item_id in ids]


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
