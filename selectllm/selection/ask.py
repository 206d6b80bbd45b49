"""The one loop that asks a model: bounded concurrency, re-asking, and failures kept as data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from selectllm.core.errors import ProviderError, ReplyMissing, SelectLLMError
from selectllm.core.types import Attempt, Decision, Message, Parsed, Question, Reply
from selectllm.models.model import Request, expect
from selectllm.models.providers.providers import provider_of, takes_schema, tokens_to_list
from selectllm.prompting.prompt import labels_for, render
from selectllm.prompting.replies.logprobs import parse_logprobs
from selectllm.prompting.replies.parse import complaint, parse
from selectllm.prompting.replies.scale import read_point, scale_of
from selectllm.selection.concurrency import FailureStreak, run_all
from selectllm.selection.decision_log import DecisionLog
from selectllm.selection.task import AskSettings, Later, Task, reasks_of
from selectllm.selection.ways.following import combined, following, way_of, wins_by_place

AHEAD = 32
"""Decisions whose requests are made together."""


async def make_decisions(
    tasks: Iterable[Task | Later],
    settings: AskSettings,
    log: DecisionLog,
    tick: Callable[[Decision], None] = lambda decision: None,
    *,
    total: int | None = None,
) -> None:
    """`ask` what the log does not hold yet, and log it; `tick` hears of every new decision.

    `total`: how many decisions there are, if `tasks` are not all of them.

    Raises as `ask` does, and ProviderError when any decision is an `error`: what succeeded is in
    the log, and the same call made again asks the rest, what failed after the others.
    """
    tasks = list(tasks)
    errors: list[Decision] = []

    def record(decision: Decision) -> None:
        log.append(decision)
        if decision.status == "error":
            errors.append(decision)
        tick(decision)

    missing = [task for task in tasks if not log.done(task.key)]
    # What failed before comes last, and first what cannot be sent: before anything is paid for.
    missing.sort(key=lambda task: (not task.selector.keyless, task.key in log))
    made = (task.made() if isinstance(task, Later) else task for task in missing)
    await ask(made, settings, record)
    if errors:
        kept = log.path or "the reply cache"
        first = errors[0].problems[0].rstrip(".")
        raise ProviderError(
            f"{len(errors)} of {total or len(tasks)} decisions could not be made. The first reason "
            f"is: {first}. What succeeded is kept in {kept}. Run the same command again to ask "
            "only for the rest"
        )


async def ask(
    tasks: Iterable[Task], settings: AskSettings, record: Callable[[Decision], None]
) -> None:
    """Make every decision and hand each to `record` as it is made.

    A call that fails after its retries gives a decision with status `error` and the loop goes
    on. What cannot get better (a wrong key, an exhausted budget, a provider that is down, see
    FailureStreak) ends it: calls in flight still finish and are recorded, then the error is
    raised. Offline, all missing replies are counted before ReplyMissing is raised.
    """
    asking = _Asking(settings, record)
    await run_all(_prepared(tasks, settings), asking.decide, settings.concurrency)
    asking.check_missing()


Prepared = tuple[Task, Request | SelectLLMError]
"""One question and what it is asked with, or why it cannot be asked."""


def _prepared(
    tasks: Iterable[Task], settings: AskSettings
) -> Iterator[tuple[Task, list[Prepared]]]:
    """Every task with what its first questions are asked with, AHEAD of them made at a time.

    Together they are rendered, hashed and looked up in the cache in half the time that it takes
    amid everything else.
    """
    tasks = iter(tasks)
    while some := [*islice(tasks, AHEAD)]:
        asked = [[_made(question, settings) for question in following(task)] for task in some]
        by_model: defaultdict[int, list[Request]] = defaultdict(list)
        models = {id(task.selector.model): task.selector.model for task in some}
        for task, made in zip(some, asked, strict=True):
            requests = [request for _, request in made if isinstance(request, Request)]
            by_model[id(task.selector.model)] += requests
        for number, expected in by_model.items():
            expect(models[number], expected)
        yield from zip(some, asked, strict=True)


def _made(question: Task, settings: AskSettings) -> Prepared:
    try:
        return question, first_request(question, settings)
    except SelectLLMError as error:
        return question, error


class _Asking:
    """The state that the questions of one `ask` share."""

    def __init__(self, settings: AskSettings, record: Callable[[Decision], None]) -> None:
        self._settings = settings
        self._record = record
        self._missing: Counter[tuple[str, str]] = Counter()  # by (prompt, model)
        self._patience: defaultdict[str, FailureStreak] = defaultdict(FailureStreak)  # by model

    async def decide(self, prepared: tuple[Task, list[Prepared]]) -> None:
        """Make one decision and record it; raises what cannot get better.

        While a reply is missing, only what does not depend on it is asked.
        """
        task, asked = prepared
        patience = self._patience[task.selector.spec.name]
        decisions: list[Decision] = []
        missing = False
        try:
            while asked:
                for question, request in asked:
                    if isinstance(request, SelectLLMError):
                        raise request
                    if (decision := await self._answered(question, request, patience)) is not None:
                        decisions.append(decision)
                    missing |= decision is None
                asked = [] if missing else self._next(task, decisions)
        except ProviderError as error:
            before = [attempt for decision in decisions for attempt in decision.attempts]
            self._record(failed(task, error, before))
            patience.failed(error)
            return
        if not missing:
            self._record(counted(task, decisions))

    def _next(self, task: Task, decisions: Sequence[Decision]) -> list[Prepared]:
        return [_made(question, self._settings) for question in following(task, decisions)]

    async def _answered(
        self, question: Task, request: Request, patience: FailureStreak
    ) -> Decision | None:
        """One question of a decision; None if its reply is missing, which is counted."""
        try:
            decision = await _decide_one(question, self._settings, request)
        except ReplyMissing:
            self._missing[question.selector.prompt.ref, question.selector.spec.name] += 1
            return None
        if any(not attempt.cached for attempt in decision.replies):
            patience.answered()
        return decision

    def check_missing(self) -> None:
        """Raise ReplyMissing if any reply was."""
        if self._missing:
            counts = ", ".join(
                f"{count} of {prompt} with {model}"
                for (prompt, model), count in sorted(self._missing.items())
            )
            raise ReplyMissing(
                f"with `offline` nothing is sent, and these replies are missing: {counts}"
            )


async def decide(task: Task, settings: AskSettings) -> Decision:
    """Make one decision: ask its question, or one after another all that it takes."""
    answered: list[Decision] = []
    while questions := following(task, answered):
        answered += [await _decide_one(question, settings) for question in questions]
    return counted(task, answered)


def counted(task: Task, answered: Sequence[Decision]) -> Decision:
    """The decision of a task from those on its questions, which hold no `error`."""
    if (parsed := combined(task, answered)) is None:
        return answered[0]
    decision = _decision(task, parsed, [attempt for each in answered for attempt in each.attempts])
    vote = task.selector.spec.vote
    adaptive = vote is not None and vote.first is not None
    return replace(
        decision, ballots=len(answered) if adaptive else None, wins=wins_by_place(task, answered)
    )


def supposed(question: Task) -> Decision:
    """What stands in for the answer to a question that is not asked: whoever is first, unpaid.

    The first in the order of the cluster, which is random, and a value that is the same for all.
    """
    order = {item.id: place for place, item in enumerate(question.of or question.shown)}
    places = sorted(range(len(question.shown)), key=lambda at: order[question.shown[at].id])
    scores = (0.0,) * len(places) if question.selector.prompt.form.shows == "item" else None
    return _decision(question, Parsed(tuple(places[: question.k]), "ok", scores=scores), [])


async def _decide_one(
    task: Task, settings: AskSettings, request: Request | None = None
) -> Decision:
    """Ask one question, again with the complaint while the reply is not valid.

    `request`: what it is asked with first, if that is made already.
    """
    selector = task.selector
    request = request or first_request(task, settings)
    question = request.question
    if not fits(request):
        return _decision(task, Parsed((), "invalid", ("too_long",)), [])
    reask = reasks_of(selector, settings.reask)
    attempts: list[Attempt] = []
    problems: list[str] = []
    asked = 0
    while True:
        try:
            reply = await selector.model.complete(request)
        except SelectLLMError as error:
            error.attempts = (*attempts, *error.attempts)  # these were paid for
            raise
        asked += 1
        attempts += tried(request, reply)
        if reply.finish_reason == "refused":
            return _decision(task, Parsed((), "refused", tuple(problems)), attempts)
        if reply.finish_reason == "too_long":
            return _decision(task, Parsed((), "invalid", (*problems, "too_long")), attempts)
        parsed = read_reply(reply, request)
        problems += [word for word in parsed.problems if word not in problems]
        if parsed.status in ("ok", "repaired") or asked > reask:
            break
        request = _asking_again(request, reply, complaint(parsed, question))
        if not fits(request):
            problems.append("too_long")
            break
    status = "repaired" if parsed.status == "ok" and asked > 1 else parsed.status
    if (status, len(problems)) != (parsed.status, len(parsed.problems)):
        parsed = replace(parsed, status=status, problems=tuple(problems))
    return _decision(task, parsed, attempts)


def read_reply(reply: Reply, request: Request) -> Parsed:
    """What a reply says in answer to `request`."""
    if all_thinking(reply):
        cut = ("cut",) if reply.finish_reason == "length" else ()
        return Parsed((), "invalid", ("all_thinking", *cut))
    if spent_unseen(reply):
        return Parsed((), "invalid", ("cut",))
    if request.question.scale:
        return read_point(reply.text, request.question, False)
    if request.top_logprobs is not None:
        return parse_logprobs(reply.text, request.question)
    return parse(reply.text, request.question, reply.finish_reason)


def spent_unseen(reply: Reply | Attempt) -> bool:
    """Whether `max_tokens` was used up before any text: by reasoning that is not shown."""
    text = reply.text if isinstance(reply, Reply) else reply.reply
    return reply.finish_reason == "length" and not text.strip()


def all_thinking(reply: Reply | Attempt) -> bool:
    """Whether the reply is thinking without an answer, as far as the provider shows that."""
    text = reply.text if isinstance(reply, Reply) else reply.reply
    if not reply.tokens_reasoning:
        return False
    return not text.strip() or reply.tokens_reasoning == reply.tokens_out


def fits(request: Request) -> bool:
    """Whether prompt and reply fit the model's context, by our estimate of the prompt."""
    context = request.model.context
    if context is None:
        return True
    return request.tokens <= context - request.max_tokens


