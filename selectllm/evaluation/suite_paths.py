"""Which files a suite may name: those of its workspace, unless the user allows more.

A suite can come from a stranger. Its own keys can therefore not allow anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.errors import SuiteError
from selectllm.core.workspace_root import workspace_root
from selectllm.prompting.library import is_path

if TYPE_CHECKING:
    from selectllm.evaluation.suite import Suite

ALLOWED = "SELECTLLM_ALLOW"
"""The variable that lists further folders, separated as in PATH."""


def check_inside(suite: Suite, environment: Mapping[str, str] | None = None) -> None:
    """Raise SuiteError, with key and path, for a file outside of the folders that are allowed.

    These are the workspace around the suite, the suite's own folder, the current folder, and
    those of SELECTLLM_ALLOW. Links count as what they lead to.
    """
    allowed = [each.resolve() for each in _allowed(suite, environment or os.environ)]
    for key, named in _files(suite):
        place = suite.at(named).resolve()
        if not any(place.is_relative_to(folder) for folder in allowed):
            root = workspace_root(suite.folder) or suite.folder
            raise SuiteError(
                f"{suite.source}: {key}: {named!r} leads out of the workspace {root}, to {place}. "
                f"If the file is to be read, allow its folder: {ALLOWED}={place.parent} before the "
                "command. Or copy it into the workspace"
            )


def _allowed(suite: Suite, environment: Mapping[str, str]) -> Iterator[Path]:
    yield suite.folder
    yield Path.cwd()
    if root := workspace_root(suite.folder):
        yield root
    for folder in environment.get(ALLOWED, "").split(os.pathsep):
        if folder:
            yield Path(folder).expanduser()


def _files(suite: Suite) -> Iterator[tuple[str, str]]:
    """(key, path) of every file that the suite names."""
    if not suite.pool.startswith("hf:"):
        yield "pool", suite.pool
    for number, prompt in enumerate(suite.prompts):
        if is_path(prompt):
            yield f"prompts.{number}", prompt
    if suite.replies is not None:
        yield "replies", suite.replies
    if suite.clusters.file is not None:
        yield "clusters.file", suite.clusters.file
    if suite.encoder is not None and suite.encoder_name != suite.encoder:
        yield "encoder", suite.encoder
    for number, entry in enumerate(suite.utilities):
        for field in ("file", "test", "validation"):
            named = getattr(entry, field, None)
            if named is not None and not named.startswith("hf:"):
                yield f"utilities.{number}.{field}", named
