"""A reply cache that was damaged: which replies are whole, and a cache of those alone.

Read row by row, since one damaged page ends every query that passes it. Pages are damaged by a
disk, by a copy that was made while a process was writing, or by a network folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diskcache

from selectllm.core.codec import load_json
from selectllm.core.errors import CacheDamaged, CacheError
from selectllm.core.files import unwritable
from selectllm.models.wrappers.asked import NewerFormat, read_asked
from selectllm.models.wrappers.cache import FROM_BELOW, ReplyCache, unusable
from selectllm.models.wrappers.reading import may_write, open_to_read
from selectllm.models.wrappers.reply_json import checked_reply

DATABASE: str = diskcache.core.DBNAME
ASIDE = f"{DATABASE}.damaged"
"""Where the damaged database is kept."""
UNFINISHED = ".repair-"
SMALLEST = 200  # bytes of a row: its key alone has 64 characters
PATIENCE = 1_000  # row numbers that cannot be looked up, behind those that the file has room for
WAIT = 5.0  # seconds for another process

COLUMNS = ("key", "raw", "store_time", "access_time", "size", "mode", "tag", "filename", "value")
TAG = COLUMNS.index("tag")
IN_ORDER = f"SELECT rowid, {', '.join(COLUMNS)} FROM Cache NOT INDEXED"
KEY = re.compile(r"[0-9a-f]{64}")

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class CacheState:
    """How many replies are `whole`, and what is `damaged`: a sentence each.

    `newer`: rows of a later version of selectllm, which are left as they are. `unfinished`: the
    process that made the cache was stopped before its tables were made, which whoever opens it next
    goes on with.
    """

    whole: int
    damaged: tuple[str, ...]
    newer: int = 0
    unfinished: bool = False


UNBEGUN = CacheState(0, (), unfinished=True)


def examine(folder: Path) -> CacheState:
    """What the reply cache in `folder` holds. Nothing is changed, and it may be read-only.

    Raises CacheError where it cannot be read for another reason than damage.
    """
    path = folder / DATABASE
    if path.is_file() and not may_write(path):
        opened = _opened_to_read(folder)
    elif _is_there(folder):
        opened = _opened(folder)
    else:
        return CacheState(0, ())
    with opened as database:
        return UNBEGUN if _is_unbegun(folder, database) else _sorted(folder, database)[1]


def repair(folder: Path) -> CacheState:
    """`examine`, and if anything is damaged, leave the whole replies alone in the cache.

    The database with them takes the place of the other in one step; the other is kept as
    ASIDE. Raises CacheError as `examine`, while another process uses the cache, and where the new
    one cannot be written.
    """
    for left in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    if not _is_there(folder):
        return CacheState(0, ())
    with _opened(folder) as database:
        _claim(folder, database)
        if _is_unbegun(folder, database):
            return UNBEGUN
        rows, state = _sorted(folder, database)
        if state.damaged:
            try:
                _replace(folder, rows)
            except FROM_BELOW as error:
                raise CacheError(
                    f"{folder}: the repaired cache cannot be written ({error}). Make room or "
                    "correct the permissions of the folder. Nothing was changed",
                    argument="cache",
                ) from None
    return state


def clear(folder: Path) -> int | None:
    """Remove every reply; how many there were, None where damage keeps that from being known.

    Raises CacheError as `examine`.
    """
    there = _is_there(folder)
    if there and (folder / DATABASE).is_file():
        with contextlib.suppress(CacheDamaged), contextlib.closing(ReplyCache(folder)) as cache:
            return cache.clear()
    _remove(folder)
    return None if there else 0


def _remove(folder: Path) -> None:
    """Remove every file of the cache, readable or not; that by which processes meet is left."""
    try:
        for path in sorted(folder.glob("*")):
            if path.is_dir() and not path.is_symlink():
                if re.fullmatch(
                    rf"[0-9a-f]{{2}}|{re.escape(DATABASE)}.*|{UNFINISHED}.*", path.name
                ):
                    shutil.rmtree(path)
            elif path.name.startswith(DATABASE):
                path.unlink()
    except OSError as error:
        raise unusable(folder, error) from None


def _is_there(folder: Path) -> bool:
    """Whether there is a database, or what is in its place. Raises CacheError if none can be."""
    if why := unwritable(folder / ASIDE):
        raise CacheError(f"{folder}: {why}. Choose another folder with `cache`", argument="cache")
    return (folder / DATABASE).exists()


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database, its text as bytes: what is damaged need not be UTF-8."""
    path = folder / DATABASE
    nothing = "file::memory:"  # what a folder in its place holds
    try:
        place = nothing if path.is_dir() else f"{path.absolute().as_uri()}?mode=rw"
        database = sqlite3.connect(place, timeout=WAIT, isolation_level=None, uri=True)
    except FROM_BELOW as error:
        raise unusable(folder, error) from None
    database.text_factory = bytes
    with contextlib.closing(database):
        yield database


@contextlib.contextmanager
def _opened_to_read(folder: Path) -> Iterator[sqlite3.Connection]:
    """The same of one that may not be written."""
    try:
        database = open_to_read(folder / DATABASE)
    except FROM_BELOW as error:
        raise unusable(folder, error) from None
    database.text_factory = bytes
    with contextlib.closing(database):
        yield database


def _claim(folder: Path, database: sqlite3.Connection) -> None:
    """Keep other processes out, and what is only in the write-ahead log into the database."""
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        if _is_damage(error):
            return  # too damaged to be used by any other
        raise unusable(folder, error) from None


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, 0)


