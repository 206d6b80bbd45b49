"""The terminal as a session's watcher, and Python's names of arguments as flags."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import click

from selectllm.core.codec import canonical_json
from selectllm.core.shown import sentence, visible
from selectllm.core.types import Heard, Step
from selectllm.data.columns import remapped
from selectllm.report.progress import Pacing, progress_line

REFRESHED = 4  # times a second

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
    "form": "--as",
    "budgets": "--budget",
}
# The others that messages name in backticks, but those that are verbs too (export, utility).
ARGUMENTS = frozenset(
    """
    a add allow_unpriced answers api_base arm b baseline batch batch_size benchmark budget by cache
    cluster_size concurrency demonstrations design dev differing distinct drain drop_leaks encoder
    engine env_file epochs given grid jobs keep learning_rate limit lower matched max_age max_bytes
    max_cost max_filled max_length max_requests max_total_tokens metric model model_arg new_tokens
    offline on_invalid only outcome partial pilot pool port prefilter prompt prompts rating_cost
    ray_address reask record results retain rubric seed shared_budget skip_bad strategy table
    teacher test threshold to training_seed unanswered unknown untrained untrained_results vectors
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


class Told(Protocol):
    """What a job gives: itself in sentences, and as JSON."""

    @property
    def text(self) -> str:
        """In sentences."""
        ...

    def to_json(self) -> Any:
        """As --json prints it."""
        ...


def say(what: Told, *, as_json: bool) -> None:
    """Print it to stdout, as JSON or in sentences."""
    click.echo(canonical_json(what.to_json()) if as_json else visible(spoken(what.text)))


@dataclass(frozen=True, slots=True)
class Terminal:
    """Notes and progress on stderr; neither with --quiet.

    On a terminal progress is one line that changes, elsewhere (and with CI=true) now and then a
    line of its own.
    """

    quiet: bool = False
    clock: Callable[[], float] = time.monotonic

    def note(self, text: str) -> None:
        """A line for people."""
        if not self.quiet:
            click.echo(visible(sentence(spoken(text))), err=True)

    @contextlib.contextmanager
    def progress(self, description: str) -> Iterator[Heard | None]:
        """What hears how far `description` is; None with --quiet."""
        if self.quiet:
            yield None
        elif sys.stderr.isatty() and os.environ.get("CI") != "true":
            with self._changing_line(description) as hear:
                yield hear
        else:
            yield self._lines(description)

    @contextlib.contextmanager
    def _changing_line(self, description: str) -> Iterator[Heard]:
        """Steps are only kept; a thread of rich's looks at the last one, REFRESHED times a second.

        So however many there are, they cost nothing.
        """
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console, began, last = Console(stderr=True), self.clock(), Step(0, 0)

        def hear(step: Step) -> None:
            nonlocal last
            last = step

        def shown() -> Text:
            line = progress_line(description, last, self.clock() - began, console.width - 1)
            return Text(line, style="cyan", no_wrap=True)

        live = Live(
            console=console, get_renderable=shown, refresh_per_second=REFRESHED, transient=True
        )
        with live:
            yield hear

    def _lines(self, description: str) -> Heard:
        """A line now and then, as Pacing has it."""
        began = self.clock()
        pacing = Pacing(began)

        def hear(step: Step) -> None:
            now = self.clock()
            if pacing.due(step, now):
                click.echo(visible(progress_line(description, step, now - began)), err=True)

        return hear
