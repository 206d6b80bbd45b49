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
differs only where the draw lies between the two, as a model does that got better or worse. Under a
vote the id takes the place of the name: several votes of one picker combine the same ballots.

mock/skill:S,first:B,invalid:I has two faults as well. With probability I the answer to a question
is of no use, however often it is asked again; else with probability B it prefers what is shown
first. The same items in another order are another question, with draws of its own. Shown whole
clusters once it captures S x (1 - B) x (1 - I) on average.

Asked about one item or a few at a time, the oracle and mock/skill:S go by the one ranking that they
have of the whole cluster: by its place in it an item is put on a scale. Others have no opinion of
an item by itself, and put all of them in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from selectllm.core.codec import seeded_hash
from selectllm.core.errors import ModelError
from selectllm.core.types import Item, Question, Reply
from selectllm.models.model import ModelSpec, Request
from selectllm.models.token_logprobs import as_text
from selectllm.models.tokens import estimate_tokens

REPLY = "reply:"
SKILL = "skill:"
NO_ANSWER = "None of them stands out."

Write = Callable[[Question, Sequence[int]], str]
Ranking = Callable[[Request], Sequence[str] | None]
"""The ids of items, the best first, those shown among them; None for an answer of no use."""


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
        ranking = _ranking(spec, name, utility)
        self._answer = lambda request: _written(
            request, ranking(request), write or picks_in_brackets
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


def _ranking(spec: ModelSpec, name: str, utility: Mapping[str, float] | None) -> Ranking:
    if name == "first":
        return lambda request: _ids(request.question.shown)
    if name == "random":
        return _at_random
    if name != "oracle" and not name.startswith(SKILL):
        raise ModelError(
            f"{spec.id} is not a scripted model. There are mock/first, mock/random, "
            "mock/oracle, mock/skill:S and mock/reply:TEXT"
        )
    shares = _shares(spec.id, name) if name != "oracle" else {}
    if utility is None:
        raise ModelError(
            f"{spec.id} picks by a utility, and there is none. Name one in the suite, or "
            "use mock/first or mock/random"
        )
    if not shares:
        return lambda request: _best_first(spec, request, utility)
    return lambda request: _with_skill(spec, shares, request, utility)


def _shares(model_id: str, name: str) -> dict[str, float]:
    """The shares that the name of a skilled picker gives: `skill`, `first`, `invalid`."""
    shares: dict[str, float] = {}
    for part in name.split(","):
        what, _, written = part.partition(":")
        if what not in ("skill", "first", "invalid") or what in shares:
            raise ModelError(
                f"{model_id}: {part!r} is not a setting of a simulated picker. Write for "
                "example mock/skill:0.8,first:0.2,invalid:0.05"
            )
        shares[what] = _share(model_id, what, written)
    return shares


def _share(model_id: str, what: str, written: str) -> float:
    try:
        share = float(written)
    except ValueError:
        share = math.nan
    if 0 <= share <= 1:
        return share
    if what == "skill":
        raise ModelError(
            f"{model_id}: the skill {written!r} is not a number from 0 (picks at random) to 1 "
            "(picks the best); write for example mock/skill:0.8"
        )
    raise ModelError(f"{model_id}: {what}: {written!r} is not a share from 0 to 1")


def _ids(items: Sequence[Item]) -> list[str]:
    return [item.id for item in items]


def _at_random(request: Request) -> list[str]:
    ids = _ids(request.question.shown)
    return sorted(ids, key=lambda item_id: seeded_hash("mock", request.seed, *ids, item_id))


def _candidates(request: Request) -> list[str]:
    """The ids of the whole cluster, of which a question may show a part."""
    return _ids(request.question.cluster or request.question.shown)


def _best_first(spec: ModelSpec, request: Request, utility: Mapping[str, float]) -> list[str]:
    ids = _candidates(request)
    _check_rated(spec, ids, utility)
    return sorted(ids, key=lambda item_id: -utility[item_id])


def _with_skill(
    spec: ModelSpec, shares: Mapping[str, float], request: Request, utility: Mapping[str, float]
) -> list[str] | None:
    ids, shown = _candidates(request), _ids(request.question.shown)
    _check_rated(spec, ids, utility)

    name = spec.id if spec.vote else spec.name

    def happens(share: str, what: str, of: Sequence[str]) -> bool:
        drawn = seeded_hash(what, name, request.seed, *of)
        return drawn < shares.get(share, 0.0) * 2**64

    if happens("invalid", "invalid", shown):
        return None
    if not request.question.scale and happens("first", "biased", shown):
        return shown
    source: list[str | int] = [name, request.seed, *sorted(ids)]
    by_chance = {item_id: seeded_hash("skill", *source, item_id) for item_id in ids}
    if not happens("skill", "skilled", sorted(ids)):
        return sorted(ids, key=by_chance.__getitem__)
    return sorted(ids, key=lambda item_id: (-utility[item_id], by_chance[item_id]))


def _check_rated(spec: ModelSpec, ids: Sequence[str], utility: Mapping[str, float]) -> None:
    if missing := [item_id for item_id in ids if item_id not in utility]:
        raise ModelError(
            f"{spec.id}: the utility has no value for item {missing[0]}. Use a utility that "
            "has a value for every item"
        )


def _written(request: Request, ranking: Sequence[str] | None, write: Write) -> str:
    """The reply to a request, as text or as log-probabilities, each place half the last."""
    question, most = request.question, request.top_logprobs
    if ranking is None:
        return NO_ANSWER if most is None else as_text(NO_ANSWER.split()[0], [])
    shown = _ids(question.shown)
    if question.scale:
        others = len(ranking) - 1
        return _point(question, 1 - ranking.index(shown[0]) / others if others else 0.5)
    place = {item_id: rank for rank, item_id in enumerate(ranking)}
    preference = sorted(range(len(shown)), key=lambda position: place[shown[position]])
    if most is None:
        return write(question, preference)
    labels = [question.labels[position] for position in preference]
    listed = [(label, -math.log(2) * place) for place, label in enumerate(labels, start=1)]
    return as_text(labels[0], listed[:most])


def _point(question: Question, share: float) -> str:
    """Log-probabilities of the two points whose mean is `share` of the way along the scale."""
    low, high = min(question.scale), max(question.scale)
    aim = low + share * (high - low)
    below = max(value for value in question.scale if value <= aim)
    above = min(value for value in question.scale if value >= aim)
    weight = (aim - below) / (above - below) if above > below else 0.0
    label_of = dict(zip(question.scale, question.labels, strict=True))
    likely = [(label_of[below], 1 - weight), (label_of[above], weight)]
    listed = [(label, math.log(p)) for label, p in likely if p > 0]
    return as_text(max(likely, key=lambda pair: pair[1])[0], listed)


def picks_in_brackets(question: Question, preference: Sequence[int]) -> str:
    """The first k labels of a preference as a list."""
    return f"[{', '.join(question.labels[position] for position in preference[: question.k])}]"
