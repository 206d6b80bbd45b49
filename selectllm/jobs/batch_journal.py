"""The batches that were sent and not collected yet: beside the reply cache, safe against kills.

`batches/NAME.json` is what is known of a batch, written whole or not at all and before each step:
intended, uploaded, sent, ended. `batches/NAME.keys` holds the keys of its questions. It lies beside
the cache since it says of the same keys that their replies are paid for and on their way: no run
asks them again, and any run that needs them waits for the same batch.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from selectllm.core.codec import load_json, pretty_json
from selectllm.core.errors import CacheError
from selectllm.core.files import write_text
from selectllm.models.providers.batch_calls import BatchStatus, Sought


@dataclass(frozen=True, slots=True)
class SentBatch:
    """One batch. `at`: when it was intended, Unix seconds. `model`, `endpoint`: who is asked.

    `questions`: how many. `file`: what was uploaded, or the newest batch before it. `id`: the
    provider's name for it. Both None until they are known. `status`: the provider's word; `ended`:
    it will not change any more. `others`: batches that were taken for it and were not. `failed`:
    keys of questions that it was asked and did not answer: another batch may ask them.
    """

    name: str
    at: float
    model: str
    endpoint: str | None
    questions: int
    file: str | None = None
    id: str | None = None
    status: str = "intended"
    ended: bool = False
    others: tuple[str, ...] = ()
    failed: frozenset[str] = frozenset()

    def noted(self, status: BatchStatus) -> SentBatch:
        """With what the provider says of it now."""
        return replace(self, status=status.word, ended=status.ended)

    @property
    def sought(self) -> Sought:
        """What it can be found by."""
        return Sought(self.name, self.questions, self.file, self.others)

    @property
    def words(self) -> str:
        """Its id, questions, model and status, for people."""
        named = self.id or "a batch without an id yet"
        return f"{named} ({self.questions:,} questions of {self.model}, {self.status})"


_FIELDS = {each.name for each in fields(SentBatch)}


@dataclass(frozen=True, slots=True)
class BatchJournal:
    """The batches noted in `folder`. Raises CacheError for what it cannot read."""

    folder: Path
    _keys: dict[str, frozenset[str]] = field(default_factory=dict)

    def open(self) -> Iterator[SentBatch]:
        """Those that are not collected yet, oldest first."""
        batches = [self._read(path) for path in self.folder.glob("*.json")]
        yield from sorted(batches, key=lambda batch: (batch.at, batch.name))

    def begin(self, model: str, endpoint: str | None, keys: Iterable[str]) -> SentBatch:
        """Note that a batch with these questions is about to be sent."""
        kept = list(keys)
        name = secrets.token_hex(8)
        batch = SentBatch(name, time.time(), model, endpoint, len(kept))
        write_text(self._path(batch, ".keys"), "".join(f"{key}\n" for key in kept))
        self.note(batch)
        return batch

    def note(self, batch: SentBatch) -> None:
        """Note what is known of a batch now."""
        row = asdict(batch) | {"failed": sorted(batch.failed)}
        write_text(self._path(batch, ".json"), pretty_json(row))

    def keys(self, batch: SentBatch) -> frozenset[str]:
        """The keys of its questions."""
        if batch.name not in self._keys:
            try:
                text = self._path(batch, ".keys").read_text(encoding="ascii")
            except (OSError, UnicodeDecodeError) as error:
                raise self._damaged(self._path(batch, ".keys"), str(error)) from None
            self._keys[batch.name] = frozenset(text.split())
        return self._keys[batch.name]

    def awaited(self, batch: SentBatch) -> frozenset[str]:
        """The keys that it may still answer."""
        return self.keys(batch) - batch.failed

    def drop(self, batch: SentBatch) -> None:
        """Forget a batch: it is collected, or was never sent."""
        self._path(batch, ".json").unlink(missing_ok=True)
        self._path(batch, ".keys").unlink(missing_ok=True)

    def _path(self, batch: SentBatch, suffix: str) -> Path:
        return self.folder / f"{batch.name}{suffix}"

    def _read(self, path: Path) -> SentBatch:
        try:
            row = load_json(path.read_bytes())
            return self._checked(row)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(path, str(error)) from None

    def _checked(self, row: dict[str, Any]) -> SentBatch:
        named = {name: value for name, value in row.items() if name in _FIELDS}
        for name in ("name", "model", "status"):
            if not isinstance(named[name], str):
                raise TypeError(name)
        return SentBatch(
            **named
            | {"others": tuple(named["others"]), "failed": frozenset(named["failed"])}
            | {"at": float(named["at"]), "questions": int(named["questions"])}
        )

    def _damaged(self, path: Path, why: str) -> CacheError:
        return CacheError(
            f"{path} should say which batch was sent, but it cannot be read ({why}). Look at the "
            "provider's list of batches first: if one of yours is still under way, its questions "
            "would be paid for twice. Then remove the file, and run the same command again",
            argument="cache",
        )
