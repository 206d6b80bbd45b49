"""The terminal as a session's watcher, and Python's names of arguments as flags."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click

from selectllm.core.shown import sentence, visible
from selectllm.core.types import Progress
from selectllm.data.columns import remapped

# Arguments that the command line calls otherwise than `max_cost` -> --max-cost.
FLAGS = {
    "from_": "--from",
    "as_json": "--json",
    "columns": "--map",
    "test_columns": "--test-map",
    "roles": "--column",
    "models": "--api-base and --model-arg",
    "asked": "--ask",
    "out": "-o",
    "path": "-o",
    "log": "-o",
    "scale": "--range",
    "kind": "--for",
    "budgets": "--budget",
}
# The others that messages name in backticks, but those that are verbs too (export, utility).
ARGUMENTS = frozenset(
    """
    a add allow_unpriced answers api_base arm b baseline batch_size budget by cache cluster_size
    concurrency demonstrations design dev differing distinct drain drop_leaks encoder env_file
    epochs grid jobs keep learning_rate limit matched max_cost max_filled max_length model model_arg
    new_tokens offline on_invalid only partial pilot pool port prefilter prompt prompts rating_cost
    reask record results retain rubric seed skip_bad strategy teacher test threshold to
    training_seed unanswered vectors
    """.split()
)


_SETTING = re.compile(r"`(\w+=[\w.]+)`")
"""A setting of a model."""


def spoken(text: str, argument: str | None = None) -> str:
    """`text` with arguments of jobs as the command line calls them: `max_cost` is --max-cost.

    `argument`: one that is also the name of a verb, and meant as an argument here.
    """

    def word(match: re.Match[str]) -> str:
        name = match[1]
        if name in ARGUMENTS or name in FLAGS or name == argument:
            return flag(name)
        return match[0]

    text = _SETTING.sub(r"--model-arg \1", remapped(text, _mapped))
    return re.sub(r"`(\w+)`", word, text)


def _mapped(argument: str, field: str, column: str) -> str:
    """`--map instruction=COL`, as a shell takes it."""
    return f"{flag(argument)} {shlex.quote(f'{field}={column}')}"


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
            click.echo(visible(sentence(spoken(text))), err=True)

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
