"""What a report of a selection is asked with. Light: every verb that has reports imports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from selectllm.core.types import Pool
from selectllm.data.row_writers import WRITERS, part_in


@dataclass(frozen=True, slots=True)
class PoolOfPicks:
    """Where the pool of a selection is: `given` in memory, or the file `named` and its `columns`.

    With neither it is looked for beside the selection.
    """

    given: Pool | None = None
    named: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def is_selection(path: Path) -> bool:
    """Whether `path` is to be taken for a selection: rows in a file, or in a folder of files."""
    if path.is_dir():
        return part_in(path).is_file()
    return path.suffix.lower() in WRITERS
