"""A new workspace: prompts, a suite that gates them, what runs it, and a pool of the user's own."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.errors import PoolError, UsageError, UtilityError
from selectllm.core.extras import missing, pip_line
from selectllm.core.files import real, write_text
from selectllm.core.types import Pool
from selectllm.data.hub import is_hub, seen_from
from selectllm.data.layouts import layout_of
from selectllm.data.pool import load_pool
from selectllm.jobs.starter_files import (
    BASELINE,
    FIRST_RUN,
    MODEL,
    REPLIES,
    SHEET,
    SUITE,
    WORKFLOW,
    starter_files,
)
from selectllm.utility.ratings import ratings

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

# Where each part of a workspace comes from; the packages are named by string, see pyproject.toml.
PROMPTS = {"prompts": "selectllm.prompts"}
QUICKSTART_POOL, DATA = "quickstart.jsonl", "eval/data"
QUICKSTART = {"eval/suites": "selectllm.starter_suites", DATA: "selectllm.starter_data"}
KEPT = (".jinja", ".yaml", ".jsonl", ".md")
OWN_GATE = "gate.yaml"  # this repository's own: of no use without its replies and baseline
TAKEN = ("prompts", "eval", "cache", WORKFLOW)
RATING = ("rating", "score", "quality")
LEAST = 3  # items of which one can be picked and another left


@dataclass(frozen=True, slots=True)
class Started:
    """A workspace that was made.

    `recognised`: what was seen in the pool, in a sentence. `commands`: to run next, in this order.
    `rated`: whether the pool has ratings, so that these end with a gate. `first`: what has to be
    installed before they run. `elsewhere`: the repository that DIR lies inside of, where GitHub
    looks for workflows.
    """

    folder: Path
    recognised: str
    commands: tuple[str, ...]
    rated: bool
    first: tuple[str, ...]
    elsewhere: Path | None

    @property
    def text(self) -> str:
        """What was made, and how to go on."""
        gate = self.folder / "eval"
        then = (
            "Then commit everything. The workflow on GitHub runs this gate. To run it yourself: "
            f"pytest {gate}"
            if self.rated
            else "The gate needs ratings. When the sheet is filled in, run selectllm utility "
            "import, and put the line that it prints into the suite. Then run selectllm regress, "
            "which says what to do next."
        )
        here = "this folder" if self.folder == Path() else self.folder
        lines = [
            f"Created a workspace in {here}.",
            self.recognised,
            "Next, run:",
            *(f"  {command}" for command in self.commands),
            then,
        ]
        if self.elsewhere is not None:
            lines.append(
                "GitHub reads workflows at the root of a repository: move "
                f"{self.folder / WORKFLOW} to {self.elsewhere / WORKFLOW}, and give its job the "
                f"working directory {self.folder}."
            )
        return "\n".join(lines)


async def make_workspace(
    folder: Path, pool: str | None = None, columns: Mapping[str, str] | None = None
) -> Started:
    """Fill `folder` with prompts/, eval/, cache/ and a workflow for GitHub.

    `pool`: a file or an `hf:` name, read as `load_pool` reads it with `columns`; a file outside of
    `folder` is copied into eval/data. None: the quickstart's pool, with its suites.

    Raises UsageError if one of TAKEN exists; nothing that exists is overwritten. Raises PoolError
    for a pool that cannot be read, or has fewer than 3 items.
    """
    _check_free(folder)
    mapped = dict(columns or {})
    if mapped and pool is None:
        raise UsageError(
            "`columns` describe a pool. Name the pool with `pool` as well", argument="columns"
        )
    own = None if pool is None else load_pool(pool, columns=mapped).pool
    if own is not None and len(own) < LEAST:
        raise PoolError(
            f"{pool} has {len(own)} items, and the gate needs at least {LEAST}",
            argument="pool",
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".init-") as name:
        whole = Path(name)
        _copy_packaged(whole, PROMPTS if pool is not None else PROMPTS | QUICKSTART)
        if pool is None or own is None:
            own, seen = load_pool(whole / DATA / QUICKSTART_POOL).pool, f"../data/{QUICKSTART_POOL}"
        else:
            seen = _seen(pool, folder, whole)
        rated = _rated(own)
        texts = starter_files(
            seen,
            items=len(own),
            columns=mapped,
            rated=rated,
            version=version("selectllm"),
            ours=pool is None,
        )
        for file, text in texts.items():
            write_text(whole / file, text)
        _move(whole, folder)
    return Started(
        folder=folder,
        recognised=_recognised(pool or QUICKSTART_POOL, own, mapped, rated),
        commands=_commands(folder, rated=rated is not None),
        rated=rated is not None,
        first=tuple(_first(pool)),
        elsewhere=_repository(folder),
    )


def _check_free(folder: Path) -> None:
    taken = [name for name in TAKEN if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder}: {', '.join(taken)} exist already and are not overwritten. Name an empty "
            "folder"
        )


def _copy_packaged(whole: Path, parts: Mapping[str, str]) -> None:
    from importlib.resources import files

    from selectllm.prompting.library import lock

    for place, package in parts.items():
        _copy(files(package), whole / place)
    lock(whole / "prompts")


def _copy(source: Traversable, target: Path) -> None:
    """Copy the files of a packaged folder, byte for byte."""
    from importlib.resources import as_file

    for entry in source.iterdir():
        if entry.is_dir():
            _copy(entry, target / entry.name)
        elif entry.name.endswith(KEPT) and entry.name != OWN_GATE:
            target.mkdir(parents=True, exist_ok=True)
            with as_file(entry) as path:
                shutil.copyfile(path, target / entry.name)


def _seen(pool: str, folder: Path, whole: Path) -> str:
    """What the suite calls the pool; a file that lies outside the workspace is copied into it."""
    if is_hub(pool) or real(Path(pool)).is_relative_to(real(folder)):
        return seen_from(folder / Path(SUITE).parent, pool)
    name = Path(pool).name
    (whole / DATA).mkdir(parents=True)
    shutil.copyfile(pool, whole / DATA / name)
    return f"../data/{name}"


def _move(whole: Path, folder: Path) -> None:
    """The finished parts to where they belong; .github may be there already."""
    (folder / WORKFLOW).parent.mkdir(parents=True, exist_ok=True)
    shutil.move(whole / WORKFLOW, folder / WORKFLOW)
    for name in ("prompts", "eval", "cache"):
        shutil.move(whole / name, folder / name)


def _rated(pool: Pool) -> str | None:
    """The column that looks like ratings: called so, a number in every row, and not always one."""
    likely = (name for word in RATING for name in pool.items[0].row if word in name.lower())
    return next((name for name in likely if _holds_ratings(pool, name)), None)


def _holds_ratings(pool: Pool, column: str) -> bool:
    try:
        values = ratings(pool, name=column, column=column).values
    except UtilityError:
        return False
    return len(set(values.values())) > 1


def _recognised(name: str, pool: Pool, mapped: Mapping[str, str], rated: str | None) -> str:
    layout = layout_of(pool.items[0].row, mapped, name)
    assert layout is not None  # the pool was read by it
    parts = [_named("instruction", layout.instruction or layout.chat)]
    if any(item.input for item in pool.items):
        parts.append(_named("input", layout.input or layout.chat))
    if any(item.has_response for item in pool.items):
        parts.append(_named("response", layout.response or layout.chat))
    if rated:
        parts.append(_named("rating", rated))
    unrated = "" if rated else " No column looks like a rating."
    return f"{name} has {len(pool):,} items. Recognised columns: {', '.join(parts)}.{unrated}"


def _named(field: str, column: str | None) -> str:
    return field if column == field else f"{column} (as {field})"


def _commands(folder: Path, *, rated: bool) -> tuple[str, ...]:
    """Three commands that run as they stand, from the current folder."""
    suite = str(folder / SUITE)
    ask = ("eval", suite, "--record", folder / REPLIES, "-o", folder / FIRST_RUN)
    lines: tuple[tuple[object, ...], ...] = (
        ("plan", suite),
        ask,
        ("utility", "ask", suite, "-o", folder / SHEET),
    )
    if rated:
        keep = ("baseline", "set", folder / FIRST_RUN, "-o", folder / BASELINE)
        gate = ("regress", suite, "--baseline", folder / BASELINE, "--offline")
        lines = (ask, keep, gate)
    return tuple(shlex.join(["selectllm", *map(str, line)]) for line in lines)


def _first(pool: str | None) -> Iterator[str]:
    """What the suite needs, and this installation has not."""
    from selectllm.models.providers.weights import is_installed

    absent = missing("embed", "local", *(("hf",) if pool is not None and is_hub(pool) else ()))
    if absent:
        yield pip_line(*absent)
    if not is_installed(MODEL):
        yield f"selectllm models install {MODEL}"


def _repository(folder: Path) -> Path | None:
    """The repository that `folder` lies inside of; None if it is the root of one, or in none."""
    place = real(folder)
    root = next((each for each in (place, *place.parents) if (each / ".git").exists()), place)
    return None if root == place else root
