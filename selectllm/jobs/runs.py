"""Which runs lie in a workspace, newest first; nothing is asked or computed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from selectllm.core.document import Document
from selectllm.core.errors import RunError, UsageError
from selectllm.jobs.outputs import LOGS
from selectllm.jobs.reporting import READERS, read_finished
from selectllm.jobs.workspace import find_workspace

State = Literal["finished", "unfinished", "damaged"]


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A folder that a command wrote its results into, or began to.

    `changed`: when its results, or those of its logs that came last, were written; local time.
    `result`: None unless it is finished. `problem`: what is wrong with one that is damaged.
    """

    folder: Path
    changed: datetime
    state: State
    result: Document | None = None
    problem: str | None = None

    @property
    def text(self) -> str:
        """When it was, where it is, and what it found."""
        from selectllm.report.in_one_line import in_one_line

        if self.result is not None:
            says = in_one_line(self.result)
        elif self.problem is not None:
            says = f"damaged: {self.problem}"
        else:
            says = "not finished (run the same command again to continue)"
        here = Path.cwd()
        below = self.folder.is_relative_to(here)
        folder = self.folder.relative_to(here) if below else self.folder
        return f"{self.changed:%Y-%m-%d %H:%M}  {folder}\n    {says}"

    def to_json(self) -> dict[str, Any]:
        """As `runs --json` prints it: where, when, in which state, and of which suite."""
        return {
            "folder": str(self.folder),
            "changed": self.changed.isoformat(timespec="seconds"),
            "state": self.state,
            "suite": None if self.result is None else getattr(self.result, "suite", None),
            "problem": self.problem,
        }


def list_runs(folder: Path) -> tuple[ListedRun, ...]:
    """The runs in `folder` and the folders below it, the newest first.

    Raises UsageError if there is no such folder.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UsageError(f"{folder} {what}. Runs are kept in eval/runs")
    found = [_listed(run) for run in _run_folders(folder)]
    return tuple(sorted(found, key=lambda run: run.changed, reverse=True))


@dataclass(frozen=True, slots=True)
class RunList:
    """The runs in `folder`, the newest first."""

    folder: Path
    runs: tuple[ListedRun, ...]

    @property
    def text(self) -> str:
        """The runs one below the other, or how to make one."""
        if not self.runs:
            return f"There are no runs in {self.folder}. To make one: selectllm eval SUITE"
        return "\n".join(run.text for run in self.runs)

    @property
    def elsewhere(self) -> str:
        """Where runs were looked for, and how others are listed."""
        return (
            f"Only {self.folder} was looked into. To list runs that were written elsewhere with "
            "-o, name the folder that they are in: selectllm runs FOLDER"
        )

    def to_json(self) -> list[dict[str, Any]]:
        """As `runs --json` prints it."""
        return [run.to_json() for run in self.runs]


def runs_in(folder: Path | None) -> RunList:
    """The runs in `folder`; None: those of this workspace, of which there may be none.

    Raises UsageError if there is no such folder.
    """
    place = folder or find_workspace(Path.cwd()).runs
    return RunList(place, list_runs(place) if folder or place.is_dir() else ())


def _run_folders(folder: Path) -> Iterator[Path]:
    for place, below, files in os.walk(folder):
        if not {*READERS, *LOGS}.isdisjoint(files):
            yield Path(place)
        below[:] = sorted(name for name in below if not name.startswith("."))


def _listed(folder: Path) -> ListedRun:
    results = [folder / name for name in READERS if (folder / name).exists()]
    kept = results or [folder / name for name in LOGS if (folder / name).exists()]
    changed = datetime.fromtimestamp(max(file.stat().st_mtime for file in kept)).astimezone()
    if not results:
        return ListedRun(folder, changed, "unfinished")
    try:
        return ListedRun(folder, changed, "finished", read_finished(folder)[0])
    except RunError as error:
        return ListedRun(folder, changed, "damaged", problem=str(error))
