"""What a run will ask and what that takes; everything is looked up, nothing is sent.

Every question goes through the loop's own `decide`, with a model that answers from recorded and
cached replies alone. What it has no reply to will have to be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from selectllm.core.errors import ReplyMissing
from selectllm.core.types import Decision, Message, Reply
from selectllm.evaluation.planning.prices import Priced
from selectllm.evaluation.planning.schema import CallPace, Outlay, PaceSource
from selectllm.evaluation.planning.tokenizer import own_tokenizer
from selectllm.models.model import ModelSpec, Price, Request
from selectllm.models.providers.providers import provider_of
from selectllm.models.tokens import MESSAGE_OVERHEAD, estimate_tokens
from selectllm.models.wrappers.budget import RESERVE_MARGIN
from selectllm.prompting.replies.formats import reply_format
from selectllm.selection.ask import counted, decide, supposed
from selectllm.selection.selector import Selector
from selectllm.selection.task import AskSettings, Task, calls_per_decision, reasks_of
from selectllm.selection.ways.following import calls_at, following

ESTIMATE = "estimate"
COMPLAINT = 120  # tokens that asking again adds to the prompt, at most, beside the reply

Recall = Callable[[str], Reply | None]
"""The recorded or cached reply to a request, by its key."""

Missing = tuple[Request, int]
"""A request without a reply, and how many of its question's requests were answered before it."""


@dataclass(frozen=True, slots=True)
class Unasked:
    """A call that will have to be made.

    `tokens_in`: of the prompt. `max_tokens`: of the reply. `usual`: tokens of a reply that just
    holds to the format. `left`: the calls that its question may take yet, this one included; each
    ballot of a vote is a question of its own.
    """

    tokens_in: int
    max_tokens: int
    usual: int
    left: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one pair will ask.

    `decisions`: clusters x orders x repeats. Of these are `known` those whose replies are all
    recorded or cached; `too_long` those whose prompt does not fit the context, which are never
    asked; the rest have calls in `unasked`. `perhaps`: further ballots of adaptive votes, which
    are asked where the first ones disagree. `tokens_by`: the tokenizer that counted, or `estimate`.
    `per_decision`: questions that a decision takes at most, the ballots of a vote aside.
    `answered`: items whose replies are cached where these are no decisions, such as texts.
    """

    prompt: str
    spec: ModelSpec
    decisions: int
    known: tuple[Decision, ...]
    too_long: int
    unasked: tuple[Unasked, ...]
    tokens_by: str
    perhaps: tuple[Unasked, ...] = ()
    per_decision: int = 1
    answered: int = 0

    @property
    def cached(self) -> int:
        """Decisions, or items that are measured, whose replies are all recorded or cached."""
        return len(self.known) + self.answered


class Remembered:
    """A model that answers from memory, and keeps the last request that it has no reply to."""

    def __init__(self, recall: Recall) -> None:
        self._recall = recall
        self.answered = 0
        self.missing: Request | None = None

    async def complete(self, request: Request) -> Reply:
        """The reply from memory. Raises ReplyMissing."""
        reply = self._recall(request.key)
        if reply is None:
            self.missing = request
            raise ReplyMissing(f"no recorded or cached reply of {request.model.name}")
        self.answered += 1
        return reply

    async def close(self) -> None:
        """Nothing was opened."""


async def forecast(
    selector: Selector,
    tasks: Iterable[Task],
    settings: AskSettings,
    recall: Recall | None,
    counted_keys: set[str] | None = None,
) -> Forecast:
    """What the `tasks` of `selector` will ask. A scripted model is asked everything, always.

    `recall`: the replies that are known; None where all is asked anew, equal questions too.
    `counted_keys`: of requests that other forecasts count, to which those of this one are added:
    equal questions are asked once, whatever prompt, order or strategy they come from.
    """
    spec = selector.spec
    scripted = provider_of(spec).way == "scripted"
    recalled = None if scripted else recall
    known: list[Decision] = []
    keys = set[str]() if counted_keys is None else counted_keys
    missing: list[Missing] = []
    perhaps: list[Missing] = []
    too_long, per_decision = 0, 1
    tasks = list(tasks)
    for task in tasks:
        asked = await _asked(task, settings, recalled or (lambda key: None))
        if not task.ballots:
            per_decision = max(per_decision, len(asked.decisions))
        new = [*_new(asked.missing, keys)] if recalled else asked.missing
        missing += [*new, *new[-1:] * asked.more]
        perhaps += _new(asked.perhaps, keys) if recalled else asked.perhaps
        if asked.missing:
            continue
        if any(decision.attempts for decision in asked.decisions):
            known.append(counted(task, asked.decisions))
        else:
            too_long += 1
    count, tokens_by = _counting(spec, bool(missing))
    most = 1 + reasks_of(selector, settings.reask)

    def unasked(calls: Iterable[Missing]) -> tuple[Unasked, ...]:
        return tuple(
            Unasked(
                tokens_in=count(request.messages),
                max_tokens=request.max_tokens,
                usual=_usual(request),
                left=most - answered,
            )
            for request, answered in calls
        )

    return Forecast(
        prompt=selector.prompt.ref,
        spec=spec,
        decisions=len(tasks),
        known=tuple(known),
        too_long=too_long,
        unasked=unasked(missing),
        tokens_by=tokens_by,
        perhaps=unasked(perhaps),
        per_decision=per_decision,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the questions of one decision come to from memory.

    `decisions`: on all of them, an answer that is lacking `supposed`. `missing`: what has no reply;
    `more`: calls like the last of them that may follow, at most. `perhaps`: what has no reply
    either and is asked only if ballots that are missing disagree.
    """

    decisions: list[Decision]
    missing: list[Missing]
    perhaps: list[Missing]
    more: int = 0


