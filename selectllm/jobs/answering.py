"""Answers that came back, joined to the items that they answer: what `answers` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.errors import UsageError, UtilityError
from selectllm.core.names import listed
from selectllm.data.pool import load_pool
from selectllm.data.row_writers import cannot_write, write_rows
from selectllm.jobs.contents import TRAINING
from selectllm.jobs.options import AnswerSettings
from selectllm.jobs.outputs import check_written
from selectllm.utility.handover.answers import read_answers
from selectllm.utility.handover.joining import Joined, joined

if TYPE_CHECKING:
    from selectllm.jobs.session import Session


@dataclass(frozen=True, slots=True)
class AnswersJoined:
    """A training file, and what is wrong with the answers."""

    out: Path
    joined: Joined

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        joined = self.joined
        return {
            "out": str(self.out),
            "asked": joined.asked,
            "written": len(joined.rows),
            "missing": list(joined.missing),
            "twice": list(joined.twice),
            "unknown": list(joined.unknown),
            "complete": joined.complete,
        }

    def faults(self) -> list[str]:
        """What keeps the answers from being complete, in sentences; none if nothing does."""
        joined, faults = self.joined, []
        if joined.missing:
            faults.append(
                f"{len(joined.missing)} of {joined.asked} items "
                f"{_are(joined.missing, 'has', 'have')} no answer: {listed(joined.missing)}."
            )
        if joined.twice and not joined.kept:
            were, are = (
                _are(joined.twice, "item was", "items were"),
                _are(joined.twice, "is", "are"),
            )
            faults.append(
                f"{len(joined.twice)} {were} answered twice, in different words, and {are} left "
                f"out: {listed(joined.twice)}."
            )
        if joined.unknown:
            belong = _are(joined.unknown, "answer belongs", "answers belong")
            faults.append(
                f"{len(joined.unknown)} {belong} to no item of the pool: {listed(joined.unknown)}."
            )
        return faults


def _are(names: Sequence[str], one: str, several: str) -> str:
    """The words that go with so many."""
    return one if len(names) == 1 else several


async def join_answers(
    pool: Path, files: Sequence[Path], settings: AnswerSettings, *, session: Session
) -> AnswersJoined:
    """Join the answers in `files` to the items of `pool`, and write them as a training file.

    `pool`: the selection that was handed over, all of whose items were asked, or the pool itself.
    What is there is written, complete or not. Raises UsageError for a file that cannot be written,
    and UtilityError for files that cannot be read, and if no answer is of an item of the pool.
    """
    places = [session.path(file) for file in files]
    source, out = session.path(pool), session.path(settings.out)
    if problem := cannot_write(out):
        raise UsageError(f"`out` {settings.out}: {problem}", argument="out")
    check_written("out", out, TRAINING, [source, *places], session.workspace)
    items = load_pool(source, columns=settings.columns).pool.items
    answers = [answer for place in places for answer in read_answers(place)]
    column = settings.columns.get("response")
    column = None if column is None or "." in column else column
    result = joined(items, answers, keep=settings.keep, column=column)
    if not (result.rows or result.twice):
        reason = (
            f"none of the answers belongs to an item of {pool} ({listed(result.unknown)}). Name "
            "the pool, or the selection that was handed over"
            if result.unknown
            else "nothing is answered yet; fill in the answers and save the file"
        )
        raise UtilityError(f"{', '.join(map(str, files))}: {reason}")
    write_rows(out, result.rows)
    return AnswersJoined(settings.out, result)
