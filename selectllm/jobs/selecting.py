"""Selecting items of a pool, by a prompt and a model or by a strategy, and what that would ask."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from selectllm.core.errors import PoolError, blaming
from selectllm.core.types import Pool
from selectllm.data.hub import located
from selectllm.data.pool import LoadedPool, load_pool
from selectllm.data.stored_items import ids_of
from selectllm.jobs.arguments import parted
from selectllm.jobs.batching import asked_in_batches, note_place
from selectllm.jobs.beside import Beside, beside
from selectllm.jobs.outputs import check_written
from selectllm.jobs.prefilter import left_of
from selectllm.jobs.rounds import log_round
from selectllm.jobs.selection import Selection
from selectllm.jobs.selection_plan import SelectionPlan
from selectllm.jobs.session import Session, opened
from selectllm.jobs.settings import SelectArguments, SelectRequest
from selectllm.jobs.turns import turn
from selectllm.jobs.ways_of_selecting import Picked, SelectionJob, Way, by_model, by_strategy
from selectllm.prompting.prompt import Prompt
from selectllm.selection.by_model import (
    SelectSettings,
    by_worth,
    check_budget,
)
from selectllm.selection.task import AskSettings


async def select(
    pool: Pool | Path | str, *, session: Session | None = None, **arguments: Unpack[SelectArguments]
) -> Selection:
    """Select `budget` items of `pool`, by a prompt and a model or by a strategy.

    `pool`: a Pool, a pool file, or an `hf:` name. Nothing is written except the reply cache and
    `log`, if you name one. Make the same call again to continue from the log.

    The other arguments are those of selectllm.jobs.settings.SelectRequest, where each is explained
    (budget, threshold, prompt, model, strategy, models, by, cluster_size, on_invalid, max_filled,
    reask, seed, columns, skip_bad, distinct, prefilter, sort, per, given, rounds, log), and the
    settings of a Session.

    You get fewer items only if `on_invalid` is skip, and more or fewer with a `threshold`. Raises
    UsageError for arguments that cannot work, before a model is asked; SelectionOverFilled if more
    than the share `max_filled` of the picks would be random, or if there is a `threshold` and
    nothing could be measured; ReplyMissing, BudgetReached or ProviderError if asking a model fails.
    What was paid for is then in the reply cache and in `log`.
    """
    request, settings = parted(SelectRequest, arguments)
    request.check()
    async with opened(session, settings) as session:
        spent, began = session.ledger.spent, time.monotonic()

        async def pick(session: Session) -> tuple[LoadedPool, Pool, Picked]:
            async with _opened(pool, request, session) as (loaded, found, job, way):
                if job.log is not None:
                    note_place(session, job.log.with_name(f"{job.log.stem}.batches.json"))
                async with turn(job.log, "log"):
                    chosen, decisions = await way.pick(job)
                embeds = way.embeds(job)
                log_round(job.session, loaded.pool, request, found, chosen, embeds=embeds)
                return loaded, job.pool, (chosen, decisions)

        loaded, left, (chosen, decisions) = await asked_in_batches(session, pick)
        different = {(choice.item.instruction, choice.item.input) for choice in chosen}
        if repeats := len(chosen) - len(different):
            session.note(
                f"Note: {repeats} of the {len(chosen)} selected items have the same text as "
                "another one. To leave such items out first, give `distinct` exact."
            )
        taken = {choice.item.id for choice in chosen}
        ids = enumerate(ids_of(left.items))
        place = {item_id: position for position, item_id in ids if item_id in taken}
        chosen = sorted(chosen, key=lambda choice: place[choice.item.id])
        return Selection(
            pool=left,
            chosen=tuple(sorted(chosen, key=by_worth) if request.sort else chosen),
            budget=request.budget,
            spent_usd=session.ledger.spent - spent,
            decisions=decisions,
            rejected=loaded.rejected,
            seconds=time.monotonic() - began,
        )


async def ahead(
    pool: Pool | Path | str, *, session: Session | None = None, **arguments: Unpack[SelectArguments]
) -> SelectionPlan:
    """What `select` would ask. Nothing is sent, embedded or written; raises UsageError as it does.

    What `distinct` and `prefilter` would leave out is drawn at random where they have to measure.
    """
    request, settings = parted(SelectRequest, arguments)
    request.check()
    async with opened(session, settings, reading=True) as session:
        async with _opened(pool, request, session, dry_run=True) as (_, _, job, way):
            return await way.plan(job)


@contextlib.asynccontextmanager
async def _opened(
    pool: Pool | Path | str, request: SelectRequest, session: Session, *, dry_run: bool = False
) -> AsyncIterator[tuple[LoadedPool, Beside, SelectionJob, Way]]:
    """The selection that is asked for, and how it is done; a prefilter asks what it has to."""
    loaded = _loaded(pool, request, session)
    _check_log(request, loaded.pool, session)
    session = session.of_pool(loaded)
    async with beside(session, loaded.pool, request, dry_run=dry_run) as found:
        # With a threshold, how many reach it is known only once the items are measured.
        budget = len(found.pool) if request.budget is None else request.budget
        check_budget(budget, found.pool, "left of" if found.items else "in")
        settings = SelectSettings(
            budget=budget,
            size=request.cluster_size,
            seed=request.seed,
            on_invalid=request.on_invalid,
            max_filled=request.max_filled,
            ask=AskSettings(concurrency=session.settings.concurrency, reask=request.reask),
        )
        way: Way
        if request.strategy is None:
            way = by_model(request, session, found)
        else:
            way = by_strategy(request.strategy, request, found, settings, session)
        try:
            left = await left_of(session, found, request, settings, dry_run=dry_run)
            if request.budget is None:
                settings = replace(settings, budget=len(left.pool))
            yield loaded, found, SelectionJob(session, request, settings, left, found), way
        finally:
            await way.close()


def _loaded(pool: Pool | Path | str, request: SelectRequest, session: Session) -> LoadedPool:
    """The pool, read if it is a file or an `hf:` name. Raises as `load_pool` does."""
    if isinstance(pool, Pool):
        return LoadedPool(pool)
    if not isinstance(pool, Path | str):
        raise PoolError(
            f"`pool` is {type(pool).__name__}, not a file. Make records a pool with "
            "Pool.from_records(...)",
            argument="pool",
        )
    path = Path(pool) if session.folder is None else located(session.folder, str(pool))
    with blaming("pool"):
        loaded = load_pool(
            path,
            columns=request.columns,
            skip_bad=request.skip_bad,
            in_place=session.workspace.cache,
        )
    session.note_pool(loaded.pool)
    return loaded


def _check_log(request: SelectRequest, pool: Pool, session: Session) -> None:
    """Raise UsageError for a log that would be written into a file that is read."""
    if request.log is None:
        return
    prompt = request.prompt
    named = prompt.path if isinstance(prompt, Prompt) else prompt and session.base / prompt
    read = (pool.source, named, session.settings.vectors, session.settings.env_file)
    given = request.given if isinstance(request.given, str | Path) else None
    kept = [session.path(path) for path in (given, request.rounds) if path is not None]
    log = session.path(request.log)
    files = [*(path for path in read if path), *kept]
    check_written("log", log, None, files, session.workspace)
