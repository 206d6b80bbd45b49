"""Why the questions of a suite have no reply in the cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from selectllm.core.errors import ReplyMissing, UsageError
from selectllm.core.names import unknown
from selectllm.core.shown import counted
from selectllm.core.types import Decision, Reply
from selectllm.evaluation.planning.forecast import Remembered
from selectllm.evaluation.runs.execute import tasks
from selectllm.evaluation.runs.prepare import load_prompts
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.suite import Suite
from selectllm.jobs.evaluating import suite_of
from selectllm.jobs.options import Evaluating
from selectllm.jobs.planning import open_planned
from selectllm.jobs.session import Session, opened
from selectllm.jobs.session_settings import Settings
from selectllm.models.model import Request
from selectllm.models.providers.providers import provider_of
from selectllm.models.wrappers.asked import asked
from selectllm.models.wrappers.nearest import Comparison, Nearest, comparable
from selectllm.models.wrappers.recorded import read_pack
from selectllm.selection.ask import decide
from selectllm.selection.selector import Selector
from selectllm.selection.task import AskSettings, Task
from selectllm.selection.ways.following import following

SHOWN = 10  # reasons of a pair that are told


@dataclass(frozen=True, slots=True)
class Miss:
    """A question without a reply, by its request's `key`, and the cached one that is nearest."""

    cluster: int
    order: int
    repeat: int
    key: str
    nearest: Nearest


@dataclass(frozen=True, slots=True)
class PairExplained:
    """The questions of one prompt and model.

    Of `questions`, `recorded` are answered by the suite's pack, `cached` by the cache with or
    without it, `too_long` are never asked, and `misses` have no reply.
    """

    prompt: str
    model: str
    questions: int
    recorded: int
    cached: int
    too_long: int
    misses: tuple[Miss, ...]

    @property
    def text(self) -> str:
        """In sentences."""
        done = f"{self.cached:,} of {counted(self.questions, 'question')} cached"
        if self.recorded:
            done += f", {self.recorded:,} answered by the suite's recorded replies"
        if self.too_long:
            done += f", {self.too_long:,} too long for the model, which are not asked"
        lines = [f"{self.prompt} with {self.model}: {done}, {len(self.misses):,} missing."]
        reasons = Counter(miss.nearest.reason for miss in self.misses)
        first = {miss.nearest.reason: miss.nearest.key for miss in reversed(self.misses)}
        for reason, count in reasons.most_common(SHOWN):
            key = first[reason]
            nearest = "" if key is None else f" (the nearest is {key[:12]})"
            lines.append(f"  {count:,} missing: {reason}{nearest}.")
        if len(reasons) > SHOWN:
            lines.append(f"  and {len(reasons) - SHOWN:,} more reasons, which --json lists.")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the cache has for a suite, and why the rest is missing.

    `replies`: how many the cache holds. `older`: of these, those that do not say what was asked,
    since another version of selectllm kept them: nothing is compared with them.
    """

    pairs: tuple[PairExplained, ...]
    replies: int
    older: int

    @property
    def text(self) -> str:
        """In sentences."""
        lines = [pair.text for pair in self.pairs]
        if self.older and any(pair.misses for pair in self.pairs):
            lines.append(
                f"{self.older:,} of {self.replies:,} cached replies do not say what was asked, "
                "because another version of selectllm kept them. They still answer the same "
                "questions, but they could not be compared with those that are missing."
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        return asdict(self)


async def explain(
    suite: Suite | Path | str,
    *,
    prompt: str | None = None,
    model: str | None = None,
    seed: int | None = None,
    limit: int | None = None,
    session: Session | None = None,
) -> Explanation:
    """Say which questions of `suite` the cache answers, and why it does not answer the others.

    `prompt`, `model`: of the suite, None for all that are not scripted. `seed`, `limit`: instead of
    the suite's seed and number of clusters. Nothing is sent. Raises UsageError for what the suite
    does not have, and for scripted models, whose replies are computed and not cached.
    """
    suite = Evaluating(seed=seed, limit=limit).applied(suite_of(suite, session, {}))
    async with opened(session, {}, suite.folder, reading=True) as session:
        run = _run(session, suite, prompt, model)
        pack = _pack(suite)
        rows = list(session.cache.tags())
        known = comparable(rows)
        looking = _Looking(session, pack, Comparison(known))
        pairs = [await looking.pair(run, selector) for selector in run.selectors]
        return Explanation(tuple(pairs), len(rows), len(rows) - len(known))


async def keys_asked(suite: Path, *, cache: Path) -> set[str]:
    """The keys of the replies in a workspace's `cache` that answer questions of `suite`.

    Raises as `explain`.
    """
    loaded = suite_of(suite, None, {})
    settings: Settings = {"cache": cache, "offline": True}
    async with opened(None, settings, loaded.folder, reading=True) as session:
        run = _run(session, loaded, None, None)
        looking = _Looking(session, {}, Comparison(()))
        for selector in run.selectors:
            await looking.pair(run, selector)
        return looking.keys


def _run(session: Session, suite: Suite, prompt: str | None, model: str | None) -> Run:
    """The run of the suite with the selectors that are meant, and without strategies."""
    prompts = load_prompts(suite, session.library)
    references = {name: each.ref for name, each in prompts.items()}
    names = [spec.name for spec in suite.specs()]
    for argument, value, there in (
        ("prompt", prompt, [*references, *references.values()]),
        ("model", model, names),
    ):
        if value is not None and value not in there:
            raise UsageError(
                f"`{argument}` {unknown(argument, value, set(there))} (in the suite)",
                argument=argument,
            )
    suite = suite.model_copy(update={"strategies": ()})
    run = open_planned(session, suite, prompts, ())
    meant = [
        selector
        for selector in run.selectors
        if prompt in (None, selector.prompt.ref)
        or references.get(prompt or "") == selector.prompt.ref
    ]
    meant = [selector for selector in meant if model in (None, selector.spec.name)]
    asking = [each for each in meant if provider_of(each.spec).way != "scripted"]
    if not asking:
        raise UsageError(
            f"`model` {model or ', '.join(names)}: replies of scripted models (mock/) are "
            "computed, and never cached. Name a model that is asked",
            argument="model",
        )
    return replace(run, selectors=tuple(asking))


def _pack(suite: Suite) -> Mapping[str, Reply]:
    path = suite.at(suite.replies) if suite.replies else None
    return {} if path is None or not path.exists() else read_pack(path)


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is known of one question."""

    recorded: bool = False
    cached: bool = False
    too_long: bool = False
    miss: Miss | None = None


