"""The one loop that asks a model: bounded concurrency, re-asking, and failures kept as data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from selectllm.codec import seeded_hash
from selectllm.decisions import DecisionLog, Key
from selectllm.errors import PromptError, ProviderError, ReplyMissing
from selectllm.logprobs import parse_logprobs
from selectllm.model import Model, ModelSpec, Request
from selectllm.models.providers.providers import provider_of, takes_schema, tokens_to_list
from selectllm.parse import complaint, parse
from selectllm.patience import Patience, each
from selectllm.prompt import Prompt, labels_for, render
from selectllm.prompting.replies.formats import reply_format
from selectllm.tokens import estimate_tokens
from selectllm.types import Attempt, Decision, Item, Message, Parsed, Question, Reply
from selectllm.vote import elect

REDRAWN = 1_000_000  # orders from here on stand in for draws that came twice in one vote


@dataclass(frozen=True, slots=True)
class Selector:
    """A prompt run through a model. `endpoint` is part of the request identity (model.Request).

    Raises PromptError for a prompt whose answer is more than one token, if log-probabilities are
    to answer it.
    """

    prompt: Prompt
    spec: ModelSpec
    model: Model
    endpoint: str | None = None

    def __post_init__(self) -> None:
        prompt = self.prompt
        one_letter = prompt.labels == "letters" and reply_format(prompt.reply).is_label
        if self.spec.answer == "logprobs" and not one_letter:
            raise PromptError(
                f"{prompt.ref} has reply: {prompt.reply} and labels: {prompt.labels}, but model "
                f"{self.spec.name!r} answers by logprobs, the probability of one letter; ask it "
                "with a prompt that has reply: indices and labels: letters, such as best@1"
            )
        if self.spec.answer == "logprobs":
            tokens_to_list(self.spec)


@dataclass(frozen=True, slots=True)
class Task:
    """One decision to be made: a selector, and a cluster in one order and repeat.

    `seed` is the run's seed plus the repeat. `ballots`: the questions of a vote (`with_ballots`),
    of which the first shows what the decision does; none if it is a single question itself.
    """

    selector: Selector
    cluster: int
    shown: tuple[Item, ...]
    k: int
    order: int = 0
    repeat: int = 0
    round: int = 0
    seed: int = 0
    ballots: tuple[Task, ...] = ()

    @property
    def questions(self) -> tuple[Task, ...]:
        """What is asked: the ballots, or the task itself."""
        return self.ballots or (self,)

    @property
    def key(self) -> Key:
        """The key of the decision that this task leads to (decisions.decision_key)."""
        selector = self.selector
        return (
            selector.prompt.ref,
            selector.spec.name,
            self.cluster,
            self.order,
            self.repeat,
            self.round,
        )


@dataclass(frozen=True, slots=True)
class AskSettings:
    """`concurrency`: calls in flight. `reask`: further attempts after a reply that is not valid.

    `structured`: send a JSON schema where the prompt asks for JSON and the provider takes one.
    """

    concurrency: int = 8
    reask: int = 2
    structured: bool = True


def with_ballots(task: Task, show: Callable[[int], tuple[Item, ...]]) -> Task:
    """`task` with the ballots that its model's vote asks for, or as it is without a vote.

    `show`: the cluster's items in each of its seeded orders. With R orders and Q repeats a vote,
    decision (o, r) has the orders oR to oR + R - 1 and the repeats rQ to rQ + Q - 1: each has
    ballots of its own, and those of the first are what a suite with `orders: R` and `repeats: Q`
    asks without a vote.
    """
    vote = task.selector.spec.vote
    if vote is None:
        return task
    ballots = tuple(
        replace(
            task, shown=shown, order=order, repeat=repeat, seed=task.seed - task.repeat + repeat
        )
        for order, shown in _different(show, task.order * vote.orders, vote.orders)
        for repeat in range(task.repeat * vote.repeats, (task.repeat + 1) * vote.repeats)
    )
    return replace(task, shown=ballots[0].shown, ballots=ballots)


def _different(
    show: Callable[[int], tuple[Item, ...]], first: int, count: int
) -> list[tuple[int, tuple[Item, ...]]]:
    """`count` orders from `first` on, fewer where a small cluster has no more.

    Orders are drawn independently, and one that came twice would vote twice.
    """
    found: dict[tuple[Item, ...], int] = {}
    more = range(REDRAWN + first, REDRAWN + first + 50 * count)
    for order in (*range(first, first + count), *more):
        found.setdefault(show(order), order)
        if len(found) == count:
            break
    return [(order, shown) for shown, order in found.items()]


def calls_per_decision(spec: ModelSpec) -> int:
    """Calls that a decision takes if every reply is valid; at most, in clusters of few orders."""
    return spec.vote.ballots if spec.vote else 1


def most_calls(spec: ModelSpec, reask: int) -> int:
    """Calls that a decision takes at most, under `reask` of the settings."""
    return calls_per_decision(spec) * (1 + reasks(spec, reask))


def reasks(spec: ModelSpec, reask: int) -> int:
    """How often a question is asked again at most, under `reask` of the settings.

    Log-probabilities would come back as they were.
    """
    if spec.answer == "logprobs":
        return 0
    most = provider_of(spec).most_reasks
    return reask if most is None else min(reask, most)


async def make_decisions(
    tasks: Iterable[Task],
    settings: AskSettings,
    log: DecisionLog,
    tick: Callable[[Decision], None] = lambda decision: None,
) -> None:
    """`ask` what the log does not hold yet, and log it; `tick` hears of every new decision.

    Raises as `ask` does, and ProviderError when any decision is an `error`: what succeeded is in
    the log, and the same call made again asks the rest.
    """
    tasks = list(tasks)
    errors: list[Decision] = []

    def record(decision: Decision) -> None:
        log.append(decision)
        if decision.status == "error":
            errors.append(decision)
        tick(decision)

    await ask((task for task in tasks if not log.done(task.key)), settings, record)
    if errors:
        raise ProviderError(
            f"{len(errors)} of {len(tasks)} decisions could not be made; the first: "
            f"{errors[0].problems[0]}. What succeeded is kept in {log.path}: run the same command "
            "again to ask only the rest"
        )


async def ask(
    tasks: Iterable[Task], settings: AskSettings, record: Callable[[Decision], None]
) -> None:
    """Make every decision and hand each to `record` as it is made.

    A call that fails after its retries gives a decision with status `error` and the loop goes
    on. What cannot get better (a wrong key, an exhausted budget, one model failing
    FAILURES_IN_A_ROW times) ends it: calls in flight still finish and are recorded, then the
    error is raised. Offline, all missing replies are counted before ReplyMissing is raised.
    """
    asking = _Asking(settings, record)
    await each(tasks, asking.decide, settings.concurrency)
    asking.check_missing()


class _Asking:
    """The state that the questions of one `ask` share."""

    def __init__(self, settings: AskSettings, record: Callable[[Decision], None]) -> None:
        self._settings = settings
        self._record = record
        self._missing: Counter[tuple[str, str]] = Counter()  # by (prompt, model)
        self._patience: defaultdict[str, Patience] = defaultdict(Patience)  # by model

    async def decide(self, task: Task) -> None:
        """Make one decision and record it; raises what cannot get better."""
        patience = self._patience[task.selector.spec.name]
        try:
            replies = [await self._answered(question, patience) for question in task.questions]
        except ProviderError as error:
            self._record(failed(task, error))
            patience.failed(error)
            return
        made = [reply for reply in replies if reply is not None]
        if len(made) == len(replies):
            self._record(counted(task, made))

    async def _answered(self, question: Task, patience: Patience) -> Decision | None:
        """One question of a decision; None if its reply is missing, which is counted."""
        try:
            decision = await _decide_one(question, self._settings)
        except ReplyMissing:
            self._missing[question.selector.prompt.ref, question.selector.spec.name] += 1
            return None
        patience.answered()
        return decision

    def check_missing(self) -> None:
        """Raise ReplyMissing if any reply was."""
        if self._missing:
            counts = ", ".join(
                f"{count} of {prompt} with {model}"
                for (prompt, model), count in sorted(self._missing.items())
            )
            raise ReplyMissing(f"--offline, and replies are missing: {counts}")


async def decide(task: Task, settings: AskSettings) -> Decision:
    """Make one decision: ask its question, or the ballots of its vote one after another."""
    return counted(task, [await _decide_one(each, settings) for each in task.questions])


def counted(task: Task, made: Sequence[Decision]) -> Decision:
    """The decision of a task from those on its questions, which hold no `error`."""
    vote = task.selector.spec.vote
    if not task.ballots or vote is None:
        return made[0]
    parsed = elect(made, task.k, vote.rule, lambda item: seeded_hash("vote", task.seed, item))
    return _decision(task, parsed, [attempt for each in made for attempt in each.attempts])


async def _decide_one(task: Task, settings: AskSettings) -> Decision:
    """Ask one question, again with the complaint while the reply is not valid."""
    selector = task.selector
    request = first_request(task, settings)
    question = request.question
    if not fits(request):
        return _decision(task, Parsed((), "invalid", ("too_long",)), [])
    reask = reasks(selector.spec, settings.reask)
    attempts: list[Attempt] = []
    problems: list[str] = []
    while True:
        reply = await selector.model.complete(request)
        attempts.append(attempt(request, reply))
        if reply.finish_reason == "refused":
            return _decision(task, Parsed((), "refused", tuple(problems)), attempts)
        if reply.finish_reason == "too_long":
            return _decision(task, Parsed((), "invalid", (*problems, "too_long")), attempts)
        parsed = _read(reply, request)
        problems += [word for word in parsed.problems if word not in problems]
        if parsed.status in ("ok", "repaired") or len(attempts) > reask:
            break
        request = _asking_again(request, reply, complaint(parsed, question))
        if not fits(request):
            problems.append("too_long")
            break
    status = "repaired" if parsed.status == "ok" and len(attempts) > 1 else parsed.status
    return _decision(task, replace(parsed, status=status, problems=tuple(problems)), attempts)


def _read(reply: Reply, request: Request) -> Parsed:
    if request.top_logprobs is not None:
        return parse_logprobs(reply.text, request.question)
    return parse(reply.text, request.question, reply.finish_reason)


def fits(request: Request) -> bool:
    """Whether prompt and reply fit the model's context, by our estimate of the prompt."""
    context = request.model.context
    if context is None:
        return True
    return estimate_tokens(request.messages) <= context - request.max_tokens


