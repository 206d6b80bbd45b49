"""A judge held against people's ratings of the same items: what `utility calibrate` does."""

from __future__ import annotations

import math
import os
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.errors import UsageError, UtilityError
from selectllm.core.names import unknown
from selectllm.core.types import Pool
from selectllm.evaluation.runs.prepare import Sources, read_rated
from selectllm.evaluation.suite import Suite, load_suite
from selectllm.evaluation.suite_entries import Gate
from selectllm.jobs.batching import asked_in_batches
from selectllm.jobs.contents import UTILITY
from selectllm.jobs.measuring import meter_for
from selectllm.jobs.options import CalibrateSettings
from selectllm.jobs.outputs import check_written, read_by
from selectllm.selection.by_model import SelectSettings
from selectllm.selection.strategies import Strategy, find_strategy
from selectllm.utility.calibration import calibration
from selectllm.utility.schema import Calibration
from selectllm.utility.utility import Utility
from selectllm.utility.utility_file import write_utility

if TYPE_CHECKING:
    from selectllm.jobs.session import Session
    from selectllm.selection.scorers.item_scorer import Meter


async def calibrate(
    suite_file: Path, settings: CalibrateSettings, *, session: Session
) -> Calibration:
    """How far a judge agrees with people on the items that they rated, and what it would save.

    Raises UsageError for a judge or ratings that the suite does not name, and UtilityError where
    too few items have both. A strategy that asks a model is asked about the rated items, or with
    `out` about all; its replies are kept in the cache.
    """
    suite = load_suite(session.path(suite_file))
    human = _named(suite, settings.human or suite.gate.utility, "human")
    judge = _judge(suite, settings, session)
    if judge == human:
        raise UsageError(
            f"`judge`: {human!r} is what people rated, and would be compared with itself. Name "
            "another utility, or rating:PROMPT+MODEL",
            argument="judge",
        )
    names = {human, judge}
    entries = tuple(entry for entry in suite.utilities if entry.name in names)
    bare = suite.model_copy(update={"utilities": entries, "gate": Gate()})
    with session.computing("embedding") as progress:
        embedder = session.embedder(progress, suite.encoder_name)
        data = read_rated(bare, Sources(embedder, session.clusters, partial=True))
    session.note_pool(data.pool)
    by_name = {utility.name: utility for utility in data.utilities}
    members = [member for cluster in data.clusters for member in cluster.members]
    ours = by_name[human].of(members)
    if isinstance(judge, str):
        theirs = by_name[judge]
    else:
        told: list[str] = []  # once, however many batches there are

        async def measured(session: Session) -> Utility:
            if not told:
                told.append(_seen_by(session, suite, data.pool, judge))
                session.note(told[0])
            first = await _measured(session, suite, data.pool, judge, set(ours.values))
            if settings.out is None:
                return first
            return await _measured(session, suite, data.pool, judge, set(members))

        theirs = await asked_in_batches(session, measured)
        if settings.out is not None:
            write_utility(session.path(settings.out), theirs, data.pool.sha256)
    return calibration(
        ours,
        theirs,
        data.pool.items,
        [cluster.members for cluster in data.clusters],
        suite.picks,
        suite=suite.name,
        most=settings.worst,
    )


def _seen_by(session: Session, suite: Suite, pool: Pool, strategy: Strategy) -> str:
    """Who is going to see texts of the pool."""
    from selectllm.evaluation.planning.destinations import destinations, measured_by
    from selectllm.evaluation.planning.schema import destinations_told

    meter = _meter(session, suite, pool, strategy)
    asked = measured_by([strategy], meter)
    return destinations_told(destinations([], asked, os.environ, [strategy]))


def _meter(session: Session, suite: Suite, pool: Pool, strategy: Strategy) -> Meter:
    """What `strategy` measures items with."""
    specs = {spec.name: spec for spec in suite.specs()} if strategy.calls_per_item else None
    return meter_for(session, pool, strategy, SelectSettings(budget=1, seed=suite.seed), specs)


async def _measured(
    session: Session, suite: Suite, pool: Pool, strategy: Strategy, wanted: Container[str]
) -> Utility:
    """What `strategy` gives the items of `wanted`, as a utility; those it cannot measure lack."""
    assert strategy.scorer is not None
    meter = _meter(session, suite, pool, strategy)
    items = [item for item in pool.items if item.id in wanted]
    with session.computing("measuring") as advance:
        measured = await strategy.scorer.score(items, replace(meter, progress=advance))
    values = {item_id: value for item_id, value in measured.values.items() if math.isfinite(value)}
    if items and not values:
        raise UtilityError(
            f"{strategy.name} gave none of the {len(items)} items a rating that can be read. Name "
            "another model, or look at the form of reply that the prompt asks for with selectllm "
            "prompts show PROMPT"
        )
    return Utility(
        name=strategy.name,
        source=f"strategy:{strategy.name}",
        kind="model" if strategy.calls_per_item else "proxy",
        values=values,
        rater=strategy.name,
    )


def _judge(suite: Suite, settings: CalibrateSettings, session: Session) -> str | Strategy:
    """The name of a utility, or a strategy that measures items."""
    wanted = settings.judge or suite.gate.assisted_by
    if wanted is None or ":" not in wanted or wanted in {each.name for each in suite.utilities}:
        if settings.out is not None:
            raise UsageError(
                "`out` stores the ratings of a strategy, but the judge is already a utility. "
                "Leave `out` out",
                argument="out",
            )
        return _named(suite, wanted, "judge")
    strategy = find_strategy(wanted, suite.folder)
    if strategy.scorer is None:
        raise UsageError(
            f"`judge`: {wanted} does not give each item a number. Name a utility of the "
            "suite, or rating:PROMPT+MODEL",
            argument="judge",
        )
    if settings.out is not None:
        path = session.path(settings.out)
        check_written("out", path, UTILITY, read_by(suite), session.workspace)
    return strategy


def _named(suite: Suite, wanted: str | None, argument: str) -> str:
    names = [entry.name for entry in suite.utilities]
    if wanted is None:
        raise UsageError(
            f"`{argument}` is missing, and the gate of the suite names no such utility. "
            f"Name one of the suite's utilities: {', '.join(names) or 'it has none'}",
            argument=argument,
        )
    if wanted not in names:
        raise UsageError(f"`{argument}`: {unknown('utility', wanted, names)}", argument=argument)
    return wanted
