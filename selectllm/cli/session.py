"""What a verb that asks models works with: folders, environment, cache, connections, progress."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from selectllm.cli.long_embedding import announced
from selectllm.cli.options import Common
from selectllm.core.errors import UsageError
from selectllm.core.types import Reply
from selectllm.data.embedder import Embedder
from selectllm.data.encoders import load_encoder
from selectllm.data.pool import LoadedPool
from selectllm.data.vector_file import GivenVectors, open_vectors
from selectllm.jobs.workspace import Workspace, find_workspace
from selectllm.models.connect import Connections
from selectllm.models.wrappers.budget import Ledger
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.prompting.library import PromptLibrary

Advance = Callable[[int, int], None]
"""(done, total)."""


@dataclass(frozen=True, slots=True)
class Session:
    """The edge's state for one command; made by `open_session`.

    `base`: the folder that the command works around, in which code of the user's own may be.
    `given`: the vectors of --vectors, of the command's pool once that is known.
    """

    common: Common
    workspace: Workspace
    library: PromptLibrary
    cache: ReplyCache
    ledger: Ledger
    base: Path
    given: GivenVectors | None = None

    @property
    def clusters(self) -> Path:
        """Where partitions are remembered."""
        return self.workspace.cache / "clusters"

    def connections(
        self,
        *,
        pack: Mapping[str, Reply] | None = None,
        utility: Mapping[str, float] | None = None,
        num_ctx: int | None = None,
    ) -> Connections:
        """What the command's models share."""
        return Connections(
            cache=self.cache,
            environment=os.environ,
            ledger=self.ledger,
            offline=self.common.offline,
            pack=pack or {},
            utility=utility,
            num_ctx=num_ctx,
            base=self.base,
        )

    def embedder(self, advance: Advance | None = None) -> Embedder:
        """The encoder that was asked for, with the store on disk, and the given vectors."""
        return Embedder(
            encoder=load_encoder(self.common.encoder),
            folder=self.workspace.cache / "vectors",
            progress=announced(advance, self.note),
            given=self.given,
        )

    def note(self, text: str) -> None:
        """A line for people, on stderr; silent with --quiet."""
        if not self.common.quiet:
            click.echo(text, err=True)

    @contextlib.contextmanager
    def progress(self, description: str) -> Iterator[Advance | None]:
        """A progress bar on stderr; None where nobody watches (no terminal, CI, --quiet)."""
        if self.common.quiet or not sys.stderr.isatty() or os.environ.get("CI") == "true":
            yield None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(description, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def counter(advance: Advance | None, total: int) -> Callable[[object], None]:
    """What `advance` needs to hear of a total: call it once per thing done."""
    done = itertools.count(1)
    return lambda thing: advance(next(done), total) if advance else None


def open_session(common: Common, start: Path, loaded: LoadedPool | None = None) -> Session:
    """The session of a command that works around the folder `start`.

    `loaded`: the pool of a command that has just one; a suite's comes to know its vectors later
    (Embedder.of_pool). Variables of --env-file are set for this process where they are not set
    already. The cache is closed when the command ends.
    """
    if common.env_file is not None:
        _load_environment(common.env_file)
    if common.max_cost is not None and math.isnan(common.max_cost):
        raise UsageError("--max-cost nan: is no amount; name one in USD")
    workspace = find_workspace(start, prompts=common.prompts, cache=common.cache)
    cache = ReplyCache(workspace.cache / "replies")
    if context := click.get_current_context(silent=True):  # none when a script opens a session
        context.call_on_close(cache.close)
    return Session(
        common=common,
        workspace=workspace,
        library=PromptLibrary(workspace.prompts),
        cache=cache,
        ledger=Ledger(common.max_cost, allow_unpriced=common.allow_unpriced),
        base=start,
        given=None if common.vectors is None else _given(common.vectors, loaded),
    )


def _given(path: Path, loaded: LoadedPool | None) -> GivenVectors:
    """The vectors in `path`, of the items of `loaded`. Raises EncoderError if they do not fit."""
    given = GivenVectors(open_vectors(path))
    if loaded is None:
        return given
    if loaded.rejected:
        raise UsageError(
            f"--vectors {path}: row i belongs to row i of {loaded.pool.source}, and --skip-bad "
            f"left out {len(loaded.rejected)} of its rows (the first: {loaded.rejected[0].line}); "
            "correct them, or take them out of both files"
        )
    return given.of_pool(loaded.pool)


def _load_environment(path: Path) -> None:
    from dotenv import load_dotenv

    if not path.is_file():
        raise UsageError(f"--env-file {path}: there is no such file")
    try:
        load_dotenv(path, override=False)
    except UnicodeDecodeError:
        raise UsageError(f"--env-file {path}: is not UTF-8; save it as UTF-8") from None
