"""Forget a pool: what the cache keeps of its texts, and what else on the disk does."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.codec import load_json
from selectllm.core.errors import UsageError
from selectllm.core.files import read_json
from selectllm.core.shown import counted
from selectllm.core.types import Pool
from selectllm.data.pool import load_pool
from selectllm.data.stored_items import ids_of
from selectllm.jobs.outputs import nearby
from selectllm.jobs.workspace import Workspace
from selectllm.models.wrappers.asked import item_hash
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.cache_repair import ASIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST = 1 << 20  # bytes of a line that is looked into


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What the cache holds of the texts of `pool`, or what was removed of it.

    `keys`: of the replies to questions that showed one of its items, and with `unknown` of those
    too of which it is not known what they showed; else `unsaid` counts these. `usd`: what the
    replies cost. `vectors`: rows of texts. `clusters`: files of how the pool was divided. `left`:
    commands that remove what else holds its texts or picks, each with what that is.
    """

    pool: Pool
    keys: tuple[str, ...]
    usd: float
    unsaid: int
    vectors: int
    clusters: tuple[Path, ...]
    left: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """In sentences, as what was removed."""
        lines = [f"Removed what belongs to {self.pool.source}: {self.amounts}."]
        if self.unsaid:
            lines.append(
                f"For {self.unsaid:,} other replies it is not known which items they showed, "
                "because an earlier version of selectllm kept them or their prompts contained "
                "something other than items. They were kept. To remove them as well, add "
                "`unknown`."
            )
        if self.left:
            lines.append("These still hold texts, picks or replies of it. To remove them, run:")
            lines += [f"  {command}    # {what}" for what, command in self.left]
        lines.append(
            "Files that were written elsewhere (selections, reports, packs) were not searched."
        )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """As JSON, the paths as text."""
        counts = {"usd": self.usd, "unsaid": self.unsaid, "vectors": self.vectors}
        clusters, left = [str(path) for path in self.clusters], [list(each) for each in self.left]
        return {**counts, "keys": list(self.keys), "clusters": clusters, "left": left}

    @property
    def amounts(self) -> str:
        """How much it is."""
        return (
            f"{counted(len(self.keys), 'reply')} (which cost {self.usd:.4f} USD), "
            f"{counted(self.vectors, 'vector')} and {counted(len(self.clusters), 'file')} of its "
            "clusters"
        )


def to_forget(
    cache: ReplyCache,
    file: Path,
    workspace: Workspace,
    *,
    columns: Mapping[str, str] | None = None,
    unknown: bool = False,
) -> Forgotten:
    """What the cache of a workspace holds of the pool in `file`, its items known by their texts.

    `columns`: how to read it, as load_pool. `unknown`: also the replies of which it is not known
    what they showed. Nothing is removed. Raises PoolError, and as the cache does.
    """
    pool = load_pool(file, columns=columns).pool
    items = {item_hash(item.instruction, item.input) for item in pool.items}
    showing, unsaid = list[str](), list[str]()
    for key, asked in cache.tags():
        if asked is None or asked.shown is None:
            unsaid.append(key)
        elif not items.isdisjoint(asked.shown):
            showing.append(key)
    keys = (*showing, *unsaid) if unknown else tuple(showing)
    costs = (row["reply"]["cost_usd"] or 0.0 for _, row in cache.rows_of(keys))
    return Forgotten(
        pool=pool,
        keys=tuple(keys),
        usd=float(sum(costs)),
        unsaid=0 if unknown else len(unsaid),
        vectors=_vectors(workspace, pool),
        clusters=tuple(_clusters(workspace.cache / "clusters", pool)),
        left=tuple(_left(workspace, pool, frozenset(keys))),
    )


def forget(cache: ReplyCache, workspace: Workspace, forgotten: Forgotten) -> None:
    """Remove it. Begun again after it was stopped in between, it removes the rest."""
    from selectllm.data.vector_store import stores

    for store in stores(workspace.cache / "vectors"):
        store.forget(_text_keys(forgotten.pool))
    for path in forgotten.clusters:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"{path} cannot be removed ({error.strerror})") from None
    cache.remove(forgotten.keys)


def _text_keys(pool: Pool) -> NDArray[np.bytes_]:
    from selectllm.data.vector_store import text_keys

    texts = {item.text for item in pool.items}
    texts |= {each for item in pool.items for each in (item.instruction, item.input) if each}
    texts |= {item.response for item in pool.items if item.response}
    return text_keys(sorted(texts))


