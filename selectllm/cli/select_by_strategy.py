"""`selectllm select --strategy`: the whole pool in one go, measured first where that is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
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


class _NamedModels(Mapping[str, ModelSpec]):
    """Every model by its id, with the settings that the command line gives; none is listed."""

    def __init__(self, strategy: Strategy, named: ModelOptions) -> None:
        self._strategy, self._named = strategy, named

    def __getitem__(self, name: str) -> ModelSpec:
        if "/" not in name:
            raise UsageError(
                f"strategy {self._strategy.name}: no model {name!r}; name one as PROVIDER/MODEL"
            )
        return named_model(name, self._named)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _Columns(Mapping[str, Mapping[str, float]]):
    """Every numeric column of a pool as a utility; none is listed."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._read: dict[str, Mapping[str, float]] = {}

    def __getitem__(self, column: str) -> Mapping[str, float]:
        if column not in self._read:
            utility = ratings(self._pool, name=column, column=column, kind="human")
            self._read[column] = utility.values
        return self._read[column]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


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
    if not strategy.calls_per_item and (named.api_base is not None or named.model_arg):
        raise UsageError(
            f"--api-base and --model-arg are settings of a model, and strategy {strategy.name} "
            "asks none"
        )
    meter = Meter(
        library=session.library,
        base=Path.cwd(),
        shared=session.connections(),
        folder=session.workspace.cache,
        specs=_NamedModels(strategy, named),
        utilities=_Columns(pool),
        settings=settings.ask,
        seed=settings.seed,
    )
    strategy.check(pool.items, meter)
    return meter


def candidates_for(
    session: CommandSession, pool: Pool, strategy: Strategy, settings: SelectSettings, meter: Meter
) -> tuple[Candidates, Measured]:
    """The pool with the vectors and values that `strategy` needs."""
    vectors, values, measured = None, None, NOTHING
    if strategy.needs_vectors:
        with session.progress("embedding") as advance:
            vectors = session.embedder(advance).of(pool.items)
    if strategy.scorer is not None:
        with session.progress("measuring") as advance:
            measuring = replace(meter, progress=advance)
            measured = asyncio.run(strategy.scorer.score(pool.items, measuring))
        values = np.array([measured.values[item.id] for item in pool.items])
        missing = int(np.isnan(values).sum())
        if missing:
            session.note(f"{missing} of {len(pool)} items could not be measured: never picked")
    return Candidates(pool.items, settings.seed, vectors, values), measured
