"""Sheets of the items that people are to rate: what `utility ask` does."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.errors import PoolError, RunError, UsageError
from selectllm.core.files import read_json
from selectllm.core.shown import counted
from selectllm.core.types import Cluster, Pool
from selectllm.data.hub import located
from selectllm.data.layouts import TURNS
from selectllm.data.pool import load_pool
from selectllm.evaluation.comparison.arm_results import arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.rated_differences import differing
from selectllm.evaluation.comparison.rated_sample import draw
from selectllm.evaluation.comparison.run_inputs import RunInputs, read_run_inputs
from selectllm.evaluation.runs.prepare import Sources, read_data
from selectllm.evaluation.runs.verify import finished_decisions
from selectllm.evaluation.suite import Suite, load_suite
from selectllm.evaluation.suite_entries import Gate
from selectllm.jobs.options import RatingRequest
from selectllm.report.next_steps import command
from selectllm.selection.strategies import is_analytic
from selectllm.utility.annotation.asked import Asking, default_rubric
from selectllm.utility.annotation.sheets import write_sheets
from selectllm.utility.imported import read_ratings
from selectllm.utility.schema import DrawnSample

if TYPE_CHECKING:
    from selectllm.jobs.session import Session

SCALE = (1.0, 5.0)


@dataclass(frozen=True, slots=True)
class Asked:
    """The sheets that were written, one for each rater, with `items` each."""

    sheets: tuple[Path, ...]
    items: int
    raters: int

    @property
    def text(self) -> str:
        """What was written, and what comes next."""
        sheets = [str(sheet) for sheet in self.sheets]
        items, raters = counted(self.items, "item"), counted(self.raters, "rater")
        return (
            f"Wrote {items} for {raters} to {', '.join(sheets)}.\n"
            f"Once they are filled in, run: {command('utility', 'import', *sheets)}"
        )

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        sheets = [str(sheet) for sheet in self.sheets]
        return {"sheets": sheets, "items": self.items, "raters": self.raters}


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the items to be rated come from."""

    suite: str
    pool: Pool
    ids: Collection[str]
    range: tuple[float, float] | None
    clusters: Sequence[Cluster]
    picks: int

    def drawn(self, count: int, seed: int) -> tuple[_Source, DrawnSample]:
        """Of so many clusters alone, drawn at random."""
        sample, clusters = draw(self.clusters, self.picks, count, seed)
        within = {member for cluster in clusters for member in cluster.members}
        return replace(self, ids=[i for i in self.ids if i in within]), sample


async def ask(target: Path, settings: RatingRequest, *, session: Session) -> Asked:
    """Write a sheet of the items to be rated: of a suite's clusters, or of a run's.

    Shuffled, with the rubric on top; which arm picked what is not in it. Raises UsageError where
    there is nothing to rate, and for a sheet that exists.
    """
    place = session.path(target)
    if place.is_dir():
        source = _of_run(place, settings.differing)
    elif settings.differing:
        raise UsageError(
            f"`differing`: {target} is not a run folder. Run ab (or eval with two pairs) first "
            "and name its folder",
            argument="differing",
        )
    else:
        source = _of_suite(place, settings.limit, session)
    sample = None
    if settings.sample is not None:
        source, sample = source.drawn(settings.sample, settings.seed)
    known = read_ratings(session.path(settings.rated)).values if settings.rated else {}
    ids = sorted(item_id for item_id in source.ids if item_id not in known)
    if not ids:
        raise UsageError(f"{target}: There is nothing to rate{_nothing(source, settings)}")
    scale = settings.scale or source.range or SCALE
    asking = Asking(
        suite=source.suite,
        pool_sha256=source.pool.sha256,
        range=scale,
        differing=settings.differing,
        raters=settings.raters,
        ids=tuple(ids),
        rubric=_rubric(settings.rubric, scale, session),
        sample=sample,
    )
    items = [source.pool.by_id[item_id] for item_id in ids]
    sheets = write_sheets(
        session.path(settings.out),
        items,
        asking,
        seed=settings.seed,
        with_responses=settings.with_responses,
    )
    return Asked(tuple(sheets), len(items), settings.raters)


def _nothing(source: _Source, settings: RatingRequest) -> str:
    if source.ids:
        return f", because {settings.rated} has all {len(source.ids)} items"
    return (
        ", because both arms picked the same items in every cluster" if settings.differing else ""
    )


