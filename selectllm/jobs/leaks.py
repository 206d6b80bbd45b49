"""Items that are held out, and yet among those to learn from: named, then refused or dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError
from selectllm.core.files import real, write_text
from selectllm.core.names import listed
from selectllm.core.types import Item, Pool
from selectllm.data.leakage import Leak, leaks_of
from selectllm.data.pool import load_pool
from selectllm.data.remainder import write_remainder
from selectllm.jobs.outputs import check_written

if TYPE_CHECKING:
    from selectllm.jobs.session import Session


@dataclass(frozen=True, slots=True)
class Dropping:
    """What a job does about leaks.

    `drop`: leave out what is in both, rather than refuse. `out`: what the job writes; the files
    about leaks are beside it, with its name. `read`: files that the job reads.
    """

    drop: bool
    out: Path
    read: tuple[str, ...] = ()

    def beside(self, kind: str) -> Path:
        """OUT.KIND.jsonl."""
        return self.out.with_name(f"{self.out.name}.{kind}.jsonl")

    @property
    def leaks(self) -> Path:
        """The file that names every item that was found."""
        return self.beside("leaks")


@dataclass(frozen=True, slots=True)
class Source:
    """Items of `file`, which messages call `name`: the pool; or test, dev, as arguments are."""

    name: str
    file: str
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Found:
    """The leaks of the items that are `held` out, among others."""

    held: Source
    among: Source
    leaks: tuple[Leak, ...]

    @property
    def text(self) -> str:
        """How many held-out items are found, and the first of them."""
        ids = {leak.number: leak.test for leak in self.leaks}
        named = listed([ids[number] for number in sorted(ids)])
        many = f"{len(ids)} of {len(self.held.items)} {self.held.name} items are"
        return f"{many} also in {self.among.name}: {named}"

    def rows(self) -> Iterable[Mapping[str, object]]:
        """As OUT.leaks.jsonl has them."""
        for leak in self.leaks:
            yield {
                "id": leak.id,
                "file": self.among.file,
                "held_out_id": leak.test,
                "held_out_number": leak.number,
                "held_out_file": self.held.file,
                "equal": leak.equal,
            }


def found_in(held: Source, among: Source) -> list[Found]:
    """What of `held` is among others, too: nothing, or one."""
    leaks = leaks_of(held.items, among.items)
    return [Found(held, among, leaks)] if leaks else []


def to_leave_out(found: Iterable[Found]) -> frozenset[str]:
    """The ids of the items that were found among others."""
    return frozenset(leak.id for one in found for leak in one.leaks)


def settle(session: Session, found: Sequence[Found], dropping: Dropping) -> None:
    """Name the leaks in a file; then refuse them, or tell how many items are left out.

    Raises UsageError if they are not to be dropped, or nothing would be left.
    """
    if not found:
        return
    place = _place(session, dropping, dropping.leaks)
    rows = (canonical_json(dict(row)) + "\n" for one in found for row in one.rows())
    write_text(place, "".join(rows))
    if not dropping.drop:
        files = " and ".join(f"`{name}`" for name in dict.fromkeys(one.held.name for one in found))
        raise UsageError(
            f"{'; '.join(one.text for one in found)}. Items that a student is trained on cannot "
            f"test what it learned. All of them are named in {dropping.leaks}. Leave the copies "
            f"out with `drop_leaks`, or give other items for {files}",
            argument=found[0].held.name,
        )
    for name in dict.fromkeys(one.among.name for one in found):
        _tell(session, [one for one in found if one.among.name == name], dropping)


def _tell(session: Session, found: Sequence[Found], dropping: Dropping) -> None:
    """How many items of one file are left out. Raises UsageError if all are."""
    out, among = len(to_leave_out(found)), found[0].among
    files = " and ".join(dict.fromkeys(one.held.file for one in found))
    if out == len(among.items):
        raise UsageError(
            f"All {out} items of {among.file} are also in {files}, so nothing would be left. They "
            f"are named in {dropping.leaks}. Give other items for `{found[0].held.name}`",
            argument=found[0].held.name,
        )
    session.note(
        f"Note: {out} of {len(among.items)} items of {among.file} are also in {files} and are left "
        f"out. They are named in {dropping.leaks}"
    )


def remaining(items: Iterable[Item], found: Iterable[Found]) -> tuple[Item, ...]:
    """The items that no leak names."""
    out = to_leave_out(found)
    return tuple(item for item in items if item.id not in out)


def write_rest(
    session: Session, pool: Pool, found: Sequence[Found], dropping: Dropping
) -> Path | None:
    """OUT.pool.jsonl, written now: the pool without the items that leaks name. None without any."""
    if not found:
        return None
    file = dropping.beside("pool")
    write_remainder(_place(session, dropping, file), pool, to_leave_out(found))
    return file


def remaining_pool(
    session: Session,
    pool: Pool,
    found: Sequence[Found],
    dropping: Dropping,
    columns: Mapping[str, str],
) -> tuple[Pool, Path | None]:
    """The pool without the items that leaks name, read from OUT.pool.jsonl, and that file.

    Without leaks the pool itself, and None.
    """
    file = write_rest(session, pool, found, dropping)
    if file is None:
        return pool, None
    session.note(f"Note: The pool without these items is {file}. Use it as the pool from now on")
    return load_pool(session.path(file), columns=columns).pool, file


def _place(session: Session, dropping: Dropping, file: Path) -> Path:
    """Where a file is written. Raises UsageError if it is one that is read."""
    read = {real(session.path(name)) for name in dropping.read}
    place = session.path(file)
    check_written("out", place, None, read, session.workspace)
    return place
