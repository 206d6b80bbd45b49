"""The decision log: JSON lines, the manifest first, then one decision a line as they are made.

Append-only and flushed per decision, so that a killed run loses nothing that was paid for. A torn
last line is dropped. The last line of a key wins, and only `error` is asked again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from selectllm.codec import canonical_json, sha256_json
from selectllm.errors import RunError
from selectllm.types import Attempt, Decision

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


class DecisionLog:
    """The log at `path`, opened for a call described by `manifest`.

    An existing log must have an equal manifest: RunError otherwise, naming what differs.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self.path = path
        self._latest: dict[Key, Decision] = {}
        intact = 0
        if path.exists():
            intact = self._read(manifest)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle: IO[str] = open(path, "a", encoding="utf-8", newline="\n")
        os.truncate(path, intact)
        if intact == 0:
            self._write({"manifest": manifest, "manifest_sha256": sha256_json(manifest)})

    def _read(self, manifest: Mapping[str, Any]) -> int:
        """Fill the log from its file; returns how many bytes of it are whole lines."""
        data = self.path.read_bytes()
        intact = data.rfind(b"\n") + 1
        first, *rows = data[:intact].split(b"\n")[:-1] or [b""]
        if not first:
            return 0
        check_manifest(self.path, _json(self.path, 1, first).get("manifest"), manifest)
        for number, line in enumerate(rows, start=2):
            try:
                decision = decision_from_row(_json(self.path, number, line))
            except (KeyError, TypeError) as error:
                raise _damaged(self.path, number) from error
            self._latest[decision_key(decision)] = decision
        return intact

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


def check_manifest(path: Path, found: Any, expected: Mapping[str, Any]) -> None:
    """Raise RunError unless the manifest at `path` is the one of this call."""
    if found == json.loads(canonical_json(expected)):
        return
    different = sorted(_differences(found, expected)) or ["the manifest"]
    raise RunError(
        f"{path}: belongs to another call ({', '.join(different[:5])} differ); "
        "name another place with -o, or remove it"
    )


def _differences(found: Any, expected: Mapping[str, Any]) -> Iterable[str]:
    if not isinstance(found, dict):
        return ["the manifest"]
    expected = json.loads(canonical_json(expected))
    names = found.keys() | expected.keys()
    return [name for name in names if found.get(name) != expected.get(name)]


def _json(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise _damaged(path, number)
    return row


def _damaged(path: Path, number: int) -> RunError:
    return RunError(f"{path}:{number}: not a decision; the log is damaged, remove it to start over")
