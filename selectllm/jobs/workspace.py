"""Where a command finds its prompts, cache and runs.

A workspace is the nearest parent folder that has `prompts/LOCK.yaml`; its `prompts/`, `cache/`
and `eval/` are used. Outside one: the bundled prompts and the user's cache folder.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from selectllm.core.errors import PromptError, UsageError
from selectllm.core.workspace_root import workspace_root


@dataclass(frozen=True, slots=True)
class Workspace:
    """Resolved folders. `prompts` is None when only the bundled prompts are to be had.

    `root` is the workspace's folder, or the folder the search started from outside of one.
    """

    root: Path
    prompts: Path | None
    cache: Path

    @property
    def own_prompts(self) -> Path:
        """The folder of prompts to write to. Raises PromptError where there is none."""
        if self.prompts is None:
            raise PromptError(
                "There is no workspace here. To make one, run: selectllm init. Or name a folder of "
                "prompts with `prompts` DIR."
            )
        return self.prompts

    @property
    def runs(self) -> Path:
        """Where `eval` puts its run folders unless told otherwise."""
        return self.root / "eval" / "runs"


def find_workspace(
    start: Path,
    *,
    prompts: Path | None = None,
    cache: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Workspace:
    """The workspace around `start` (a folder), with the folders that were named instead.

    The cache is, first that is given: `cache`, SELECTLLM_CACHE_DIR, the workspace's `cache/`,
    the user's cache folder.
    """
    env = os.environ if environment is None else environment
    start = start.resolve()
    found = workspace_root(start)
    cache_dir = cache or (Path(value) if (value := env.get("SELECTLLM_CACHE_DIR")) else None)
    if cache_dir is None:
        cache_dir = found / "cache" if found else user_cache(env)
    prompts_dir = prompts or (found / "prompts" if found else None)
    with _at_home(cache_dir):
        cache_dir = cache_dir.expanduser()
    return Workspace(root=found or start, prompts=prompts_dir, cache=cache_dir)


@contextlib.contextmanager
def _at_home(folder: Path | str) -> Iterator[None]:
    """A home folder that is not there is told as such."""
    try:
        yield
    except RuntimeError:
        raise UsageError(
            f"{folder}: there is no such home folder. Set HOME, or name a cache folder with "
            "`cache` or SELECTLLM_CACHE_DIR",
            argument="cache",
        ) from None


def user_cache(env: Mapping[str, str]) -> Path:
    """The platform's per-user cache folder for selectllm. Raises UsageError without a home."""
    with _at_home("~"):
        return _user_cache(env)


def _user_cache(env: Mapping[str, str]) -> Path:
    if sys.platform == "win32":
        base = Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "selectllm"