def _vectors(workspace: Workspace, pool: Pool) -> int:
    from selectllm.data.vector_store import stores

    found = stores(workspace.cache / "vectors")
    keys = _text_keys(pool) if found else None
    return 0 if keys is None else sum(len(store.holding(keys)) for store in found)


def _clusters(folder: Path, pool: Pool) -> Iterator[Path]:
    """The files that say how this pool, or what filters left of it, was divided.

    What is left of a pool has a hash of its own, so that it is known by its ids. Those of another
    pool with the same ids go with it: they are only divided again.
    """
    from selectllm.selection.clustering.packed_clusters import packed_of

    yield from packed_of(folder, ids_of(pool.items))
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(UsageError):  # what is no such file is nobody's clusters
            content = read_json(path)
            if content.get("pool_sha256") == pool.sha256 or _within(_members(content), pool):
                yield path


def _members(content: Mapping[str, Any]) -> list[Any]:
    """The ids in a file of clusters, as far as it is one."""
    clusters = content.get("clusters")
    entries = clusters if isinstance(clusters, list) else []
    members = [entry.get("members") for entry in entries if isinstance(entry, dict)]
    return [member for some in members if isinstance(some, list) for member in some]


def _within(ids: Sequence[Any], pool: Pool) -> bool:
    """Whether there are any, and all are items of this pool."""
    return bool(ids) and all(isinstance(each, str) and each in pool.by_id for each in ids)


def _left(workspace: Workspace, pool: Pool, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """What else holds texts of the pool, and the command that removes it."""
    for path in _results(workspace.runs, pool):
        yield "results: item ids, picks and replies", _removing(path)
    for path in _logs(workspace):
        lines = _lines(path)
        first = next(lines, {})
        if _names(path, pool) or _of_a_part(first, next(lines, {}), pool):
            yield "a log or results: item ids, picks and replies", _removing(path)
        elif {"key", "reply"} <= first.keys() and any(
            row.get("key") in keys for row in _lines(path)
        ):
            yield "a pack of replies", _removing(path)
    aside = workspace.cache / "replies" / ASIDE
    if aside.exists():
        yield "the damaged cache that a repair kept", _removing(aside)
    students = workspace.cache / "student"
    if students.exists():
        yield "what students learned, from this and other pools", _removing(students)
    if pool.source and Path(pool.source).exists():
        yield "the pool itself", _removing(Path(pool.source))


def _results(runs: Path, pool: Pool) -> list[Path]:
    """The folders that jobs made for this pool, outermost alone, and the files beside them."""
    named = (path for path in runs.rglob("*.json*") if _names(path, pool))
    found = {path if path.parent == runs else path.parent for path in named}
    return sorted(path for path in found if found.isdisjoint(path.parents))


def _names(path: Path, pool: Pool) -> bool:
    """Whether the content of a JSON file, or the first line of a log, has the pool's hash.

    Where in the manifest that stands depends on the verb; no other value is the same.
    """
    try:
        with path.open("rb") as handle:
            start = handle.readline(LONGEST) if path.suffix == ".jsonl" else handle.read()
    except OSError:
        return False
    return pool.sha256.encode() in start


def _of_a_part(first: Mapping[str, Any], row: Mapping[str, Any], pool: Pool) -> bool:
    """Whether a log is of what filters left of this pool: it says so, and shows its items."""
    manifest, shown = first.get("manifest"), row.get("shown")
    narrowed = isinstance(manifest, dict) and {"distinct", "prefilter"} & manifest.keys()
    return bool(narrowed) and isinstance(shown, list) and _within(shown, pool)


def _logs(workspace: Workspace) -> Iterator[Path]:
    """The JSON lines of a workspace, and the JSON in its eval/, beside its cache and its runs."""
    for folder, pattern in ((workspace.root, "*.jsonl"), (workspace.root / "eval", "**/*.json*")):
        for path in sorted(folder.glob(pattern)):
            if not path.is_relative_to(workspace.runs) and path.is_file():
                yield path


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, as far as it can be read."""
    with contextlib.suppress(OSError), path.open("rb") as handle:
        while line := handle.readline(LONGEST):
            with contextlib.suppress(ValueError):
                row = load_json(line)
                if isinstance(row, dict):
                    yield row


def _removing(path: Path) -> str:
    words = ["rm", "-r", str(nearby(path))] if path.is_dir() else ["rm", str(nearby(path))]
    return shlex.join(words)
