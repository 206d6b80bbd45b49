"""The decision log: JSON lines, the manifest first, then one decision a line as they are made.

Append-only and flushed per decision, so that a killed run loses nothing that was paid for. A torn
last line is dropped. The last line of a key wins, and only `error` is asked again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from selectllm.codec import canonical_json, sha256_json
from selectllm.errors import RunError
from selectllm.types import Attempt, Decision

if sys.platform != "win32":
    import fcntl

Key = tuple[str, str, int, int, int, int]


def decision_key(decision: Decision) -> Key:
    """(prompt, model or strategy, cluster, order, repeat, round): what a decision answers."""
    return (
        decision.prompt or "",
        decision.model or f"strategy:{decision.strategy}",
        decision.cluster,
        decision.order,
        decision.repeat,
        decision.round,
    )


def decision_row(decision: Decision) -> dict[str, Any]:
    """A decision as JSON fields; a model's has no `strategy`, a strategy's no `model`."""
    row: dict[str, Any] = {
        name: getattr(decision, name) for name in ("cluster", "order", "repeat", "round", "status")
    }
    for name in ("shown", "picks", "problems"):
        row[name] = list(getattr(decision, name))
    if decision.strategy is not None:
        row["strategy"] = decision.strategy
    else:
        row |= {
            "prompt": decision.prompt,
            "prompt_sha256": decision.prompt_sha256,
            "model": decision.model,
        }
    if decision.ranking is not None:
        row["ranking"] = list(decision.ranking)
    row["attempts"] = [
        {name: getattr(attempt, name) for name in Attempt.__slots__}
        for attempt in decision.attempts
    ]
    return row


def decision_from_row(row: Mapping[str, Any]) -> Decision:
    """The inverse of `decision_row`. Raises KeyError or TypeError on other rows."""
    fields = dict(row)
    for name in ("shown", "picks", "problems"):
        fields[name] = tuple(fields[name])
    fields["attempts"] = tuple(Attempt(**attempt) for attempt in fields["attempts"])
    if fields.get("ranking") is not None:
        fields["ranking"] = tuple(fields["ranking"])
    return Decision(**fields)


@dataclass(frozen=True, slots=True)
class LogContent:
    """What a log holds: its manifest and the latest decision of every key.

    `intact`: bytes up to the end of the last whole line; 0 if not even the manifest is whole.
    """

    manifest: Any
    latest: dict[Key, Decision]
    intact: int


def read_log(path: Path) -> LogContent:
    """Read a log without changing it; a torn last line is left out.

    Raises RunError with file and line for anything else that is no log.
    """
    data = path.read_bytes()
    intact = data.rfind(b"\n") + 1
    manifest: Any = None
    latest: dict[Key, Decision] = {}
    for number, line in enumerate(data[:intact].split(b"\n")[:-1], start=1):
        try:
            row = json.loads(line)
            if number == 1:
                manifest = row["manifest"]
                continue
            decision = decision_from_row(row)
            latest[decision_key(decision)] = decision
        except (ValueError, KeyError, TypeError):
            raise RunError(
                f"{path}:{number}: not a decision; the log is damaged, remove it to start over"
            ) from None
    return LogContent(manifest, latest, intact)


class DecisionLog:
    """The log at `path`, opened for a call described by `manifest`.

    An existing log must have an equal manifest, and no other process may be writing to it:
    RunError otherwise, naming what differs.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle: IO[str] = open(path, "a", encoding="utf-8", newline="\n")
        try:
            _lock(self._handle, path)
            content = read_log(path)
            if content.intact:
                check_manifest(path, content.manifest, manifest)
        except RunError:
            self._handle.close()
            raise
        self._latest = content.latest
        os.truncate(path, content.intact)
        if not content.intact:
            self._write({"manifest": manifest, "manifest_sha256": sha256_json(manifest)})

    def done(self, key: Key) -> bool:
        """Whether `key` has a decision that stands; an error does not."""
        decision = self._latest.get(key)
        return decision is not None and decision.status != "error"

    def append(self, decision: Decision) -> None:
        """Write one decision through to the operating system."""
        self._latest[decision_key(decision)] = decision
        self._write(decision_row(decision))

    def decisions(self) -> list[Decision]:
        """The latest decision of every key, in the order of the keys."""
        return [self._latest[key] for key in sorted(self._latest)]

    def _write(self, row: Mapping[str, Any]) -> None:
        self._handle.write(canonical_json(row) + "\n")
        self._handle.flush()

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _lock(handle: IO[str], path: Path) -> None:
    """Keep other processes out until `handle` is closed, or its process ends."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(
            f"{path}: another process is writing to it; wait for that one, or name another "
            "place with -o"
        ) from None


def check_manifest(path: Path, found: Any, expected: Mapping[str, Any]) -> None:
    """Raise RunError unless the manifest at `path` is the one of this call."""
    wanted = json.loads(canonical_json(expected))
    if found == wanted:
        return
    different = sorted(_differences(found, wanted))
    raise RunError(
        f"{path}: belongs to another call ({', '.join(different[:5])} differ); "
        "name another place with -o, or remove it"
    )


def _differences(found: Any, expected: Mapping[str, Any]) -> Iterable[str]:
    if not isinstance(found, dict):
        return ["the manifest"]
    names = found.keys() | expected.keys()
    return [name for name in names if found.get(name) != expected.get(name)]
