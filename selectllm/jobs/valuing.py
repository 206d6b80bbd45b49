"""A utility file for a pool's items, computed or trained: `utility knn`, `ifd` and `student`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from selectllm.core.errors import UsageError
from selectllm.core.files import real
from selectllm.core.shown import counted
from selectllm.core.types import Pool
from selectllm.data.hub import is_hub, located, parse_hub
from selectllm.data.leakage import ItemsLeaked
from selectllm.data.pool import load_pool
from selectllm.downstream.trials.blocks import block_values, blocks
from selectllm.jobs.computing import interruptible
from selectllm.jobs.contents import UTILITY
from selectllm.jobs.leaks import Dropping, Found, Source, remaining_pool, settle
from selectllm.jobs.outputs import check_written
from selectllm.jobs.training_options import (
    BlockSettings,
    StudentSettings,
    TrialSettings,
    ValueSettings,
)
from selectllm.jobs.validating import gains_by_training
from selectllm.jobs.workshop import answered_pool, held_out, open_workshop
from selectllm.report.utilities import valued_text
from selectllm.utility.entries import IfdEntry, KnnEntry
from selectllm.utility.schema import UtilitySaved
from selectllm.utility.sources import UtilitySources, utility_of
from selectllm.utility.utility import Utility
from selectllm.utility.utility_file import write_utility

if TYPE_CHECKING:
    from selectllm.jobs.session import Session

Entry = TypeVar("Entry", KnnEntry, IfdEntry)


@dataclass(frozen=True, slots=True)
class Valued:
    """A utility in `file`, whose values have the sha256 of its header.

    `pool`: the file of the pool that it is of, where leaks were dropped from the one named.
    """

    file: Path
    sha256: str
    utility: Utility
    pool: Path | None = None

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
            pool=None if self.pool is None else str(self.pool),
        )

    @property
    def text(self) -> str:
        """The file, and how a suite names it."""
        return valued_text(self.summary)

    def to_json(self) -> dict[str, Any]:
        """The summary as --json prints it."""
        return self.summary.to_json()


def entry_of(kind: type[Entry], **said: Any) -> Entry:
    """What a suite would say. Raises UsageError for an argument that it could not."""
    try:
        return kind(**said)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UsageError(
            f"`{name}` {first['input']!r} is not a {name}. Give another one", argument=name
        ) from None


async def value(
    pool_file: str,
    entry: KnnEntry | IfdEntry,
    settings: ValueSettings | None = None,
    *,
    session: Session,
) -> Valued:
    """Compute the utility of a pool's items as a suite with `entry` does, and write its file.

    Raises UsageError for items without responses, and for test items that are in the pool, too,
    unless they are to be dropped. All of those are named in a file.
    """
    settings = settings or ValueSettings()
    path = out_file(Path(pool_file), entry.source, settings.out)
    read = (session.path(pool_file), *([session.path(entry.test)] if entry.source == "knn" else []))
    check_written("out", session.path(path), UTILITY, read, session.workspace)
    base = Path.cwd() / session.path(".")
    loaded = load_pool(located(base, pool_file), columns=settings.columns)
    session.note_pool(loaded.pool)
    session = session.of_pool(loaded)
    pool, rest = loaded.pool, None
    began = time.process_time()
    try:
        utility = _computed(session, base, entry, pool, settings.columns)
    except ItemsLeaked as error:
        held = Source("test", error.file, error.tests.items)
        found = [Found(held, Source("the pool", pool_file, pool.items), error.leaks)]
        sources = (pool.source, error.tests.source)
        dropping = Dropping(settings.drop_leaks, path, sources)
        settle(session, found, dropping)
        pool, rest = remaining_pool(session, pool, found, dropping, settings.columns)
        utility = _computed(session, base, entry, pool, settings.columns)
    cost = {"cpu_seconds": round(time.process_time() - began, 3)}
    return _written(session, path, replace(utility, cost=cost), (pool, rest))


def _computed(
    session: Session,
    base: Path,
    entry: KnnEntry | IfdEntry,
    pool: Pool,
    columns: Mapping[str, str],
) -> Utility:
    words = "embedding" if entry.source == "knn" else "scoring"
    with session.computing(words) as progress:
        embedder = session.embedder(progress)
        sources = UtilitySources(
            base, embedder, session.workspace.cache, progress=progress, columns=columns
        )
        return utility_of(entry, pool, sources)


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
    noisy one, with its reliability. Raises UsageError for items that are in two of pool, test and
    dev file, unless they are to be dropped.
    """
    settings = settings or ValueSettings()
    divided, trials, student = trainings
    path = out_file(Path(pool_file), "student", settings.out)
    student.check(trials.dev)
    read = (session.path(pool_file), session.path(trials.test))
    check_written("out", session.path(path), UTILITY, read, session.workspace)
    pool = answered_pool(session, pool_file, settings.columns)
    dropping = Dropping(settings.drop_leaks, path, (pool.source,))
    whole = Source("the pool", pool_file, pool.items)
    held = held_out(session, trials, whole, dropping, settings.columns)
    pool, rest = remaining_pool(session, pool, held.found, dropping, settings.columns)
    held = replace(held, rest=tuple(pool.items))
    sets = blocks(held.rest, divided.size, divided.passes, divided.seed)
    each = counted(trials.seeds, "training")
    session.note(f"The pool is divided into {counted(len(sets), 'block')}, with {each} for each.")
    with interruptible():
        shop = open_workshop(session, student, trials, held, divided.size)
        trained = gains_by_training(shop, sets)
    utility = replace(
        block_values(trained.gains, divided.primary, name=name, student=trained.student),
        cost={"cpu_seconds": round(trained.seconds, 3)},
    )
    return _written(session, path, utility, (pool, rest))


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
            f"`out` {out}: a utility file is JSON lines. End the name in .jsonl", argument="out"
        )
    if real(out) == real(pool):
        raise UsageError(
            f"`out` {out} is the pool itself, which is not overwritten. Choose another",
            argument="out",
        )
    return out


def _written(
    session: Session, path: Path, utility: Utility, of: tuple[Pool, Path | None]
) -> Valued:
    """`of`: the pool, and the file that it was written to, if it was."""
    pool, rest = of
    header = write_utility(session.path(path), utility, pool.sha256)
    return Valued(path, header.sha256, utility, rest)
