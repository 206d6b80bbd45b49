"""`selectllm select --strategy`: the whole pool in one go, measured first where that is needed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np

from selectllm.cli.named_model import named_model
from selectllm.cli.options import ModelOptions
from selectllm.cli.session import CommandSession
from selectllm.core.errors import UsageError
from selectllm.core.types import Pool
from selectllm.models.model import ModelSpec
from selectllm.selection.by_model import SelectSettings
from selectllm.selection.scorers.item_scorer import Measured, Meter
from selectllm.selection.strategies import Candidates, Strategy
from selectllm.utility.ratings import ratings

NOTHING = Measured({})


def meter_for(
    session: CommandSession,
    pool: Pool,
    strategy: Strategy,
    settings: SelectSettings,
    named: ModelOptions,
) -> Meter:
    """What measures `pool` for `strategy`; a utility is a numeric column of the pool.

    Raises a UsageError for what cannot be measured.
    """
    measure = strategy.measure
    specs: dict[str, ModelSpec] = {}
    utilities = {}
    if measure is not None and measure.kind in ("rating", "open-endedness"):
        model = measure.of.partition("+")[2] if measure.kind == "rating" else measure.of
        if "/" not in model:
            raise UsageError(
                f"strategy {strategy.name}: no model {model!r}; name one as PROVIDER/MODEL"
            )
        specs[model] = named_model(model, named)
    elif named.api_base is not None or named.model_arg:
        raise UsageError(
            f"--api-base and --model-arg are settings of a model, and strategy {strategy.name} "
            "asks none"
        )
    if measure is not None and measure.kind == "utility":
        column = measure.of
        utilities[column] = ratings(pool, name=column, column=column, kind="human").values
    meter = Meter(
        library=session.library,
        base=Path.cwd(),
        shared=session.connections(),
        folder=session.workspace.cache,
        specs=specs,
        utilities=utilities,
        settings=settings.ask,
        seed=settings.seed,
    )
    meter.check(strategy, pool.items)
    return meter


def candidates_for(
    session: CommandSession, pool: Pool, strategy: Strategy, settings: SelectSettings, meter: Meter
) -> tuple[Candidates, Measured]:
    """The pool with the vectors and values that `strategy` needs."""
    vectors, values, measured = None, None, NOTHING
    if strategy.needs_vectors:
        with session.progress("embedding") as advance:
            vectors = session.embedder(advance).of(pool.items)
    if strategy.measure is not None:
        with session.progress("measuring") as advance:
            measuring = replace(meter, progress=advance)
            measured = asyncio.run(measuring.measure(strategy.measure, pool.items))
        values = np.array([measured.values[item.id] for item in pool.items])
        missing = int(np.isnan(values).sum())
        if missing:
            session.note(f"{missing} of {len(pool)} items could not be measured: never picked")
    return Candidates(pool.items, settings.seed, vectors, values), measured