def _sorted(folder: Path, database: sqlite3.Connection) -> tuple[list[Row], CacheState]:
    """The whole rows, and what can be said of the others."""
    damaged = _faults(folder, database)
    whole: dict[str, Row] = {}
    newer: set[str] = set()
    for number, *row in _rows(folder, database) if damaged else _all(database):
        try:
            key, is_later = _checked(folder, row)
        except (*FROM_BELOW, CacheError) as error:
            damaged.append(f"row {number} is not a whole reply ({error})")
            continue
        if why := _unsaid(row[TAG]):
            damaged.append(f"row {number} is a whole reply, but does not say what to ({why})")
            row[TAG] = None
        whole[key] = tuple(row)
        (newer.add if is_later else newer.discard)(key)
    return list(whole.values()), CacheState(len(whole) - len(newer), tuple(damaged), len(newer))


def _is_unbegun(folder: Path, database: sqlite3.Connection) -> bool:
    """Whether the database is whole and has no table of replies yet."""
    if (folder / DATABASE).is_dir():
        return False
    with contextlib.suppress(sqlite3.Error):
        tables = {bytes(name) for (name,) in database.execute("SELECT name FROM sqlite_master")}
        return b"Cache" not in tables and database.execute(CHECK).fetchall() == [(b"ok",)]
    return False


def _unsaid(tag: Any) -> str | None:
    """What is wrong with what a row says of its question; rows of earlier versions say nothing."""
    try:
        if tag is not None:
            read_asked(_text(tag))
    except NewerFormat:
        return None
    except ValueError as error:
        return str(error)
    return None


def _faults(folder: Path, database: sqlite3.Connection) -> list[str]:
    """What sqlite finds wrong with the database, without its rows."""
    if (folder / DATABASE).is_dir():
        return [f"{DATABASE} is a folder, and should be the database"]
    try:
        said = [bytes(row[0]).decode(errors="replace") for row in database.execute(CHECK)]
        database.execute(f"{IN_ORDER} LIMIT 0")
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise unusable(folder, error) from None
        return [f"the database cannot be read ({error})"]
    return [] if said == ["ok"] else [line for text in said for line in text.splitlines()]


CHECK = "PRAGMA integrity_check(10)"


def _all(database: sqlite3.Connection) -> Iterator[Row]:
    yield from database.execute(f"{IN_ORDER} ORDER BY rowid")


def _rows(folder: Path, database: sqlite3.Connection) -> Iterator[Row]:
    """What can be read of a damaged table.

    By number, as far as the file has room for rows: a damaged row may claim any number, so that
    looking for 'the next one' would skip whole ones. Numbers may be higher where a cache was
    cleared while it was used; those are looked for behind.
    """
    size = (folder / DATABASE).stat().st_size
    room = size // SMALLEST + 1
    for number in range(1, room + 1):
        with contextlib.suppress(sqlite3.Error):
            yield from database.execute(f"{IN_ORDER} WHERE rowid = ?", (number,)).fetchmany(1)
    number, failures = room + 1, 0
    while failures < PATIENCE:
        try:
            query = f"{IN_ORDER} WHERE rowid >= ? ORDER BY rowid LIMIT 1"
            row = database.execute(query, (number,)).fetchone()
            if row is None:
                return
            yield row
            number, failures = row[0] + 1, 0
        except (sqlite3.Error, OverflowError):
            number, failures = number + 1, failures + 1


def _checked(folder: Path, row: list[Any]) -> tuple[str, bool]:
    """The key of a row that is whole, and whether a later version wrote it.

    Raises ValueError, or as files do, for any other.
    """
    fields = dict(zip(COLUMNS, row, strict=True))
    key = bytes(fields["key"]).decode()
    if not KEY.fullmatch(key) or fields["raw"] != 1:
        raise ValueError("no key of a request")
    match fields:
        case {"mode": diskcache.core.MODE_RAW, "filename": None, "value": bytes(text)}:
            pass
        case {"mode": diskcache.core.MODE_TEXT, "filename": bytes(name)}:
            text = (folder / os.fsdecode(name)).read_bytes()
        case _:
            raise ValueError("not JSON")
    with contextlib.suppress(NewerFormat):
        checked_reply(load_json(text))
        return key, False
    return key, True


def _replace(folder: Path, rows: list[Row]) -> None:
    """A database of `rows` in the place of the other. Files of long replies stay where they are."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as name:
        ReplyCache(Path(name)).close()
        made = Path(name) / DATABASE
        with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = DELETE")
            database.execute("BEGIN")
            marks = ", ".join("?" * len(COLUMNS))
            database.executemany(
                f"INSERT INTO Cache ({', '.join(COLUMNS)}) VALUES ({marks})",
                ([*map(_text, row)] for row in rows),
            )
            database.execute("COMMIT")
        old = folder / DATABASE
        shutil.rmtree(folder / ASIDE, ignore_errors=True)  # a folder of that name
        (folder / ASIDE).unlink(missing_ok=True)
        try:
            os.link(old, folder / ASIDE)
        except OSError:  # a folder in its place, or a file system without links
            (shutil.copytree if old.is_dir() else shutil.copy2)(old, folder / ASIDE)
        if old.is_dir():
            shutil.rmtree(old)
        for suffix in ("-wal", "-shm", "-journal"):  # of the other; they would be read into this
            (folder / f"{DATABASE}{suffix}").unlink(missing_ok=True)
        os.replace(made, old)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
