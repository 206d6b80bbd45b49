"""A damaged cache: what is whole is told from what is not, kept, and nothing is lost on the way."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from selectllm.core.errors import CacheDamaged, CacheError
from selectllm.core.types import Reply
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.cache_repair import ASIDE, CacheState, clear, examine, repair
from tests.models.wrappers.test_cache import REQUEST

PAGE = 4_096
ROWS = 150
LONG = 7  # the row whose reply is kept in a file


def request_of(number: int) -> object:
    return replace(REQUEST, repeat=number)


def reply_of(number: int) -> Reply:
    text = f"reply {number} " + "because of this and that " * (number % 40)
    return Reply(text * 2_000 if number == LONG else text, "stop", 10, number, 0.25, 1.5)


KEYS = {replace(REQUEST, repeat=number).key: number for number in range(ROWS)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache of 150 replies, closed."""
    folder = tmp_path / "replies"
    cache = ReplyCache(folder)
    for number in range(ROWS):
        cache.put(replace(REQUEST, repeat=number), reply_of(number))
    cache.close()
    return folder


def pages_of_rows(data: bytes) -> list[int]:
    """Where the pages begin that hold replies."""
    starts = range(PAGE, len(data), PAGE)
    return [start for start in starts if b"finish_reason" in data[start : start + PAGE]]


def overwrite(folder: Path, starts: list[int], seed: int) -> None:
    path = folder / "cache.db"
    data = bytearray(path.read_bytes())
    for start in starts:
        data[start : start + PAGE] = random.Random(seed + start).randbytes(PAGE)
    path.write_bytes(data)


def kept(folder: Path) -> dict[int, Reply]:
    """The replies by number, as a run would find them."""
    with closing(ReplyCache(folder)) as cache:
        rows = {KEYS[key]: cache.get(key) for key in KEYS}
        assert len(cache) == sum(reply is not None for reply in rows.values())
    return {n: replace(reply, cached=False) for n, reply in rows.items() if reply is not None}


@pytest.mark.parametrize("made", [None, "CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)"])
def test_a_cache_whose_making_was_stopped_is_unfinished_and_is_gone_on_with(
    tmp_path: Path, made: str | None
) -> None:
    (tmp_path / "cache.db").touch()
    if made is not None:
        with closing(sqlite3.connect(tmp_path / "cache.db")) as database:
            database.execute(made)
    for check in (examine, repair):
        assert check(tmp_path) == CacheState(0, (), unfinished=True)
        assert [path.name for path in tmp_path.iterdir()] == ["cache.db"]
    with closing(ReplyCache(tmp_path)) as cache:
        cache.put(replace(REQUEST, repeat=1), reply_of(1))
    assert examine(tmp_path) == CacheState(1, ())


def test_a_whole_cache_is_whole_and_repair_changes_nothing(folder: Path) -> None:
    assert examine(folder) == CacheState(ROWS, ())
    before = (folder / "cache.db").read_bytes()
    assert repair(folder) == CacheState(ROWS, ())
    assert not (folder / ASIDE).exists()
    assert kept(folder) == {number: reply_of(number) for number in range(ROWS)}
    assert len((folder / "cache.db").read_bytes()) == len(before)


def test_a_cache_that_is_not_there_is_whole_and_is_not_made(tmp_path: Path) -> None:
    assert examine(tmp_path / "no") == repair(tmp_path / "no") == CacheState(0, ())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(6))
def test_what_stands_on_whole_pages_is_kept_and_what_is_kept_is_right(
    folder: Path, seed: int
) -> None:
    data = (folder / "cache.db").read_bytes()
    starts = pages_of_rows(data)
    lost = random.Random(seed).sample(starts, 3)
    # A reply may go on on other pages, so this is an upper bound of what was hit.
    hit = {n for key, n in KEYS.items() if any(key.encode() in data[s : s + PAGE] for s in lost)}
    overwrite(folder, lost, seed)
    state = repair(folder)
    assert state.damaged
    rows = kept(folder)
    assert state.whole == len(rows)
    assert rows == {number: reply_of(number) for number in rows}
    assert set(rows) >= set(range(ROWS)) - hit - overflowing(data, lost)
    assert len(rows) < ROWS
    assert examine(folder) == CacheState(len(rows), ())
    assert (folder / ASIDE).is_file()


def overflowing(data: bytes, lost: list[int]) -> set[int]:
    """Rows longer than a page can hold, which may go on on a page that was lost."""
    return {number for number in range(ROWS) if len(reply_of(number).text) > 600}


