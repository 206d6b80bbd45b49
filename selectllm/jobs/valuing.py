"""A utility file for a pool's items, computed or trained: `utility knn`, `ifd` and `student`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.errors import UsageError
from selectllm.data.hub import is_hub, located, parse_hub
from selectllm.data.pool import load_pool
from selectllm.downstream.student.schema import Aggregation
from selectllm.downstream.trials.blocks import block_values, blocks
from selectllm.jobs.computing import interruptible
from selectllm.jobs.contents import UTILITY
from selectllm.jobs.outputs import check_written
from selectllm.jobs.validating import gains_by_training
from selectllm.jobs.workshop import (
    StudentSettings,
    TrialSettings,
    answered_pool,
    open_workshop,
)
from selectllm.utility.entries import IfdEntry, KnnEntry
from selectllm.utility.schema import UtilitySaved
from selectllm.utility.sources import UtilitySources, utility_of
from selectllm.utility.utility import Utility
from selectllm.utility.utility_file import write_utility

if TYPE_CHECKING:
    from selectllm.jobs.session import Session


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """By what trainings items are valued.

    `size`: items of a block. `passes`: times that the pool is divided; two or more tell the
    reliability. `seed`: of the blocks. `primary`: how a gain is a mean over the test items.
    """

    size: int = 20
    passes: int = 4
    seed: int = 0
    primary: Aggregation = "per_token"


@dataclass(frozen=True, slots=True)
class ValueSettings:
    """How the pool is read and where its utility goes.

    `out`: the file, by default beside the pool (see `out_file`). `columns`: of the pool, canonical
    name -> the file's column.
    """

    out: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Valued:
    """A utility in `file`, whose values have the sha256 of its header."""

    file: Path
    sha256: str
    utility: Utility

    @property
    def summary(self) -> UtilitySaved:
        """What it is, without its values."""
        utility = self.utility
        return UtilitySaved(
            file=str(self.file),
            name=utility.name,
            kind=utility.kind,
            rater=utility.rater,
            reliability=utility.reliability,
            items=len(utility.values),
            cost=dict(utility.cost),
            sha256=self.sha256,
        )

    def to_json(self) -> dict[str, Any]:
        """The summary as --json prints it."""
        return self.summary.to_json()


async def value(
    pool_file: str,
    entry: KnnEntry | IfdEntry,
    settings: ValueSettings | None = None,
    *,
    session: Session,
) -> Valued:
    """Compute the utility of a pool's items as a suite with `entry` does, and write its file.

    Raises UsageError for items without responses and for test items that are in the pool too.
    """
    settings = settings or ValueSettings()
    path = out_file(Path(pool_file), entry.source, settings.out)
    read = (session.path(pool_file), *([session.path(entry.test)] if entry.source == "knn" else []))
    check_written("out", session.path(path), UTILITY, read, session.workspace)
    base = Path.cwd() / session.path(".")
    loaded = load_pool(located(base, pool_file), columns=settings.columns)
    session = session.of_pool(loaded)
    began = time.process_time()
    words = "embedding" if entry.source == "knn" else "scoring"
    with session.computing(words) as progress:
        embedder = session.embedder(progress)
        sources = UtilitySources(base, embedder, session.workspace.cache, progress=progress)
        utility = utility_of(entry, loaded.pool, sources)
    cost = {"cpu_seconds": round(time.process_time() - began, 3)}
    return _written(session, path, replace(utility, cost=cost), loaded.pool.sha256)


async def value_by_training(
    pool_file: str,
    name: str,
    trainings: tuple[BlockSettings, TrialSettings, StudentSettings],
    settings: ValueSettings | None = None,
    *,
    session: Session,
) -> Valued:
    """Value a pool's items by students trained on blocks of them, and write the utility's file.

    Every pass divides the pool into blocks, and a student is trained on each: an outcome, but a
    noisy one, with its reliability.
    """
    settings = settings or ValueSettings()
    divided, trials, student = trainings
    path = out_file(Path(pool_file), "student", settings.out)
    read = (session.path(pool_file), session.path(trials.test))
    check_written("out", session.path(path), UTILITY, read, session.workspace)
    pool = answered_pool(session, pool_file, settings.columns)
    sets = blocks(pool.items, divided.size, divided.passes, divided.seed)
    session.note(f"{len(sets)} blocks, {trials.seeds} trainings each")
    with interruptible():
        shop = open_workshop(session, student, trials, pool, divided.size, settings.columns)
        trained = gains_by_training(shop, sets)
    utility = replace(
        block_values(trained.gains, divided.primary, name=name, student=trained.student),
        cost={"cpu_seconds": round(trained.seconds, 3)},
    )
    return _written(session, path, utility, pool.sha256)


def out_file(pool: Path, source: str, out: Path | None) -> Path:
    """Where the utility goes: `out`, or POOL without its suffixes and with .SOURCE.utility.jsonl.

    Of a pool on the hub NAME.SOURCE.utility.jsonl in the current folder. Raises UsageError for a
    name that is not .jsonl, and for the pool itself.
    """
    if out is None and is_hub(pool):
        return Path(f"{Path(parse_hub(pool).source).name}.{source}.utility.jsonl")
    if out is None:
        name = pool.with_suffix("") if pool.suffix.lower() == ".gz" else pool
        return name.with_name(f"{name.stem}.{source}.utility.jsonl")
    if out.suffix != ".jsonl":
        raise UsageError(
            f"`out` {out}: a utility file is JSON lines; end the name in .jsonl", argument="out"
        )
    if out.resolve() == pool.resolve():
        raise UsageError(
            f"`out` {out}: is the pool itself, which is not overwritten; name another",
            argument="out",
        )
    return out


def _written(session: Session, path: Path, utility: Utility, pool_sha256: str) -> Valued:
    header = write_utility(session.path(path), utility, pool_sha256)
    return Valued(path, header.sha256, utility)
