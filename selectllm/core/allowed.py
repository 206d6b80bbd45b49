"""Which folders files and code of a stranger's may come from, unless the user allows more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from selectllm.core.files import real
from selectllm.core.workspace_root import workspace_root

ALLOWED = "SELECTLLM_ALLOW"
"""The variable that lists further folders, separated as in PATH."""


def allowed_folders(folder: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """`folder`, the current one, the workspace around `folder`, and those of ALLOWED; real paths.

    Links count as what they lead to.
    """
    yield folder.resolve()
    yield Path.cwd().resolve()
    if root := workspace_root(folder):
        yield root.resolve()
    for more in environment.get(ALLOWED, "").split(os.pathsep):
        if more:
            yield Path(more).expanduser().resolve()


def is_allowed(place: Path, folder: Path, environment: Mapping[str, str] | None = None) -> bool:
    """Whether what `place` leads to lies in one of these."""
    environment = os.environ if environment is None else environment
    there = real(place)
    return any(there.is_relative_to(each) for each in allowed_folders(folder, environment))


def how_to_allow(folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What to write before a command, so that files below `folder` may be used."""
    already = (os.environ if environment is None else environment).get(ALLOWED, "")
    return f"{ALLOWED}={already}{os.pathsep if already else ''}{folder}"