async def _asked(task: Task, settings: AskSettings, recall: Recall) -> _Asked:
    """Every question that a decision takes.

    What comes next may depend on answers: supposed ones tell how many questions there are, and
    about how long they are; a tournament may take a few `more`. Of a vote's
    ballots all is known without.
    """
    asked = _Asked([], [], [])
    while questions := following(task, asked.decisions):
        for question in questions:
            answer = await _recalled(question, settings, recall)
            if not isinstance(answer, Decision):
                asked.missing.append(answer)
                answer = supposed(question)
            asked.decisions.append(answer)
        if asked.missing and task.ballots:
            further = task.ballots[len(asked.decisions) :]
            answers = [await _recalled(question, settings, recall) for question in further]
            asked.perhaps.extend(each for each in answers if not isinstance(each, Decision))
            return asked
    if asked.missing:
        most = calls_at(task.selector, len(task.shown), task.k)
        return replace(asked, more=most - len(asked.decisions))
    return asked


def _new(lacking: Iterable[Missing], keys: set[str]) -> Iterator[Missing]:
    """Those whose request is none of `keys`, to which it is added."""
    for request, answered in lacking:
        if request.key not in keys:
            keys.add(request.key)
            yield request, answered


async def _recalled(question: Task, settings: AskSettings, recall: Recall) -> Decision | Missing:
    """The decision on a question from memory, or the call that it lacks and those before it."""
    memory = Remembered(recall)
    remembering = replace(question, selector=replace(question.selector, model=memory))
    try:
        return await decide(remembering, settings)
    except ReplyMissing:
        assert memory.missing is not None
        return memory.missing, memory.answered


def _usual(request: Request) -> int:
    """Tokens of a reply that holds to the format and says nothing else."""
    form = reply_format(request.question.reply, request.question.folders)
    usual = form.tokens(request.question, constrained=request.grammar is not None)
    return min(request.max_tokens, usual)


def _counting(spec: ModelSpec, needed: bool) -> tuple[Callable[[Sequence[Message]], int], str]:
    """How to count the tokens of a chat, and the name of what counts."""
    tokenizer = own_tokenizer(spec.id) if needed and not provider_of(spec).free else None
    if tokenizer is None:
        return estimate_tokens, ESTIMATE
    counted = tokenizer.count

    def count(messages: Sequence[Message]) -> int:
        texts = sum(counted(message["content"]) for message in messages)
        return texts + MESSAGE_OVERHEAD * (len(messages) + 1)

    return count, tokenizer.name


