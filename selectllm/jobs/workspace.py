"""Where a command finds its prompts, cache and runs; and a workspace that runs at once.

A workspace is the nearest parent folder that has `prompts/LOCK.yaml`; its `prompts/`, `cache/`
and `eval/` are used. Outside one: the bundled prompts and the user's cache folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.errors import UsageError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

# Where each part of a workspace comes from; the packages are named by string, see pyproject.toml.
PARTS = {
    "prompts": "selectllm.prompts",
    "eval/suites": "selectllm.starter_suites",
    "eval/data": "selectllm.starter_data",
}
KEPT = (".jinja", ".yaml", ".jsonl", ".md")
BYTE_FOR_BYTE = """\
# Versions of prompts are hashed byte for byte: git leaves their line ends alone.
* -text
"""
LEFT_OUT = ("gate.yaml",)  # our own gate: of no use without its recorded replies and baseline


@dataclass(frozen=True, slots=True)
class Workspace:
    """Resolved folders. `prompts` is None when only the bundled prompts are to be had.

    `root` is the workspace's folder, or the folder the search started from outside of one.
    """

    root: Path
    prompts: Path | None
    cache: Path

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
    parents = (start, *start.parents)
    found = next((p for p in parents if (p / "prompts" / "LOCK.yaml").is_file()), None)
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


async def make_workspace(folder: Path) -> None:
    """Fill `folder` with prompts/, eval/suites/, eval/data/ and cache/.

    Raises UsageError if one of them exists; nothing that exists is overwritten.
    """
    from importlib.resources import files

    from selectllm.core.files import write_text
    from selectllm.prompting.library import lock

    taken = [name for name in ("prompts", "eval", "cache") if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder}: {', '.join(taken)} exist already and are not overwritten. Name an empty "
            "folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".init-") as name:
        whole = Path(name)
        for place, package in PARTS.items():
            _copy(files(package), whole / place)
        lock(whole / "prompts")
        write_text(whole / "cache" / ".gitignore", "*\n!.gitignore\n")
        write_text(whole / "prompts" / ".gitattributes", BYTE_FOR_BYTE)
        for part in sorted(whole.iterdir()):
            shutil.move(part, folder / part.name)


def _copy(source: Traversable, target: Path) -> None:
    """Copy the files of a packaged folder, byte for byte."""
    from importlib.resources import as_file

    for entry in source.iterdir():
        if entry.is_dir():
            _copy(entry, target / entry.name)
        elif entry.name.endswith(KEPT) and entry.name not in LEFT_OUT:
            target.mkdir(parents=True, exist_ok=True)
            with as_file(entry) as path:
                shutil.copyfile(path, target / entry.name)