@pytest.mark.parametrize("seed", range(12))
def test_pages_at_any_place_may_be_damaged_and_no_wrong_reply_is_kept(
    folder: Path, seed: int
) -> None:
    size = (folder / "cache.db").stat().st_size
    chosen = random.Random(seed).sample(range(0, size, PAGE), 4)
    overwrite(folder, chosen, seed)
    examined = examine(folder)
    assert repair(folder) == examined
    rows = kept(folder)
    assert len(rows) == examined.whole
    assert rows == {number: reply_of(number) for number in rows}
    assert repair(folder) == CacheState(len(rows), ())


@pytest.mark.parametrize("size", [0, 1, 100, 5_000, 40_000])
def test_a_cut_database_becomes_a_cache_of_what_is_left(folder: Path, size: int) -> None:
    os.truncate(folder / "cache.db", size)
    state = repair(folder)
    assert kept(folder) == {number: reply_of(number) for number in kept(folder)}
    assert state.whole == len(kept(folder))


def test_a_bit_that_turned_in_a_reply_is_noticed(folder: Path) -> None:
    path = folder / "cache.db"
    path.write_bytes(path.read_bytes().replace(b"reply 93 because", b"reply 94 because"))
    key = replace(REQUEST, repeat=93).key
    with closing(ReplyCache(folder)) as cache, pytest.raises(CacheDamaged, match="not the reply"):
        cache.get(key)
    assert examine(folder).whole == ROWS - 1
    assert repair(folder).whole == ROWS - 1
    assert set(kept(folder)) == set(range(ROWS)) - {93}


def test_a_long_reply_in_a_file_is_kept_and_missed_without_it(folder: Path) -> None:
    overwrite(folder, pages_of_rows((folder / "cache.db").read_bytes())[-1:], 0)
    repair(folder)
    assert kept(folder)[LONG] == reply_of(LONG)
    (file,) = folder.glob("??/??/*")
    file.unlink()
    state = examine(folder)
    assert len(state.damaged) == 1
    assert "is not a whole reply" in state.damaged[0]


def test_rows_of_0_1_0_have_no_hash_and_are_whole(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "cache.db")) as database, database:
        database.execute("UPDATE Cache SET value = json_remove(value, '$.sha256')")
        database.execute("UPDATE Cache SET value = replace(value, 'x', 'x')")
    assert examine(folder) == CacheState(ROWS, ())


def test_a_folder_in_the_place_of_the_database_gives_way(folder: Path) -> None:
    (folder / "cache.db").unlink()
    (folder / "cache.db" / "inner").mkdir(parents=True)
    with pytest.raises(CacheError, match="cannot be opened"):
        ReplyCache(folder)
    assert examine(folder).damaged
    repair(folder)
    assert kept(folder) == {}


def test_a_cache_in_use_is_not_repaired(folder: Path) -> None:
    overwrite(folder, pages_of_rows((folder / "cache.db").read_bytes())[:1], 0)
    with closing(ReplyCache(folder)), pytest.raises(CacheError, match="another process"):
        repair(folder)
    assert not (folder / ASIDE).exists()


DIES = """
import os, signal, sys
from pathlib import Path
from selectllm.models.wrappers import cache_repair
step, folder = int(sys.argv[1]), Path(sys.argv[2])
calls = 0
def watched(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
for name in ("link", "replace", "unlink", "fsync", "mkdir", "chmod"):
    setattr(os, name, watched(getattr(os, name)))
cache_repair.repair(folder)
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_repair_that_is_killed_leaves_the_old_cache_or_the_new_one(folder: Path) -> None:
    overwrite(folder, pages_of_rows((folder / "cache.db").read_bytes())[:2], 0)
    examined = examine(folder)
    for step in range(1, 50):
        command = [sys.executable, "-c", DIES, str(step), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert examine(folder).whole == examined.whole
    assert step > 3
    assert examine(folder) == CacheState(examined.whole, ())
    assert not list(folder.glob(".repair-*"))


def test_a_damaged_cache_is_cleared(folder: Path) -> None:
    overwrite(folder, [0], 0)
    assert clear(folder) is None
    assert kept(folder) == {}
    assert not list(folder.glob("??"))


def test_a_whole_cache_is_cleared_and_its_replies_counted(folder: Path) -> None:
    assert clear(folder) == ROWS
    assert kept(folder) == {}
