"""The sets that can be trained on: those of a `sets` run, or the one that `select` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.codec import sha256_json
from selectllm.core.errors import RunError
from selectllm.core.files import read_json
from selectllm.core.jsonl_log import LogContent, read_rows
from selectllm.core.names import for_files
from selectllm.core.types import Item, Pool
from selectllm.data.pool import load_pool
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.sets.log import SETS, SelectedSet, SetKey
from selectllm.selection.decision_log import read_log


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What one selector (the name of its arm) chose at one budget, with one seed."""

    arm: str
    budget: int
    seed: int
    items: tuple[Item, ...]

    @property
    def name(self) -> str:
        """Readable, fit for a file, and another for every set; as its decision log is called."""
        readable = for_files(self.arm)
        digest = sha256_json([self.arm, self.budget, self.seed])[:8]
        return f"{readable}-{self.budget}-seed{self.seed}-{digest}"


@dataclass(frozen=True, slots=True)
class TrainingSets:
    """Sets of one pool. `suite`: its name; None for a selection that no suite described."""

    pool_sha256: str
    suite: str | None
    sets: tuple[TrainingSet, ...]


def sets_of_run(folder: Path, pool: Pool) -> TrainingSets:
    """The sets that `selectllm sets` left in `folder`, by selector, budget and seed.

    Raises RunError if it is no such folder, not finished, or of another pool than `pool`.
    """
    log = _read_sets(folder)
    try:
        suite, pool_sha256 = str(log.manifest["suite"]), str(log.manifest["pool_sha256"])
        keys = _keys(log.manifest, _left_out(folder))
    except (KeyError, TypeError, ValueError):
        raise RunError(f"{folder}: sets.jsonl or sets.json is damaged. Run it again") from None
    if pool_sha256 != pool.sha256:
        raise RunError(
            f"{folder}: its sets were not selected from {pool.source or 'this pool'}, which "
            f"has other items (sha256 {pool.sha256[:12]}, not {pool_sha256[:12]}). Name the "
            "pool that they were selected from, with its `columns`",
            argument="pool",
        )
    if missing := [key for key in keys if key not in log.latest]:
        raise RunError(
            f"{folder}: {len(missing)} of {len(keys)} sets are not finished, such as {missing[0]}. "
            "Run the same command again to finish it"
        )
    return TrainingSets(pool_sha256, suite, tuple(_set(log.latest[key], pool) for key in keys))


def _read_sets(folder: Path) -> LogContent[SetKey, SelectedSet]:
    path = folder / "sets.jsonl"
    if not path.is_file():
        raise RunError(f"{folder} holds no sets.jsonl. Name a folder that `sets` wrote")
    return read_rows(path, SETS)


def _left_out(folder: Path) -> set[str]:
    """The selectors that sets.json says could not select."""
    path = folder / "sets.json"
    if not path.is_file():
        raise RunError(f"{folder} is not finished. Run the same command again to finish it")
    try:
        return {str(each["selector"]) for each in read_json(path)["left_out"]}
    except (KeyError, TypeError):
        raise RunError(f"{path} was not written by `sets`, or is damaged. Select again") from None


def _keys(manifest: Mapping[str, Any], left_out: Set[str]) -> list[SetKey]:
    """What sets a finished folder holds."""
    entry = manifest["sets"]
    arms = [arm for arm in manifest["selectors"] if arm not in left_out]
    return [(a, b, s) for a in arms for b in sorted(entry["budgets"]) for s in entry["seeds"]]


def _set(made: SelectedSet, pool: Pool) -> TrainingSet:
    items = tuple(pool.by_id[item_id] for item_id in made.ids)
    return TrainingSet(made.selector, made.budget, made.seed, items)


def set_of_selection(path: Path, columns: Mapping[str, str] | None = None) -> TrainingSets:
    """The one set that `selectllm select` wrote to `path`; `columns`: as it was selected with.

    Raises RunError if no decision log beside it says what it was made from, or it was cut or
    added to since; PoolError as load_pool does.
    """
    items = load_pool(path, columns=columns).pool.items
    log_path = path.with_name(f"{path.name}.decisions.jsonl")
    if not log_path.is_file():
        raise RunError(f"{path}: {log_path.name} is not beside it. Name a file that `select` wrote")
    manifest = read_log(log_path).manifest
    try:
        strategy, budget = manifest.get("strategy"), int(manifest["budget"])
        arm = (
            Arm(strategy=strategy)
            if strategy
            else Arm(manifest["prompt"], manifest["model"]["name"])
        )
        pool_sha256, seed = str(manifest["pool_sha256"]), int(manifest["seed"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(f"{log_path}:1: is not a manifest of `select`. Select again") from None
    foreign = [item.id for item in items if "_selectllm" not in item.row]
    if foreign or len(items) > budget:
        raise RunError(
            f"{path}: {len(items)} items, of which {len(foreign)} were not selected, for a budget "
            f"of {budget}. The file was changed. Select again"
        )
    return TrainingSets(pool_sha256, None, (TrainingSet(arm.name, budget, seed, tuple(items)),))
