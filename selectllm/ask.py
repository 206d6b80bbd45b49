"""The one loop that asks a model: bounded concurrency, re-asking, and failures kept as data."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from selectllm.decisions import DecisionLog, Key
from selectllm.endpoint import takes_schema
from selectllm.errors import ProviderError, ReplyMissing, SelectLLMError
from selectllm.model import Model, ModelSpec, Request
from selectllm.parse import complaint, parse
from selectllm.prompt import Prompt, labels_for, render
from selectllm.structured import grammar, json_schema, reply_tokens
from selectllm.tokens import estimate_tokens
from selectllm.types import Attempt, Decision, Item, Message, Parsed, Question, Reply

FAILURES_IN_A_ROW = 8  # of one model, each after its retries: the provider is down, stop asking
LOCAL_REASK = 1


@dataclass(frozen=True, slots=True)
class Selector:
    """A prompt run through a model. `endpoint` is part of the request identity (model.Request)."""

    prompt: Prompt
    spec: ModelSpec
    model: Model
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One decision to be made: a selector, and a cluster in one order and repeat.

    `seed` is the run's seed plus the repeat.
    """

    selector: Selector
    cluster: int
    shown: tuple[Item, ...]
    k: int
    order: int = 0
    repeat: int = 0
    round: int = 0
    seed: int = 0

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
    queue = iter(tasks)
    async with asyncio.TaskGroup() as group:  # a defect of ours in one worker stops the others
        for _ in range(max(1, settings.concurrency)):
            group.create_task(asking.work(queue))
    asking.conclude()


class _Asking:
    """The state that the workers of one `ask` share."""

    def __init__(self, settings: AskSettings, record: Callable[[Decision], None]) -> None:
        self._settings = settings
        self._record = record
        self._stop: SelectLLMError | None = None
        self._missing: Counter[tuple[str, str]] = Counter()  # by (prompt, model)
        self._failures: Counter[str] = Counter()  # in a row, by model

    async def work(self, queue: Iterator[Task]) -> None:
        """Take tasks from the queue that all workers share, until it or the patience is over."""
        for task in queue:
            try:
                await self._decide(task)
            except SelectLLMError as error:
                self._stop = self._stop or error
            if self._stop:
                return

    async def _decide(self, task: Task) -> None:
        name = task.selector.spec.name
        try:
            self._record(await decide(task, self._settings))
            self._failures[name] = 0
        except ReplyMissing:
            self._missing[task.selector.prompt.ref, name] += 1
        except ProviderError as error:
            self._record(failed(task, error))
            self._failures[name] += 1
            if error.fatal or self._failures[name] >= FAILURES_IN_A_ROW:
                raise

    def conclude(self) -> None:
        """Raise what ended the work early, or what is missing."""
        if self._stop:
            raise self._stop
        if self._missing:
            counts = ", ".join(
                f"{count} of {prompt} with {model}"
                for (prompt, model), count in sorted(self._missing.items())
            )
            raise ReplyMissing(f"--offline, and replies are missing: {counts}")


async def decide(task: Task, settings: AskSettings) -> Decision:
    """Ask one question, again with the complaint while the reply is not valid."""
    selector, spec = task.selector, task.selector.spec
    request = first_request(task, settings)
    question = request.question
    if not _fits(request):
        return _decision(task, Parsed((), "invalid", ("too_long",)), [])
    reask = min(settings.reask, LOCAL_REASK) if spec.provider == "local" else settings.reask
    attempts: list[Attempt] = []
    problems: list[str] = []
    while True:
        reply = await selector.model.complete(request)
        attempts.append(_attempt(request, reply))
        if reply.finish_reason == "refused":
            return _decision(task, Parsed((), "refused", tuple(problems)), attempts)
        if reply.finish_reason == "too_long":
            return _decision(task, Parsed((), "invalid", (*problems, "too_long")), attempts)
        parsed = parse(reply.text, question, reply.finish_reason)
        problems += [word for word in parsed.problems if word not in problems]
        if parsed.status in ("ok", "repaired") or len(attempts) > reask:
            break
        request = _asking_again(request, reply, complaint(parsed, question))
        if not _fits(request):
            problems.append("too_long")
            break
    status = "repaired" if parsed.status == "ok" and len(attempts) > 1 else parsed.status
    return _decision(task, replace(parsed, status=status, problems=tuple(problems)), attempts)


def _fits(request: Request) -> bool:
    """Whether prompt and reply fit the model's context, by our estimate of the prompt."""
    context = request.model.context
    if context is None:
        return True
    return estimate_tokens(request.messages) <= context - request.max_tokens


def failed(task: Task, error: ProviderError) -> Decision:
    """The decision of a call that could not be made: status `error`, never a pick."""
    return _decision(task, Parsed((), "error", (str(error),)), [])


def first_request(task: Task, settings: AskSettings) -> Request:
    """What a decision is asked with, before anything is asked again."""
    prompt, spec = task.selector.prompt, task.selector.spec
    question = Question(task.shown, labels_for(prompt, len(task.shown)), task.k, prompt.reply)
    # The embedded model cannot hold to a format in free text (0 of 7 replies did), so its output
    # is constrained unless the suite says `structured: false` for it.
    constrained = spec.provider == "local" and spec.structured is not False
    schema = json_schema(question) if settings.structured and takes_schema(spec) else None
    return Request(
        model=spec,
        messages=render(prompt, task.shown, task.k),
        question=question,
        endpoint=task.selector.endpoint,
        schema=None if constrained else schema,
        grammar=grammar(question) if constrained else None,
        max_tokens=reply_tokens(question) if constrained else spec.max_tokens,
        seed=task.seed,
        repeat=task.repeat,
    )


def _asking_again(request: Request, reply: Reply, text: str) -> Request:
    said: tuple[Message, ...] = (
        {"role": "assistant", "content": reply.text},
        {"role": "user", "content": text},
    )
    return replace(request, messages=request.messages + said)


def _attempt(request: Request, reply: Reply) -> Attempt:
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
