"""Which files a suite may name: those of its workspace, unless the user allows more.

A suite can come from a stranger. Its own keys can therefore not allow anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from selectllm.core.allowed import how_to_allow, is_allowed
from selectllm.core.errors import SuiteError
from selectllm.core.files import real
from selectllm.core.workspace_root import workspace_root
from selectllm.prompting.library import is_path

if TYPE_CHECKING:
    from selectllm.evaluation.suite import Suite


def check_inside(suite: Suite, environment: Mapping[str, str] | None = None) -> None:
    """Raise SuiteError, with key and path, for a file outside of the folders that are allowed.

    These are the workspace around the suite, the suite's own folder, the current folder, and
    those of SELECTLLM_ALLOW. Links count as what they lead to.
    """
    for key, named in _files(suite):
        place = suite.at(named)
        if not is_allowed(place, suite.folder, environment):
            root = workspace_root(suite.folder) or suite.folder
            there = real(place)
            raise SuiteError(
                f"{suite.source}: {key}: {named!r} leads out of the workspace {root}, to {there}. "
                "If the file is to be read, allow its folder: "
                f"{how_to_allow(there.parent, environment)} before the command. Or copy it into "
                "the workspace"
            )


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
