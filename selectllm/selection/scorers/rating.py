"""Pointwise rating: a model is shown one item at a time and scores it.

AlpaGasus (Chen et al. 2024, arXiv 2307.08701) keeps the items that a model scores highest, each
seen with its response. Here the prompt decides what is seen: `answered@1` shows the response as
AlpaGasus does, `quality@1` the instruction alone, for pools without responses. Published systems
make a reply without a score a number (-1, 0) or crash on it; here it is NaN, counted and never
picked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selectllm.core.errors import PromptError, UnfitError
from selectllm.core.names import listed
from selectllm.core.types import Attempt, Decision, Item, Parsed, unanswered
from selectllm.prompting.prompt import Prompt
from selectllm.prompting.replies.parse import parse
from selectllm.prompting.replies.scale import read_point
from selectllm.selection.ask import decide, question_of
from selectllm.selection.scorers.ask_items import Rated, Tick, no_tick, one_by_one
from selectllm.selection.scorers.item_scorer import Ahead, ItemScorer, Measured, Meter, answered
from selectllm.selection.selector import Selector, open_selector
from selectllm.selection.task import AskSettings, Task
from selectllm.selection.ways.following import following

__all__ = ["Rated", "RatingScorer", "check_rating", "rate", "rating_task"]


async def rate(
    items: Sequence[Item],
    selector: Selector,
    settings: AskSettings,
    tick: Tick = no_tick,
    seed: int = 0,
) -> dict[str, Rated]:
    """The score of every item by its id, each asked for by itself; higher is better.

    Values are on the scale that the prompt asks for, 1 to 10 in the bundled ones that are answered
    in text; a `local/` model cannot write any other. NaN where no reply, not even the last one
    asked for again, gave a valid score. Nothing depends on the order of `items`. `seed`: the run's.

    Raises as `check_rating` does before anything is sent; ProviderError when an item could not be
    asked about, after all others were; BudgetReached, ReplyMissing (see one_by_one).
    """
    check_rating(selector.prompt, items)

    async def measure(item: Item) -> Rated:
        return _rated(await decide(rating_task(item, selector, seed), settings), item, selector)

    asked = f"{selector.prompt.ref} with {selector.spec.name}"
    return await one_by_one(items, measure, asked, settings.concurrency, tick)


def check_rating(prompt: Prompt, items: Sequence[Item]) -> None:
    """Raise what keeps `prompt` from rating `items`.

    PromptError if it asks for anything but scores; UnfitError if it shows responses and an item
    has none, or a blank one.
    """
    if not (prompt.form.scores or prompt.form.shows == "item"):
        raise PromptError(
            f"{prompt.ref} asks for {prompt.reply}, and a rating needs scores. Use a prompt with "
            "`reply: scores`, such as quality@1, or `reply: digit`, such as point@1"
        )
    if not prompt.shows_responses:
        return
    if missing := unanswered(items):
        raise UnfitError(
            f"{prompt.ref} shows responses, and {len(missing)} of {len(items)} items have none: "
            f"{listed(missing)}. Fill them in, leave those items out, or rate instructions alone "
            "with quality@1"
        )


def rating_task(item: Item, selector: Selector, seed: int = 0) -> Task:
    """The decision that rates one item: a cluster of it alone."""
    return Task(selector, cluster=0, shown=(item,), k=1, seed=seed)


def _rated(decision: Decision, item: Item, selector: Selector) -> Rated:
    """The decision's score: that of its last reply, since only a reply without one is re-asked."""
    scores = None
    if decision.replies:
        scores = _read(decision.replies[-1], item, selector).scores
    value = math.nan if scores is None else scores[0]
    return Rated(value, decision.attempts, decision.status, decision.problems)


def _read(reply: Attempt, item: Item, selector: Selector) -> Parsed:
    question = question_of(following(rating_task(item, selector))[0])
    if question.scale:
        return read_point(reply.reply, question, False)
    return parse(reply.reply, question, reply.finish_reason)


@dataclass(frozen=True)
class RatingScorer(ItemScorer):
    """The rating of every item by the prompt and model of `of`, PROMPT+MODEL."""

    of: str
    name = "rating"
    calls_per_item = 1
    asks_again = True

    def check(self, items: Sequence[Item], meter: Meter) -> None:
        """Raise as `check_rating` does, and for a prompt or model that cannot be used."""
        check_rating(self._rater(meter).prompt, items)

    def describe(self, meter: Meter) -> Mapping[str, Any]:
        """The prompt's hash and the model's settings."""
        rater = self._rater(meter)
        model = rater.spec.recorded(rater.endpoint)
        return {"prompt_sha256": rater.prompt.sha256, "model": model}

    def problems(self, reply: Attempt, meter: Meter) -> Sequence[str]:
        """What keeps the reply from being a score."""
        parsed = _read(reply, Item("", ""), self._rater(meter))
        return parsed.problems if parsed.scores is None else ()

    async def score(self, items: Sequence[Item], meter: Meter) -> Measured:
        """See `rate`."""
        rater = self._rater(meter)
        return await answered(
            rater.model, rate(items, rater, meter.settings, meter.tick(len(items)))
        )

    def ahead(self, items: Sequence[Item], meter: Meter) -> Ahead:
        """One decision an item."""
        rater = self._rater(meter)
        return Ahead(rater.spec, rater, [rating_task(item, rater) for item in items])

    def _rater(self, meter: Meter) -> Selector:
        reference, _, model = self.of.partition("+")
        prompt = meter.library.load(reference, meter.base)
        return open_selector(prompt, meter.spec(model), meter.shared)