class _Looking:
    """The questions of a run held against the pack and the cache."""

    def __init__(self, session: Session, pack: Mapping[str, Reply], comparison: Comparison) -> None:
        self._cache = session.cache
        self._pack = pack
        self._comparison = comparison
        self.keys: set[str] = set()

    async def pair(self, run: Run, selector: Selector) -> PairExplained:
        """What is known of one prompt and model."""
        seen: list[_Looked] = []
        for task in tasks(run):
            if task.selector is selector:
                seen += await self._at(task, run.settings)
        return PairExplained(
            prompt=selector.prompt.ref,
            model=selector.spec.name,
            questions=len(seen),
            recorded=sum(each.recorded for each in seen),
            cached=sum(each.cached for each in seen),
            too_long=sum(each.too_long for each in seen),
            misses=tuple(each.miss for each in seen if each.miss is not None),
        )

    async def _at(self, task: Task, settings: AskSettings) -> list[_Looked]:
        """What is known of the questions of one decision, up to those after a missing reply."""
        answered: list[Decision] = []
        seen: list[_Looked] = []
        while len(answered) == len(seen) and (questions := following(task, answered)):
            for question in questions:
                memory, found = Remembered(self._recall), set[str]()
                model = _Noting(memory, found)
                asking = replace(question, selector=replace(task.selector, model=model))
                try:
                    decision = await decide(asking, settings)
                except ReplyMissing:
                    assert memory.missing is not None
                    miss = self._miss(question, memory.missing, memory.answered)
                    seen.append(_Looked(miss=miss))
                else:
                    answered.append(decision)
                    recorded = bool(found) and found <= self._pack.keys()
                    cached = bool(found) and all(map(self._is_cached, found))
                    seen.append(_Looked(recorded, cached, not decision.attempts))
                self.keys |= {key for key in found if self._is_cached(key)}
        return seen

    def _is_cached(self, key: str) -> bool:
        return self._cache.get(key) is not None

    def _recall(self, key: str) -> Reply | None:
        return self._pack.get(key) or self._cache.get(key)

    def _miss(self, question: Task, request: Request, answered: int) -> Miss:
        nearest = self._comparison.nearest(asked(request))
        if answered:
            nearest = replace(
                nearest,
                reason="the question was answered, but not validly, and asking again is not cached",
            )
        place = question.cluster, question.order, question.repeat
        return Miss(*place, request.key, nearest)


class _Noting:
    """A model that notes the keys of what it is asked, where there is a reply."""

    def __init__(self, inner: Remembered, keys: set[str]) -> None:
        self._inner = inner
        self._keys = keys

    async def complete(self, request: Request) -> Reply:
        """The reply from memory. Raises ReplyMissing."""
        reply = await self._inner.complete(request)
        self._keys.add(request.key)
        return reply

    async def close(self) -> None:
        """Nothing was opened."""