def failed(task: Task, error: ProviderError) -> Decision:
    """The decision of a call that could not be made: status `error`, never a pick."""
    return _decision(task, Parsed((), "error", (str(error),)), [])


def first_request(task: Task, settings: AskSettings) -> Request:
    """What one question is asked with, before anything is asked again."""
    prompt, spec = task.selector.prompt, task.selector.spec
    question = Question(task.shown, labels_for(prompt, len(task.shown)), task.k, prompt.reply)
    if spec.answer == "logprobs":
        # Which one is best: its rivals for that one token are the next picks. No grammar, since
        # the engine lists its tokens as they were before any.
        return Request(
            model=spec,
            messages=render(prompt, task.shown, 1),
            question=question,
            endpoint=task.selector.endpoint,
            top_logprobs=tokens_to_list(spec),
            max_tokens=1,
            seed=task.seed,
            repeat=task.repeat,
        )
    form = reply_format(prompt.reply)
    limited = provider_of(spec).constrained and spec.structured is not False
    grammar = form.grammar(question) if form.grammar and limited else None
    schema = form.schema(question) if form.schema and settings.structured else None
    return Request(
        model=spec,
        messages=render(prompt, task.shown, task.k),
        question=question,
        endpoint=task.selector.endpoint,
        schema=schema if grammar is None and takes_schema(spec) else None,
        grammar=grammar,
        max_tokens=form.tokens(question, constrained=True) if grammar else spec.max_tokens,
        seed=task.seed,
        repeat=task.repeat,
    )


def _asking_again(request: Request, reply: Reply, text: str) -> Request:
    said: tuple[Message, ...] = (
        {"role": "assistant", "content": reply.text},
        {"role": "user", "content": text},
    )
    return replace(request, messages=request.messages + said)


def attempt(request: Request, reply: Reply) -> Attempt:
    """What the log keeps of one request and what came back."""
    return Attempt(
        request_sha256=request.key,
        reply=reply.text,
        finish_reason=reply.finish_reason,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        cost_usd=reply.cost_usd,
        seconds=reply.seconds,
        cached=reply.cached,
    )


def _decision(task: Task, parsed: Parsed, attempts: list[Attempt]) -> Decision:
    ids = tuple(item.id for item in task.shown)
    return Decision(
        cluster=task.cluster,
        order=task.order,
        repeat=task.repeat,
        round=task.round,
        shown=ids,
        picks=tuple(ids[position] for position in parsed.picks),
        status=parsed.status,
        prompt=task.selector.prompt.ref,
        prompt_sha256=task.selector.prompt.sha256,
        model=task.selector.spec.name,
        problems=parsed.problems,
        attempts=tuple(attempts),
        ranking=None
        if parsed.ranking is None
        else tuple(ids[position] for position in parsed.ranking),
    )
