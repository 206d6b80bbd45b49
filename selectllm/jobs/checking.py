"""Asking every model of a suite once, to see whether it answers as the prompt needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from selectllm.core.errors import (
    BudgetReached,
    ModelError,
    PromptError,
    ProviderError,
    UsageError,
)
from selectllm.core.names import unknown
from selectllm.core.types import Parsed, Pool, Reply
from selectllm.evaluation.runs.execute import context_for
from selectllm.evaluation.runs.prepare import load_prompts
from selectllm.evaluation.suite import Suite
from selectllm.evaluation.suite_columns import suite_pool
from selectllm.jobs.checked_models import (
    CheckedModel,
    Listing,
    ModelsChecked,
    ReplyFinding,
    failed,
    found_in,
    misfit,
    unsent,
)
from selectllm.jobs.evaluating import suite_of
from selectllm.jobs.named_model import with_model
from selectllm.jobs.options import ModelOptions
from selectllm.jobs.session import Session, opened
from selectllm.jobs.session_settings import Settings
from selectllm.models.connect import Connections
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.providers import lists_logprobs, tokens_to_list
from selectllm.models.wrappers.batch import ONCE
from selectllm.prompting.prompt import Prompt, render
from selectllm.selection.ask import first_request, fits, read_reply
from selectllm.selection.by_model import sample_task
from selectllm.selection.clustering.clusters_file import read_clusters
from selectllm.selection.selector import answers_by_logprobs, check_pair, open_selector
from selectllm.selection.task import AskSettings, Task
from selectllm.selection.ways.following import following

NO_OPTIONS = ModelOptions(None, ())


async def check_models(
    suite: Suite | Path | str,
    *,
    prompt: str | None = None,
    options: ModelOptions = NO_OPTIONS,
    session: Session | None = None,
    **settings: Unpack[Settings],
) -> ModelsChecked:
    """Ask each model of `suite` once with its real prompt, and say what came of it.

    `suite`: a suite, its file, or the id of one model, which is shown items of the quickstart.
    `prompt`: of the suite, by default its first one. The candidates are a random sample of the
    pool, as many as a cluster has. A second call of one token asks whether log-probabilities are
    listed. Both are asked anew, whatever the reply cache holds, and it keeps neither.

    Raises UsageError and ModelError for what cannot work before anything is sent, and BudgetReached
    where the limit ends it; a provider that fails is told with its model, and so is a prompt that
    cannot be asked of one.
    """
    loaded = with_model(_suite(suite, session, settings), options)
    async with opened(session, settings, loaded.folder) as session:
        shown = _prompt(loaded, load_prompts(loaded, session.library), prompt)
        pool = suite_pool(loaded)
        shared = session.connections(
            utility={item.id: 0.0 for item in pool.items}, budget=loaded.budget
        )
        shared = replace(shared, anew=True, policy=ONCE, base=loaded.folder)
        asking = AskSettings(structured=loaded.structured == "auto")
        asked = _asked(loaded, pool, shown, shared)
        if tasks := [each for each in asked if isinstance(each, Task)]:
            shared = replace(shared, num_ctx=context_for(tasks))
            asked = _asked(loaded, pool, shown, shared)  # all can be asked before any is
        try:
            return ModelsChecked(
                tuple(
                    [
                        await _checked(each, asking) if isinstance(each, Task) else each
                        for each in asked
                    ]
                )
            )
        finally:
            for each in asked:
                if isinstance(each, Task):
                    await each.selector.model.close()


def _suite(suite: Suite | Path | str, session: Session | None, settings: Settings) -> Suite:
    """The suite, or one of the quickstart's pool for a model that is named by its id."""
    if isinstance(suite, Suite) or Path(suite).suffix in (".yaml", ".yml") or "/" not in str(suite):
        return suite_of(suite, session, settings)
    if Path(suite).exists():
        return suite_of(suite, session, settings)
    from importlib.resources import files

    pool = files("selectllm.starter_data").joinpath("quickstart.jsonl")
    return Suite.model_validate(
        {
            "name": "check",
            "pool": str(pool),
            "picks": 2,
            "prompts": ["short@1"],
            "models": [str(suite)],
        }
    )