def failed(task: Task, error: ProviderError, before: Sequence[Attempt] = ()) -> Decision:
    """The decision of a call that could not be made: status `error`, never a pick.

    `before`: the attempts of the ballots before it.
    """
    return _decision(task, Parsed((), "error", (str(error),)), [*before, *error.attempts])


def question_of(task: Task) -> Question:
    """What one question asks for."""
    prompt = task.selector.prompt
    points = scale_of(prompt.scale or "")
    return Question(
        shown=task.shown,
        labels=tuple(points) if points else labels_for(prompt, len(task.shown)),
        k=task.k,
        reply=prompt.reply,
        folders=prompt.folders,
        scale=tuple(points.values()) if points else (),
        cluster=task.of,
    )


def first_request(task: Task, settings: AskSettings) -> Request:
    """What one question is asked with, before anything is asked again."""
    prompt, spec = task.selector.prompt, task.selector.spec
    question = question_of(task)
    if task.selector.by_logprobs:
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
    form = prompt.form
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
    if not reply.text.strip():  # providers refuse a turn without text, and two turns of one role
        *before, last = request.messages
        asked: Message = {"role": last["role"], "content": f"{last['content']}\n\n{text}"}
        return replace(request, messages=(*before, asked))
    said: tuple[Message, ...] = (
        {"role": "assistant", "content": reply.text},
        {"role": "user", "content": text},
    )
    return replace(request, messages=request.messages + said)


def tried(request: Request, reply: Reply) -> tuple[Attempt, ...]:
    """What the log keeps of one request: the tries that failed, and what came back."""
    answer = Attempt(
        request_sha256=request.key,
        reply=reply.text,
        finish_reason=reply.finish_reason,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        cost_usd=reply.cost_usd,
        seconds=reply.seconds,
        cached=reply.cached,
        waited=reply.waited,
        at_most_usd=reply.at_most_usd,
        tokens_reasoning=reply.tokens_reasoning,
    )
    return (*reply.failed, answer)


def _decision(task: Task, parsed: Parsed, attempts: list[Attempt]) -> Decision:
    ids = tuple(item.id for item in task.shown)
    scores = parsed.scores if way_of(task.selector.prompt) else None
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
        scores=scores and tuple(scores[position] for position in parsed.picks),
    )