def _rubric(path: Path | None, scale: tuple[float, float], session: Session) -> str:
    if path is None:
        return default_rubric(scale)
    try:
        return session.path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"`rubric` {path} cannot be read as text ({error})", argument="rubric"
        ) from None


def _of_suite(path: Path, limit: int | None, session: Session) -> _Source:
    """All items of the suite's clusters; its utilities need not exist yet."""
    suite = load_suite(path)
    bare: dict[str, Any] = {"utilities": (), "gate": Gate()}
    if limit is not None:
        bare["clusters"] = suite.clusters.model_copy(update={"limit": limit})
    with session.computing("embedding") as progress:
        embedder = session.embedder(progress, suite.encoder_name)
        sources = Sources(embedder, session.clusters)
        data = read_data(suite.model_copy(update=bare), sources)
    session.note_pool(data.pool)
    members = [member for cluster in data.clusters for member in cluster.members]
    return _Source(suite.name, data.pool, members, _range_of(suite), data.clusters, suite.picks)


def _range_of(suite: Suite) -> tuple[float, float] | None:
    """The range of the utility that decides, if the suite says one."""
    ranges = [
        getattr(entry, "range", None)
        for entry in suite.utilities
        if suite.gate.utility in (None, entry.name)
    ]
    return ranges[0] if ranges else None


def _of_run(folder: Path, only_differing: bool) -> _Source:
    """The items of a run's clusters, or those in which its arms differ."""
    inputs = read_run_inputs(folder)
    pool = pool_of_run(folder)
    headline = inputs.headline
    ids: Collection[str] = [m for cluster in inputs.clusters for m in cluster.members]
    if only_differing:
        ids = _differing(folder, inputs)
    scale = headline.range if headline else None
    return _Source(inputs.suite, pool, ids, scale, inputs.clusters, inputs.picks)


def columns_of_run(folder: Path) -> dict[str, str]:
    """Which columns of the pool of a run hold what; `pool_of_run` checks that it says so."""
    columns: dict[str, str] = read_json(folder / "run.json")["pool"]["columns"]
    return columns


def pool_of_run(folder: Path) -> Pool:
    """The pool of a run, found where run.json says it was."""
    described = read_json(folder / "run.json")
    try:
        place, columns = described["pool"]["path"], described["pool"]["columns"]
        expected = described["manifest"]["pool_sha256"]
    except (KeyError, TypeError):
        raise RunError(
            f"{folder}/run.json does not say where the pool is. Run the evaluation again"
        ) from None
    where = Path(os.path.normpath(located(folder.resolve(), place)))
    try:
        pool = load_pool(where, columns=columns).pool
        if pool.sha256 != expected and TURNS not in columns:  # 0.2.0 showed first turns
            first = load_pool(where, columns={**columns, TURNS: "first"}).pool
            pool = first if first.sha256 == expected else pool
    except PoolError as error:
        raise RunError(
            f"{error}. {folder}/run.json says that the run's pool is there, seen from the folder: "
            "move the folder back, or the pool with it"
        ) from None
    if pool.sha256 != expected:
        raise RunError(f"{pool.source} is not the pool that {folder} was made from. Restore it")
    return pool


def _differing(folder: Path, inputs: RunInputs) -> set[str]:
    """Ids of the items that exactly one of the run's arms picked; of several, any against a."""
    comparison = inputs.comparison
    arms = comparison.arms if comparison else tuple(Arm(*pair) for pair in inputs.pairs)
    if len(arms) < 2 or (comparison is None and len(arms) > 2):
        raise UsageError(
            f"`differing`: {folder} compares {len(arms)} pairs, so it is not clear which two are "
            "meant. Name the folder of an ab",
            argument="differing",
        )
    for arm in arms:
        if arm.strategy is not None and is_analytic(arm.strategy):
            raise UsageError(
                f"`differing`: {arm.name} stands for all picks at once, so it differs in every "
                "item. Ask for all of them without `differing`",
                argument="differing",
            )
    results = arm_results(inputs, finished_decisions(folder, inputs))
    first, *others = [results[arm] for arm in arms]
    return {
        item_id
        for other in others
        for items in differing(first.decisions, other.decisions, inputs.picks).values()
        for item_id in items
    }