def pace_of(decisions: Sequence[Decision], source: PaceSource) -> CallPace | None:
    """The mean of calls that were made; None if no reply came with its tokens."""
    attempts = [attempt for decision in decisions for attempt in decision.replies]
    tokens_out = [a.tokens_out for a in attempts if a.tokens_out is not None]
    if not tokens_out:
        return None
    asked = sum(bool(decision.replies) for decision in decisions)
    seconds = fmean(attempt.seconds for attempt in attempts)
    return CallPace(
        asks=len(attempts) / asked, seconds=seconds, tokens_out=fmean(tokens_out), source=source
    )


def _questions(forecast: Forecast) -> int:
    """Questions of one decision: of some prompts several, of a vote its first ballots."""
    return max(forecast.per_decision, calls_per_decision(forecast.spec))


def assumed_pace(forecast: Forecast) -> CallPace:
    """What a pair's calls take if nothing is known: replies that just hold to the format."""
    usual = fmean(call.usual for call in forecast.unasked) if forecast.unasked else 0.0
    provider = provider_of(forecast.spec)
    seconds = provider.seconds_per_call
    if provider.tokens_per_second is not None and forecast.unasked:
        tokens = fmean(call.tokens_in for call in forecast.unasked) + usual
        seconds = tokens / provider.tokens_per_second
    asks = float(_questions(forecast))
    return CallPace(asks=asks, seconds=seconds, tokens_out=usual, source="assumption")


def outlay(forecast: Forecast, pace: CallPace, priced: Priced | None, concurrency: int) -> Outlay:
    """What the unasked calls take, as many at once as `concurrency` and the provider allow."""
    # A pilot may have asked a model of this name without the vote.
    asks = max(1.0, pace.asks / _questions(forecast))
    most = sum(call.left for call in (*forecast.unasked, *forecast.perhaps))
    asks = min(asks, most / len(forecast.unasked)) if forecast.unasked else asks
    calls = len(forecast.unasked) * asks
    tokens_in = round(sum(call.tokens_in for call in forecast.unasked) * asks)
    tokens_out = round(calls * pace.tokens_out)
    at_once = min(concurrency, provider_of(forecast.spec).slots or concurrency)
    price = priced.price if priced else None
    if not forecast.unasked:
        price = Price(0.0, 0.0)  # what is not sent costs nothing, whatever its price
    return Outlay(
        calls=round(calls),
        calls_most=most,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        usd=None if price is None else price.cost(tokens_in, tokens_out),
        usd_most=None if price is None else _ceiling(forecast, price),
        hours=calls * pace.seconds / at_once / 3600,
        further=len(forecast.perhaps) or None,
    )


def summed(outlays: Sequence[Outlay]) -> Outlay:
    """All of them together; USD is None if anything is not priced."""

    def usd(costs: Sequence[float | None]) -> float | None:
        known = [cost for cost in costs if cost is not None]
        return float(sum(known)) if len(known) == len(costs) else None

    return Outlay(
        calls=sum(each.calls for each in outlays),
        calls_most=sum(each.calls_most for each in outlays),
        tokens_in=sum(each.tokens_in for each in outlays),
        tokens_out=sum(each.tokens_out for each in outlays),
        hours=float(sum(each.hours for each in outlays)),
        usd=usd([each.usd for each in outlays]),
        usd_most=usd([each.usd_most for each in outlays]),
        further=sum(each.further or 0 for each in outlays) or None,
    )


def _ceiling(forecast: Forecast, price: Price) -> float:
    """USD if every reply is `max_tokens` long and every decision takes all its calls.

    Each further call shows the replies before it. An estimate of tokens is raised by the margin
    that --max-cost reserves for its error.
    """
    margin = RESERVE_MARGIN if forecast.tokens_by == ESTIMATE else 1.0
    tokens_in = tokens_out = 0.0
    for call in (*forecast.unasked, *forecast.perhaps):
        replies_shown = call.left * (call.left - 1) / 2
        tokens_in += call.left * call.tokens_in * margin
        tokens_in += replies_shown * (call.max_tokens + COMPLAINT)
        tokens_out += call.left * call.max_tokens
    return price.cost(round(tokens_in), round(tokens_out))
