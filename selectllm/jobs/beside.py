"""What is annotated already when more is selected: a file of it, and the rounds before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from selectllm.core.arrays import Vectors
from selectllm.core.codec import seeded_hash, sha256_texts
from selectllm.core.errors import ExtraMissing, RunError, UsageError, blaming
from selectllm.core.files import real
from selectllm.core.names import listed
from selectllm.core.shown import counted
from selectllm.core.types import Item, Pool
from selectllm.data.annotated import annotated_in
from selectllm.data.hub import located
from selectllm.data.pool import load_pool
from selectllm.data.stored_items import ids_of, named, not_in, picked, subset
from selectllm.jobs.contents import LOG
from selectllm.jobs.outputs import check_written
from selectllm.jobs.session import Session
from selectllm.jobs.settings import SelectRequest
from selectllm.jobs.turns import turn
from selectllm.selection.by_model import narrowed
from selectllm.selection.round_log import RoundLog, missing_in, read_rounds, texts_sha256
from selectllm.selection.schema import RoundRow

SHOWN = 20  # annotated items that a prompt may show


@dataclass(frozen=True, slots=True)
class Beside:
    """What a pool is selected from beside.

    `pool`: what is left of the pool. `inside`: items of the pool that are annotated or selected
    already. `outside`: annotated items that are not in the pool. `log`, `rounds`: the log of
    rounds, and those before this one in it. `number`: of this round. `again`: this one, if it is
    run again.
    """

    pool: Pool
    inside: tuple[Item, ...] = ()
    outside: tuple[Item, ...] = ()
    log: RoundLog | None = None
    rounds: tuple[RoundRow, ...] = ()
    number: int = 1
    again: RoundRow | None = None

    @property
    def items(self) -> tuple[Item, ...]:
        """All that is annotated or selected already."""
        return (*self.inside, *self.outside)

    @property
    def sha256(self) -> str:
        """Of their texts, whatever their order."""
        return sha256_texts(sorted(item.text for item in self.items))

    def shown(self, seed: int) -> tuple[Item, ...]:
        """Up to SHOWN of them at random, for prompts that show what is covered."""
        draws = sorted(self.items, key=lambda item: seeded_hash("annotated", seed, item.id))
        return tuple(draws[:SHOWN])

    def vectors(self, session: Session) -> Vectors | None:
        """(n, dim) of the items; None without any.

        Where the pool's vectors are given, items outside of the pool have none and are left out.
        """
        if not self.items:
            return None
        with session.computing("embedding") as advance, blaming("encoder"):
            embedder = session.embedder(advance)
            if session.given is None:
                return embedder.vectors([item.text for item in self.items])
            if self.outside:
                session.note(
                    f"{counted(len(self.outside), 'annotated item')} outside of the pool have no "
                    "row in `vectors`, so the distance to them is not counted."
                )
            return np.asarray(embedder.of(self.inside)) if self.inside else None


@contextlib.asynccontextmanager
async def beside(
    session: Session, pool: Pool, request: SelectRequest, *, dry_run: bool = False
) -> AsyncIterator[Beside]:
    """What is left of `pool` beside what `given` and `rounds` name; the log of rounds is held.

    Raises UsageError for annotated items of another pool, for a log of rounds of another pool, and
    where nothing is left.
    """
    if request.given is None and request.rounds is None:
        yield Beside(pool)
        return
    inside, outside = _given(session, pool, request)
    if request.rounds is None:
        yield _left(session, pool, inside, outside, Beside(pool))
        return
    path = session.path(request.rounds)
    read = [Path(pool.source)] if pool.source else []
    if isinstance(request.given, str | Path):
        read.append(session.path(request.given))
    check_written("rounds", path, LOG, read, session.workspace)
    async with turn(path, "rounds"):
        if dry_run:
            before = read_rounds(path) if path.exists() else []
            yield _left(session, pool, inside, outside, _begun(session, pool, request, before))
            return
        with RoundLog(path) as log:
            begun = replace(_begun(session, pool, request, log.rounds()), log=log)
            yield _left(session, pool, inside, outside, begun)


def _given(
    session: Session, pool: Pool, request: SelectRequest
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """The items of `given` in the pool and outside of it."""
    given = request.given
    if given is None:
        return (), ()
    if isinstance(given, Pool):
        found, source = given, given.source or "the pool that is given"
    else:
        path = Path(given) if session.folder is None else located(session.folder, str(given))
        with blaming("given"):
            loaded = load_pool(path, columns=request.columns, skip_bad=request.skip_bad)
        found, source = loaded.pool, str(path)
        if bad := len(loaded.rejected):
            session.note(f"Left out of {path}: {counted(bad, 'bad row')}.")
    matched = annotated_in(pool, found.items, source)
    told = f"Of {len(found)} annotated items, {matched.by_id} were found in the pool by their ids"
    if matched.by_text:
        told += f", {matched.by_text} by their texts"
    if matched.outside:
        told += f", and {len(matched.outside)} are not in the pool and only count as covered"
    session.note(f"{told}.")
    return matched.inside, matched.outside


def _begun(
    session: Session, pool: Pool, request: SelectRequest, rounds: Sequence[RoundRow]
) -> Beside:
    """The rounds before this one, and this one if it is run again."""
    place = log_name(session, request)
    again = next((row for row in rounds if place is not None and row.log == place), None)
    number = _number(session, request, rounds) if again is None else again.round
    later = [row for row in rounds if row.round > number]
    if again is not None:
        session.note(
            f"This is round {number} again: its decisions are in {request.log}. For a new round, "
            "choose another output."
        )
        if later and (again.budget, again.seed) != (request.budget, request.seed):
            raise UsageError(
                f"`rounds`: Round {number} selected {again.budget} items with seed {again.seed}, "
                f"and {len(later)} later rounds build on it. Choose another output for a new round",
                argument="rounds",
            )
    before = tuple(row for row in rounds if row.round < number)
    if request.given is None and (beside := [row for row in before if row.given]):
        session.note(
            f"Warning: Round {beside[-1].round} was selected beside {beside[-1].given} items that "
            "`given` named, but this command does not name them, so they may be selected. Name "
            "them with `given` in every round."
        )
    return Beside(pool, rounds=before, number=number, again=again)


def _number(session: Session, request: SelectRequest, rounds: Sequence[RoundRow]) -> int:
    """Of a round that is not in the log: the next, or one that was lost and is run again."""
    missing = missing_in(rounds)
    if missing and request.log is not None and session.path(request.log).exists():
        session.note(
            f"Round {missing[0]} is missing from {request.rounds}. This command puts it back, "
            f"because its decisions are in {request.log}."
        )
        return missing[0]
    if missing and request.given is None:
        raise UsageError(
            f"`rounds`: {missing_told(missing)} Or name the file of its items with `given`, in "
            "every round, so that none of them is selected again",
            argument="rounds",
        )
    return max((row.round for row in rounds), default=0) + 1


def missing_told(missing: Sequence[int]) -> str:
    """What to do about rounds that are missing from a log."""
    return (
        f"Round {missing[0]} is missing from the log of rounds. To put it back, run the command "
        "that made it again, with the same output."
    )


def _left(
    session: Session,
    pool: Pool,
    inside: Sequence[Item],
    outside: tuple[Item, ...],
    begun: Beside,
) -> Beside:
    """The pool without what is annotated, and without what earlier rounds selected."""
    taken = {item.id for item in inside}
    for row in begun.rounds:
        taken |= _of_round(session, pool, row)
    ids = ids_of(pool.items)
    left = [at for at, name in enumerate(ids) if name not in taken]
    if not left:
        raise UsageError(
            f"All {len(pool)} items of {pool.source or 'the pool'} are annotated or selected "
            "already, so there is nothing to select. Add items to the pool",
            argument="given" if inside else "rounds",
        )
    if begun.rounds:
        session.note(
            f"{counted(len(begun.rounds), 'earlier round')} selected "
            f"{sum(len(row.ids) for row in begun.rounds)} items; {len(left)} items are left."
        )
    kept = picked(pool.items, [at for at, name in enumerate(ids) if name in taken])
    left_over = narrowed(pool, subset(pool.items, left))
    return replace(begun, pool=left_over, inside=tuple(kept), outside=outside)


def _of_round(session: Session, pool: Pool, row: RoundRow) -> set[str]:
    """The ids of a round that are in the pool. Raises UsageError for a round of another pool."""
    gone = not_in(pool, row.ids)
    without = {*gone}
    known = [*named(pool, [id for id in row.ids if id not in without])]
    if row.ids and not known:
        other = (
            "If items have no ids, their ids are computed from the text that is shown. Use the "
            "`columns` and turns of that round, or choose another log"
            if row.pool == pool.source
            else "So the log belongs to another pool. Choose another log"
        )
        raise UsageError(
            f"`rounds`: Round {row.round} selected {len(row.ids)} items of {row.pool or 'a pool'}, "
            f"and 0 of their ids are in {pool.source or 'the pool'}. {other}",
            argument="rounds",
        )
    if len(known) == len(row.ids) and texts_sha256(known) != row.texts_sha256:
        raise UsageError(
            f"`rounds`: The ids that round {row.round} selected stand for other texts in "
            f"{pool.source or 'the pool'}. So the log belongs to another pool, or its texts were "
            "changed. Choose another log",
            argument="rounds",
        )
    if gone:
        session.note(
            f"{len(gone)} items of round {row.round} are no longer in the pool: {listed(gone)}."
        )
    return {item.id for item in known}


def log_name(session: Session, request: SelectRequest) -> str | None:
    """The log of decisions, as the log of rounds names it: by it a round is known."""
    if request.log is None or request.rounds is None:
        return None
    folder = real(session.path(request.rounds)).parent
    return Path(os.path.relpath(real(session.path(request.log)), folder)).as_posix()


def check_again(row: RoundRow, found: Beside) -> None:
    """Raise RunError if a round that later ones build on gives other items when it is run again.

    A round that was lost has no items to compare: none of its may be in a later round.
    """
    known = [] if found.log is None else found.log.rounds()
    later = [one for one in known if one.round > row.round]
    if found.again is None:
        twice = {item for one in later for item in one.ids} & {*row.ids}
        if twice:
            raise RunError(
                f"`rounds`: Round {row.round}, which is missing from the log, selects items that "
                f"later rounds selected too: {listed(sorted(twice))}. The log was not changed. "
                "Name the file of its items with `given`, in every round",
                argument="rounds",
            )
    elif later and found.again.ids != row.ids:
        raise RunError(
            f"`rounds`: Round {row.round}, run again, selects other items than before, and "
            f"{len(later)} later rounds build on those. The log was not changed. Restore the log "
            "of its decisions, or choose another output for a new round",
            argument="rounds",
        )


def encodes(session: Session) -> bool:
    """Whether items can be embedded here."""
    try:
        session.check_encoder()
    except ExtraMissing:
        return False
    return True
