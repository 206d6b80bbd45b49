"""Where a workspace begins."""

from __future__ import annotations

from pathlib import Path

MARK = Path("prompts", "LOCK.yaml")
"""The file by which a workspace is known."""


def workspace_root(start: Path) -> Path | None:
    """The nearest folder from `start` upwards that is a workspace; None if there is none."""
    start = start.resolve()
    return next((each for each in (start, *start.parents) if (each / MARK).is_file()), None)
