"""What a report of a selection is asked with. Light: every verb that has reports imports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from selectllm.core.types import Pool


@dataclass(frozen=True, slots=True)
class PoolOfPicks:
    """Where the pool of a selection is: `given` in memory, or the file `named` and its `columns`.

    With neither it is looked for beside the selection.
    """

    given: Pool | None = None
    named: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def is_selection(path: Path) -> bool:
    """Whether `report` is to take a file for a selection: rows are nothing else to it."""
    return path.suffix.lower() in (".jsonl", ".parquet") and not path.is_dir()