def _prompt(suite: Suite, prompts: dict[str, Prompt], named: str | None) -> Prompt:
    if not prompts:
        raise UsageError("the suite has no prompts and models, so there is nothing to check")
    if named is None:
        return next(iter(prompts.values()))
    known = {**{each.ref: each for each in prompts.values()}, **prompts}
    if named not in known:
        raise UsageError(f"`prompt`: {unknown('prompt', named, known)}", argument="prompt")
    return known[named]


def _asked(
    suite: Suite, pool: Pool, prompt: Prompt, shared: Connections
) -> list[Task | CheckedModel]:
    """The question of every model, the same sample of the pool; or why it cannot be asked it."""
    size = min(suite.clusters.size, len(pool))
    if suite.clusters.file is not None:
        clusters = read_clusters(suite.at(suite.clusters.file), pool)
        size = max(len(cluster.members) for cluster in clusters)
    if size <= suite.picks:
        raise UsageError(
            f"picks: {suite.picks} items cannot be chosen from {size} candidates, because "
            "nothing would be left out. Make picks smaller"
        )

    def of(spec: ModelSpec) -> Task | CheckedModel:
        try:
            check_pair(prompt, spec)
        except (PromptError, ModelError) as error:
            return _unfit(prompt, spec, misfit(error, spec))
        selector = open_selector(prompt, spec, shared)
        return following(sample_task(pool, selector, size, suite.picks, suite.seed))[0]

    return [of(spec) for spec in suite.specs()]


async def _checked(task: Task, asking: AskSettings) -> CheckedModel:
    """One model. Raises BudgetReached."""
    request = first_request(task, asking)
    reply: Reply | None = None
    parsed = Parsed((), "invalid")
    logprobs: Listing = "not asked"
    if not fits(request):
        found = unsent(request.model, request.tokens)
    else:
        try:
            reply = await task.selector.model.complete(request)
            parsed = read_reply(reply, request)
            found = found_in(reply, request, parsed)
            by_logprobs = request.top_logprobs is not None
            logprobs = "listed" if by_logprobs else await _listing(task, request)
        except (ProviderError, ModelError) as error:
            reply, found = getattr(error, "reply", None), failed(error, request.model)
            logprobs = "not listed" if getattr(error, "kind", "") == "logprobs" else "not asked"
    return _told(task, found, reply, parsed, logprobs)


def _unfit(prompt: Prompt, spec: ModelSpec, found: ReplyFinding) -> CheckedModel:
    """A model that `prompt` cannot be asked of."""
    unlisted = answers_by_logprobs(prompt, spec) and not lists_logprobs(spec)
    return CheckedModel(
        model=spec.name,
        id=spec.id,
        prompt=prompt.ref,
        outcome=found.outcome,
        said=found.said,
        advice=found.advice,
        reply="",
        picks=0,
        wanted=0,
        shown=0,
        logprobs="not listed" if unlisted else "not asked",
    )


async def _listing(task: Task, request: Request) -> Listing:
    """Whether the model lists the log-probabilities of its first token, by another call."""
    spec = request.model
    one = replace(
        request,
        messages=render(task.selector.prompt, task.shown, 1),
        schema=None,
        grammar=None,
        top_logprobs=tokens_to_list(spec),
        max_tokens=1,
    )
    try:
        await task.selector.model.complete(one)
    except BudgetReached:  # what the first call says is known
        return "not asked"
    except (ProviderError, ModelError):
        return "not listed"
    return "listed"


def _told(
    task: Task, found: ReplyFinding, reply: Reply | None, parsed: Parsed, logprobs: Listing
) -> CheckedModel:
    spec = task.selector.spec
    return CheckedModel(
        model=spec.name,
        id=spec.id,
        prompt=task.selector.prompt.ref,
        outcome=found.outcome,
        said=found.said,
        advice=found.advice,
        reply="" if reply is None else reply.text,
        picks=len(parsed.picks),
        wanted=task.k,
        shown=len(task.shown),
        logprobs=logprobs,
        tokens_in=None if reply is None else reply.tokens_in,
        tokens_out=None if reply is None else reply.tokens_out,
        tokens_reasoning=None if reply is None else reply.tokens_reasoning,
        seconds=None if reply is None else reply.seconds,
        cost_usd=None if reply is None else reply.cost_usd,
    )
