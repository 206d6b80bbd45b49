"""Open-endedness: how many different things a model says when it answers an item three times.

A baseline of SelectLLM (arXiv 2401.16553): the number of different bigrams in three sampled
replies. An instruction with one right answer has few, one that can be taken many ways has many.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from selectllm.core.errors import ModelError
from selectllm.core.types import Attempt, Item, Question, Status
from selectllm.models.connect import Connections, connect, request_endpoint, settled
from selectllm.models.model import Model, ModelSpec, Request
from selectllm.selection.ask import fits, tried
from selectllm.selection.scorers.ask_items import Rated, Tick, no_tick, one_by_one
from selectllm.selection.scorers.item_scorer import Ahead, ItemScorer, Measured, Meter, answered
from selectllm.selection.task import AskSettings

REPLIES = 3
MAX_TOKENS = 128  # of one reply, whatever the model's entry says: the count grows with the length
TEMPERATURE = 0.7  # of a model whose entry says 0, where the replies would all be the same

# Ideographs and kana stand without spaces between words: each counts as a word.
_KANA = "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff"
_UNSPACED = _KANA + "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def unique_bigrams(replies: Sequence[str]) -> int:
    """How many different pairs of neighbouring words the replies hold between them; at least 0.

    A word is a run of letters, digits and underscores in any script, without regard to case, or
    one Chinese or Japanese character. No pair spans two replies.
    """
    words = ([word.casefold() for word in _WORD.findall(reply)] for reply in replies)
    return len({pair for each in words for pair in pairwise(each)})


@dataclass(frozen=True, slots=True)
class Sampler:
    """A model that answers items rather than selects them; `endpoint` as in selector.Selector.

    Raises ModelError if the model's temperature is 0. None leaves it to the provider, which then
    samples.
    """

    spec: ModelSpec
    model: Model
    endpoint: str | None = None

    def __post_init__(self) -> None:
        """Check the temperature."""
        if self.spec.temperature == 0:
            raise ModelError(
                f"{self.spec.name}: at temperature 0 all replies to an item are the same, which "
                f"says nothing of its open-endedness. Set it to {TEMPERATURE:g}, say"
            )


def open_sampler(spec: ModelSpec, shared: Connections, temperature: float = TEMPERATURE) -> Sampler:
    """The model of `spec` ready to be sampled; at `temperature` if its entry says 0, the default.

    Raises ModelError for a name or setting that cannot work.
    """
    spec = settled(spec, shared.base)
    if spec.temperature == 0:
        spec = replace(spec, temperature=temperature)
    endpoint = request_endpoint(spec, shared)
    return Sampler(spec, connect(spec, shared), endpoint)


async def open_endedness(
    items: Sequence[Item],
    sampler: Sampler,
    settings: AskSettings,
    tick: Tick = no_tick,
    seed: int = 0,
) -> dict[str, Rated]:
    """`unique_bigrams` of the replies to every item by its id; higher is more open-ended.

    REPLIES calls an item, one after the other, and `settings.concurrency` items at once; a reply
    cut off at MAX_TOKENS is as good as any. NaN for an item that does not fit the model's context
    or had a reply that was refused or empty: two replies do not compare with three, so that no
    more are asked for. Nothing depends on the order of `items`. `seed`: the run's.

    Raises ProviderError when an item could not be asked about, after all others were;
    BudgetReached, ReplyMissing (see one_by_one).
    """

    async def measure(item: Item) -> Rated:
        return await sampled(sample_requests(item, sampler, seed), sampler, count)

    def count(replies: Sequence[str]) -> float:
        return float(unique_bigrams(replies))

    asked = f"open-endedness with {sampler.spec.name}"
    return await one_by_one(items, measure, asked, settings.concurrency, tick)


def sample_requests(
    item: Item, sampler: Sampler, seed: int = 0, replies: int = REPLIES
) -> tuple[Request, ...]:
    """The calls that one item takes: its text and nothing else, each with a seed of its own."""
    return tuple(
        Request(
            model=sampler.spec,
            messages=({"role": "user", "content": item.text},),
            question=Question((item,), ("1",), 1, "indices"),
            endpoint=sampler.endpoint,
            max_tokens=MAX_TOKENS,
            seed=seed + repeat,
            repeat=repeat,
        )
        for repeat in range(replies)
    )


async def sampled(
    requests: Sequence[Request], sampler: Sampler, value: Callable[[Sequence[str]], float]
) -> Rated:
    """What `value` makes of the replies to the requests; NaN as soon as one cannot be used."""
    if not fits(requests[0]):
        return Rated(math.nan, (), "invalid", ("too_long",))
    attempts: list[Attempt] = []
    for request in requests:
        reply = await sampler.model.complete(request)
        attempts += tried(request, reply)
        if problem := problem_of(reply.text, reply.finish_reason):
            status: Status = "refused" if problem == "refused" else "invalid"
            return Rated(math.nan, tuple(attempts), status, (problem,))
    given = [each.reply for each in attempts if each.kind is None]
    return Rated(value(given), tuple(attempts), "ok")


def problem_of(text: str, finish_reason: str) -> str | None:
    """Why a reply does not count (a word of parse.PROBLEMS), None if it does."""
    if finish_reason in ("refused", "too_long"):
        return finish_reason
    return None if text.strip() else "empty"


@dataclass(frozen=True)
class OpenEndednessScorer(ItemScorer):
    """The open-endedness of every item, by replies of the model called `of`."""

    of: str
    name = "open-endedness"
    calls_per_item = REPLIES

    def check(self, items: Sequence[Item], meter: Meter) -> None:
        """Raise ModelError or UsageError for a model that cannot be sampled."""
        self._sampler(meter)

    def describe(self, meter: Meter) -> Mapping[str, Any]:
        """The model's settings."""
        sampler = self._sampler(meter)
        return {"model": sampler.spec.recorded(sampler.endpoint)}

    def problems(self, reply: Attempt, meter: Meter) -> Sequence[str]:
        """That it is empty, or was refused."""
        problem = problem_of(reply.reply, reply.finish_reason)
        return () if problem is None else (problem,)

    async def score(self, items: Sequence[Item], meter: Meter) -> Measured:
        """See `open_endedness`."""
        sampler, tick = self._sampler(meter), meter.tick(len(items))
        asked = open_endedness(items, sampler, meter.settings, tick, meter.seed)
        return await answered(sampler.model, asked)

    def ahead(self, items: Sequence[Item], meter: Meter) -> Ahead:
        """REPLIES requests an item."""
        sampler = self._sampler(meter)
        requests = [one for item in items for one in sample_requests(item, sampler, meter.seed)]
        return Ahead(sampler.spec, requests=requests)

    def _sampler(self, meter: Meter) -> Sampler:
        return open_sampler(meter.spec(self.of), meter.shared)
