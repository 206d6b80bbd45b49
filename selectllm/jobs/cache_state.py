"""What the reply cache holds, and whether it is whole."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.core.shown import counted, visible
from selectllm.models.wrappers.bill import Bill
from selectllm.models.wrappers.cache import ReplyCache, remedy
from selectllm.models.wrappers.cache_repair import ASIDE, CacheState, clear, examine, repair
from selectllm.models.wrappers.network_place import check_local
from selectllm.models.wrappers.shared_budget import budgets, forget
from selectllm.models.wrappers.shared_state import SharedState

SHOWN = 20  # damaged rows that are told
EXCERPT = 50  # characters of a reply that are told
PARTS = ("replies", "vectors", "clusters", "student", "shared.sqlite3")
"""By one of these a folder is known for a cache."""


def check_is_cache(folder: Path) -> None:
    """Raise UsageError unless something was ever kept in the folder, which somebody named."""
    if not any((folder / part).exists() for part in PARTS):
        raise UsageError(
            f"`cache` {folder}: there is no cache. Name the folder that has replies/ in it, or "
            "leave this out for the workspace's",
            argument="cache",
        )


@dataclass(frozen=True, slots=True)
class CacheSummary:
    """The cached replies of each model and what they cost, and the budgets beside them.

    `bytes`: of the folder's files. `models`: as ReplyCache.by_model gives them.
    """

    folder: Path
    replies: int
    bytes: int
    models: Mapping[str, Mapping[str, Any]]
    shared: Mapping[str, Bill]

    @property
    def text(self) -> str:
        """In sentences."""
        lines = [f"{self.folder}: {counted(self.replies, 'reply')}, {self.bytes / 1e6:.1f} MB"]
        lines += [
            f"  {model}: {counted(entry['replies'], 'reply')}, {entry['tokens_in']} + "
            f"{entry['tokens_out']} tokens, {entry['cost_usd']:.4f} USD when they were made"
            for model, entry in sorted(self.models.items())
        ]
        read = sum(entry["replies"] for entry in self.models.values())
        if read < self.replies:
            lines.append(
                f"  {counted(self.replies - read, 'reply')} of a newer version of selectllm, which "
                "this one cannot read"
            )
        lines += [
            f"  budget {name}: {spent.usd:.4f} USD, {spent.tokens:,} tokens and "
            f"{spent.requests:,} requests so far"
            for name, spent in self.shared.items()
        ]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        summary = {"folder": str(self.folder), "bytes": self.bytes, "models": self.models}
        return {**summary, "budgets": {name: asdict(each) for name, each in self.shared.items()}}


def summary_of(folder: Path) -> CacheSummary:
    """What the cache in `folder` holds. It is not made. Raises CacheError where it is unusable."""
    check_local(folder)
    shared = budgets(SharedState(folder.parent))
    with closing(ReplyCache(folder, reading=True)) as cache:
        return CacheSummary(folder, len(cache), cache.size, cache.by_model(), shared)


def lines_of(cache: ReplyCache, limit: int, *, as_json: bool) -> Iterator[str]:
    """The newest replies, a line each: as JSON, or key, time, model, tokens and its beginning."""
    rows = sorted(cache.rows(), key=lambda pair: -pair[1]["at"])[:limit]
    if not rows and not as_json:
        yield "There are no replies in the cache."
    for key, row in rows:
        if as_json:
            yield json.dumps({"key": key, **row}, sort_keys=True, ensure_ascii=False)
            continue
        reply = row["reply"]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["at"]))
        text = " ".join(reply["text"].split())[:EXCERPT]
        yield visible(f"{key[:12]}  {when}  {row['model']}  {reply['tokens_in']} tokens  {text}")


@dataclass(frozen=True, slots=True)
class CacheCheck:
    """Whether the replies of `folder` are whole; `mended`: they are now."""

    folder: Path
    state: CacheState
    mended: bool

    @property
    def failed(self) -> bool:
        """Whether something is damaged still."""
        return bool(self.state.damaged) and not self.mended

    @property
    def text(self) -> str:
        """In sentences."""
        state, folder = self.state, self.folder
        lines = [f"  {line}" for line in state.damaged[:SHOWN]]
        if len(state.damaged) > SHOWN:
            lines.append(f"  and {len(state.damaged) - SHOWN} more")
        if state.unfinished:
            lines.append(
                f"The cache in {folder} is empty: the command that was making it was stopped. "
                "There is nothing to do, because the next command goes on with it."
            )
        elif not (state.whole or state.damaged or state.newer):
            lines.append(f"The cache in {folder} is empty. There is nothing to do.")
        elif not state.damaged:
            lines.append(
                f"All {state.whole} replies in {folder} are whole. There is nothing to do."
            )
        elif self.mended:
            lines.append(f"The {state.whole} replies in {folder} that are whole were kept.")
            lines.append(
                f"The damaged database is now {folder / ASIDE}. Remove it once you are sure."
            )
        else:
            whole = f"{state.whole} replies in {folder} are whole, and others are damaged."
            lines.append(f"{whole} {remedy(folder)}")
        if state.newer:
            lines.append(
                f"{counted(state.newer, 'reply')} of a newer version of selectllm cannot be read "
                "by this one. They were left as they are. To use them, install that version here."
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """As --json prints it; `newer` only where there are some."""
        state = self.state
        content = {"folder": str(self.folder), "whole": state.whole, "damaged": list(state.damaged)}
        return {**content, "newer": state.newer} if state.newer else content


def check_cache(folder: Path, *, mend: bool = False) -> CacheCheck:
    """Examine every reply; `mend`: keep the whole ones alone. Raises CacheError as `examine`."""
    return CacheCheck(folder, repair(folder) if mend else examine(folder), mend)


def clear_all(folder: Path) -> str:
    """Remove every reply, and say what that was."""
    count = clear(folder)
    removed = "the damaged cache" if count is None else counted(count, "reply")
    return (
        f"Removed {removed} from {folder}. The next command that needs a reply asks for it again."
    )


def check_clearing(
    pool: Path | None, budget: str | None, *, columns: Mapping[str, str], unknown: bool
) -> None:
    """Raise UsageError for what cannot be cleared at once."""
    if pool is None and (columns or unknown):
        raise UsageError(
            "`columns` and `unknown` describe a pool, so `pool` is missing. Name its file",
            argument="pool",
        )
    if pool is not None and budget is not None:
        raise UsageError(
            "`budget` resets a budget and keeps every reply, and `pool` removes what belongs to "
            "a pool. Give only one of them",
            argument="budget",
        )


def begin_anew(cache: Path, budget: str) -> str:
    """Forget what was spent under a shared budget, and say what that was. Raises UsageError."""
    state = SharedState(cache)
    spent = forget(state, budget)
    if spent is None:
        known = list(budgets(state))
        why = unknown("shared budget", budget, known)
        if not known:
            why = "nothing was spent under any shared budget of this workspace"
        raise UsageError(f"`budget` {budget!r} cannot be reset, because {why}", argument="budget")
    return f"The budget {budget} was reset. {spent.usd:.4f} USD had been spent under it."
