"""Jobs whose questions are asked in batches, at about half the price.

A job runs as it does offline, and notes the questions that have no reply. They are sent in batches,
one or more a model; the answers go into the reply cache under their requests' keys, and the job
runs again: it finds them there, and notes what it asks in consequence (again, after a reply that
was not valid; the next round of a selection). So it goes on until nothing is missing. What comes of
it is what comes of calls, by the same code.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from selectllm.core.errors import ReplyMissing, RunError
from selectllm.core.types import Heard
from selectllm.jobs.session import Session
from selectllm.jobs.watching import Watcher

if TYPE_CHECKING:
    from selectllm.models.model import Model
    from selectllm.models.wrappers.batch import Batch

Value = TypeVar("Value")


async def asked_in_batches(session: Session, job: Callable[[Session], Awaitable[Value]]) -> Value:
    """What `job` returns, with the session that it is to use; in batches, if that is asked for.

    Raises as `job` does; BatchUnderWay where the session does not wait and answers are not there
    yet; ProviderError for a batch that failed as a whole. What came back is kept in any case, and
    what is under way is noted: the same job run again goes on with it.
    """
    if not session.settings.batch or session.batch is not None:
        return await job(session)
    from selectllm.jobs.batch_rounds import BatchRounds
    from selectllm.models.providers.batch_service import check_batches
    from selectllm.models.wrappers.batch import Batch

    session = noting(session, Batch(check_batches))
    rounds = BatchRounds(session)
    try:
        while True:
            try:
                return await job(session)
            except ReplyMissing:
                if not rounds.batch.wanted:
                    raise
            await rounds.answer()
    finally:
        await rounds.close()


def noting(session: Session, batch: Batch) -> Session:
    """`session` for a job whose questions `batch` takes; what the job notes is told once."""
    session = copy.copy(session)
    session.batch, session.watcher = batch, _Once(session.watcher)
    return session


class _Once:
    """A watcher of a job that runs several times, who hears each note once."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._told: set[str] = set()

    def note(self, text: str) -> None:
        """Pass it on, unless it was told before."""
        if text not in self._told:
            self._told.add(text)
            self._watcher.note(text)

    def progress(self, description: str) -> contextlib.AbstractContextManager[Heard | None]:
        """Pass it on."""
        return self._watcher.progress(description)


def under_way(session: Session) -> Callable[[Model], Model] | None:
    """What tells of questions asked by calls that a batch of this cache is to answer.

    None where there is no such batch.
    """
    folder = session.workspace.cache / "batches"
    if session.batch is not None or not [*folder.glob("*.json")]:
        return None
    from selectllm.jobs.batch_journal import BatchJournal
    from selectllm.models.wrappers.under_way import ToldUnderWay

    def awaited() -> frozenset[str]:
        journal = BatchJournal(folder)
        return frozenset().union(*map(journal.awaited, journal.open()))

    return lambda model: ToldUnderWay(model, awaited, session.note)


def note_place(session: Session, place: Path) -> None:
    """Note the batches of a job in the file `place`, if it asks in batches.

    If it does not: raise RunError while one that is noted there is under way, since its questions
    would be asked, and paid for, again.
    """
    if session.batch is not None:
        session.batch.place = place
        return
    if session.settings.offline or not place.exists():
        return
    from selectllm.core.files import read_json
    from selectllm.jobs.batch_journal import BatchJournal

    noted = {row.get("id") for row in read_json(place).get("batches", ())}
    for batch in BatchJournal(session.workspace.cache / "batches").open():
        if batch.id in noted and not batch.ended:
            raise RunError(
                f"{place}: The batch {batch.words} is under way, and its questions would be paid "
                "for twice. To wait for its answers, run the same command with `batch`. To ask now "
                "all the same, remove that file",
                argument="batch",
            )
