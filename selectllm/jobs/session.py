"""A session: what jobs share. Folders, environment, cache, budget, connections, who watches."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from selectllm.core.closing import Closing
from selectllm.core.errors import ArgumentError, UsageError, blaming
from selectllm.core.names import unknown
from selectllm.core.plugins import announcing
from selectllm.core.stopping import Drain, draining
from selectllm.core.types import Decision, Item, Pool, Progress, Step
from selectllm.jobs.arguments import check, hints_of
from selectllm.jobs.budgets import ledger_of, spent_told, suite_budget
from selectllm.jobs.computing import interruptible
from selectllm.jobs.engine import Engine, LocalEngine
from selectllm.jobs.long_embedding import announced
from selectllm.jobs.methods import Jobs
from selectllm.jobs.outputs import nearby
from selectllm.jobs.session_settings import (
    SessionSettings,
    Settings,
    check_session,
    load_environment,
)
from selectllm.jobs.watching import Notes, Watcher
from selectllm.jobs.workspace import Workspace, find_workspace

if TYPE_CHECKING:
    from selectllm.core.types import Reply
    from selectllm.data.embedder import Embedder
    from selectllm.data.pool import LoadedPool
    from selectllm.data.vector_file import GivenVectors
    from selectllm.evaluation.suite_entries import BudgetEntry
    from selectllm.models.connect import Connections
    from selectllm.models.model import ModelSpec
    from selectllm.models.wrappers.batch import Batch
    from selectllm.models.wrappers.cache import ReplyCache


class Session(Closing, Jobs):
    """What several jobs share: workspace, prompts, reply cache, budget, engine.

    Use it as a context manager (`with` or `async with`); leaving it closes the cache. A session can
    run several jobs, one after the other or at the same time.

    `folder`: the folder that relative paths of jobs refer to, and in which the workspace is looked
    for; None for the current folder. `start`: another place to look for the workspace and for your
    own code (`module:attr`). `notes`: a function that is called with each note of a running job; a
    `watcher` is also told about progress. `engine`: where models and encoders run; None for this
    machine.

    Settings: `concurrency`: the number of calls at the same time, at least 1. `max_cost`: USD that
    all jobs of the session may spend together, None for no limit; a call that could exceed it
    raises BudgetReached. `max_total_tokens`, `max_requests`: the same for tokens read and written,
    and for requests. `shared_budget`: a name; these limits then hold for everything that is spent
    under that name in this workspace. `allow_unpriced`: with `max_cost`, also call models whose
    price is not known. `offline`: send nothing; a reply that is neither recorded nor cached raises
    ReplyMissing. `env_file`: a file of
    environment variables, which are set for this process unless they are set already. `prompts`,
    `cache`: folders to use instead of the workspace's. `encoder`: name or path of a
    sentence-transformers model. `vectors`: a .npy file of the pool's vectors. `drain`: how many
    seconds an interrupted job waits for replies that are on their way; 0 for not at all. `batch`:
    ask in batches, at about half the price (see docs/batches.md); `wait`: wait for the answers;
    without it BatchUnderWay is raised, and you run the same job again to collect them.

    Raises UsageError for a setting that cannot work.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        start: Path | None = None,
        notes: Callable[[str], object] | None = None,
        watcher: Watcher | None = None,
        engine: Engine | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        from selectllm.models.wrappers.counted import CallCount
        from selectllm.models.wrappers.pace import Paces
        from selectllm.models.wrappers.shared_state import SharedState
        from selectllm.prompting.library import PromptLibrary

        own: dict[str, object] = {"folder": folder, "start": start, "notes": notes}
        own |= {"watcher": watcher, "engine": engine}
        check(own | dict(settings), hints_of(Session.__init__))
        self.folder = None if folder is None else Path(folder)
        self.settings = self._settings(settings)
        self.watcher: Watcher = watcher or Notes(notes)
        self.engine: Engine = engine or LocalEngine()
        if self.settings.env_file is not None:
            load_environment(self.settings.env_file)
        check_session(self.settings)
        self.base = start or self.folder or Path.cwd()
        self.workspace: Workspace = find_workspace(
            self.base,
            prompts=self.settings.prompts,
            cache=self.settings.cache,
        )
        with blaming("prompts"):
            self.library = PromptLibrary(self.workspace.prompts)
        self.shared = SharedState(self.workspace.cache)
        self.ledger = ledger_of(self.settings, self.shared, self.note)
        self.calls = CallCount()
        self.paces = Paces()
        self.given: GivenVectors | None = None
        if self.settings.vectors is not None:
            from selectllm.data.vector_file import GivenVectors, open_vectors

            self.given = GivenVectors(open_vectors(self.settings.vectors))
        self._caches: dict[bool, ReplyCache] = {}  # by `reading`, once somebody asks for it
        self.reading = False  # of a job that looks and keeps nothing
        self.batch: Batch | None = None  # of a job that asks in batches
        self._encoders: set[str] = set()  # whose scripts were looked at
        self._codes: set[str] = set()  # `module:attr` that were told
        self.closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the cache and the engine; a closed session runs no more jobs."""
        self.closed = True
        self.engine.close()
        for cache in self._caches.values():
            cache.close()
        self.shared.close()

    @property
    def cache(self) -> ReplyCache:
        """The reply cache, opened when it is first used. Raises CacheError if it cannot be."""
        known = self._caches.get(self.reading)
        if known is None or known.outdated:
            from selectllm.models.wrappers.cache import ReplyCache

            place = self.workspace.cache / "replies"
            known = self._caches[self.reading] = ReplyCache(place, self.note, reading=self.reading)
        return known

    def for_job(self, *, reading: bool = False) -> Self:
        """The same session with a ledger and counts for one job; `reading`: as in `opened`.

        What it spends counts in the session's ledger, too.

        Raises UsageError if the session is closed.
        """
        from selectllm.models.wrappers.counted import CallCount

        if self.closed:
            raise UsageError(
                "the session is closed, and runs no more jobs. Run them before it is closed, or "
                "open another Session",
                argument="session",
            )
        session = copy.copy(self)
        session.ledger, session.calls = self.ledger.part(), CallCount()
        session.reading = reading
        return session

    def _settings(self, given: Settings) -> SessionSettings:
        settings = dict(given)
        for name in ("env_file", "prompts", "cache", "vectors"):
            path = settings.get(name)
            if isinstance(path, str | Path):
                settings[name] = self.path(path)
        known = hints_of(Session.__init__)
        for name in settings:
            if name not in known:
                raise ArgumentError(f"session: {unknown('argument', name, known)}", argument=name)
        return SessionSettings(**settings)  # type: ignore[arg-type]

    def path(self, path: Path | str) -> Path:
        """`path`, relative to the session's folder if it has one."""
        return Path(path) if self.folder is None else self.folder / path

    @property
    def clusters(self) -> Path:
        """The folder in which partitions are remembered."""
        return self.workspace.cache / "clusters"

    def note(self, text: str) -> None:
        """Tell the watcher."""
        self.watcher.note(text)

    def note_code(self, reference: str, place: str) -> None:
        """Tell the watcher once of code of the user's that is used, and where it lies."""
        if reference not in self._codes:
            self._codes.add(reference)
            where = nearby(Path(place))
            self.note(f"Note: {reference} is your own code, from {where}. It runs in this process.")

    def note_tries(self, decisions: Iterable[Decision]) -> None:
        """Tell how the provider behind `decisions` failed and was waited for, if it did."""
        from selectllm.report.tries import tries_told

        told = tries_told(attempt for decision in decisions for attempt in decision.attempts)
        if told is not None:
            self.note(told)

    @property
    def spent(self) -> str:
        """What was spent, as the beginning of a sentence."""
        return spent_told(self.ledger)

    def note_pool(self, pool: Pool) -> None:
        """Tell the watcher what of a pool's file is not shown, or not as it was written."""
        for sentence in pool.notes:
            self.note(f"Note: {pool.source or 'the pool'}: {sentence}")

    @contextlib.contextmanager
    def progress(self, description: str) -> Iterator[Progress | None]:
        """Show the watcher how far something is, and what its calls come to."""
        before = replace(self.calls)
        with self.watcher.progress(description) as hear:
            if hear is None:
                yield None
                return
            calls, ledger = self.calls, self.ledger

            def heard(done: int, total: int) -> None:
                counts = (
                    calls.sent - before.sent,
                    calls.cached - before.cached,
                    calls.failed - before.failed,
                )
                hear(Step(done, total, *counts, ledger.spent))

            yield heard

    @property
    def drain(self) -> Drain:
        """What happens to calls in flight when a job is interrupted."""
        return Drain(self.settings.drain, self.note)

    @contextlib.contextmanager
    def computing(self, description: str) -> Iterator[Progress | None]:
        """The same around what computes and seldom awaits: Ctrl-C ends it at once."""
        with interruptible(), self.progress(description) as progress:
            yield progress

    def connections(
        self,
        *,
        pack: Mapping[str, Reply] | None = None,
        utility: Mapping[str, float] | None = None,
        num_ctx: int | None = None,
        budget: BudgetEntry | None = None,
    ) -> Connections:
        """What the models of a job share; `budget`: what its suite spends from besides."""
        from selectllm.jobs.batching import under_way
        from selectllm.models.connect import Connections

        ledger = self.ledger
        if budget is not None:
            ledger = ledger.part(suite_budget(budget, self.shared, self.note))
        if self.batch is not None:
            self.batch.ledger = ledger
        elif self.settings.batch:
            raise UsageError(
                "`batch`: this command asks one question after another, which cannot be done in "
                "batches. Leave it out",
                argument="batch",
            )
        return Connections(
            cache=self.cache,
            environment=os.environ,
            ledger=ledger,
            state=self.shared,
            calls=self.calls,
            paces=self.paces,
            offline=self.settings.offline,
            pack=pack or {},
            utility=utility,
            num_ctx=num_ctx,
            base=self.base,
            innermost=self.engine.model,
            batch=self.batch,
            under_way=under_way(self),
        )

    def embedder(
        self,
        progress: Progress | None = None,
        named: str | None = None,
        asking: Iterable[ModelSpec] = (),
    ) -> Embedder:
        """The encoder that was asked for, with the store on disk, and the given vectors.

        `named`: what a suite names, which counts where the session's settings name none.
        `asking`: models that are asked afterwards; before anything is encoded they are looked at,
        so that nobody waits for vectors only to hear that a key or a server is missing.
        """
        from selectllm.data.embedder import Embedder

        with blaming("encoder"):
            encoder = self.engine.encoder(self.settings.encoder or named)
        return Embedder(
            encoder=encoder,
            folder=self.workspace.cache / "vectors",
            progress=announced(progress, self.note),
            given=self.given,
            heard=functools.partial(self._note_scripts, encoder.identity),
            before=None if self.settings.offline else functools.partial(_check_ready, [*asking]),
            workers=self.engine,
        )

    def check_encoder(self) -> None:
        """Raise ExtraMissing if items need vectors, none are given, and none can be made here."""
        from selectllm.data.encoders import check_encoder

        if self.given is None:
            check_encoder(self.embedder().encoder)

    def _note_scripts(self, encoder: str, items: Sequence[Item]) -> None:
        """Tell the watcher once if an encoder does not know what items are written in."""
        from selectllm.data.languages import unknown_language
        from selectllm.data.scripts import unknown_script

        if encoder not in self._encoders:
            self._encoders.add(encoder)
            if sentence := unknown_script(encoder, items) or unknown_language(encoder, items):
                self.note(f"Note: {sentence}")

    def of_pool(self, loaded: LoadedPool) -> Self:
        """The same session for a job on one pool, whose rows are those of the given vectors.

        Raises EncoderError if they do not fit, UsageError if bad rows of the pool were left out.
        """
        if self.given is None:
            return self
        if loaded.rejected:
            raise UsageError(
                f"`vectors` {self.settings.vectors}: row i belongs to row i of "
                f"{loaded.pool.source}, and `skip_bad` left out {len(loaded.rejected)} of its rows "
                f"(the first: {loaded.rejected[0].line}). Correct them, or take them out of both "
                "files",
                argument="vectors",
            )
        session = copy.copy(self)
        session.given = self.given.of_pool(loaded.pool)
        return session


@contextlib.asynccontextmanager
async def opened(
    session: Session | None,
    settings: Settings,
    start: Path | None = None,
    *,
    reading: bool = False,
) -> AsyncIterator[Session]:
    """`session`, or one with `settings` for one job around the folder `start`, closed after it.

    `reading`: the job looks at what the cache holds, and keeps nothing in it.

    Every job that has a Python API begins with it. Raises TypeError for settings beside a session,
    which has its own.
    """
    if session is None:
        async with Session(start=start, **settings) as session:
            with draining(session.drain), announcing(session.note_code):
                yield session.for_job(reading=reading)
        return
    if settings:
        raise ArgumentError(
            f"{', '.join(settings)}: These are settings of a session. Give them to Session(...)",
            argument=next(iter(settings)),
        )
    with draining(session.drain), announcing(session.note_code):
        yield session.for_job(reading=reading)


def _check_ready(specs: Iterable[ModelSpec]) -> None:
    from selectllm.models.providers.readiness import check_ready

    for spec in specs:
        check_ready(spec, os.environ)
