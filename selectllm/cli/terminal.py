"""The terminal as a session's watcher, and Python's names of arguments as flags."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click

from selectllm.core.types import Progress

# Arguments that the command line calls otherwise than `max_cost` -> --max-cost.
FLAGS = {
    "from_": "--from",
    "as_json": "--json",
    "kind": "--for",
    "budgets": "--budget",
    "models": "--api-base and --model-arg",
}
ARGUMENTS = frozenset(
    (
        *("concurrency", "max_cost", "allow_unpriced", "offline", "env_file", "prompts", "cache"),
        *("encoder", "vectors", "skip_bad", "a", "b", "to", "prompt", "model", "differing"),
        *(
            "api_base",
            "model_arg",
            "budget",
            "cluster_size",
            "threshold",
            "strategy",
            "by",
            "distinct",
            "prefilter",
        ),
        *("only", "pilot", "rating_cost"),
        *("on_invalid", "reask", "seed", "limit", "out", "record", "baseline", "retain", "design"),
        *FLAGS,
    )
)
"""Arguments of jobs that messages may name in backticks."""


def spoken(text: str) -> str:
    """`text` with arguments of jobs as the command line calls them: `max_cost` is --max-cost."""

    def word(match: re.Match[str]) -> str:
        return flag(match.group(1)) if match.group(1) in ARGUMENTS else match.group()

    return re.sub(r"`(\w+)`", word, text)


def flag(argument: str) -> str:
    """What the command line calls an argument."""
    return FLAGS.get(argument) or f"--{argument.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class Terminal:
    """Notes and progress bars on stderr; neither with --quiet."""

    quiet: bool = False

    def note(self, text: str) -> None:
        """A line for people."""
        if not self.quiet:
            click.echo(spoken(text), err=True)

    @contextlib.contextmanager
    def progress(self, description: str) -> Iterator[Progress | None]:
        """A progress bar; None where nobody watches (no terminal, CI)."""
        if self.quiet or not sys.stderr.isatty() or os.environ.get("CI") == "true":
            yield None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(description, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
