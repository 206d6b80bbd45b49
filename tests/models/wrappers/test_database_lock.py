"""A database that another process keeps locked: the error names the process and what to do."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import diskcache
import pytest

from selectllm.core.errors import CacheError
from selectllm.models.wrappers.cache import ReplyCache, unusable
from selectllm.models.wrappers.database_lock import TIMES, in_its_turn
from selectllm.models.wrappers.held import is_stopped
from selectllm.models.wrappers.shared_state import SharedState

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who was stopped")

WRITING = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("begun", flush=True)
time.sleep(600)
"""


@contextmanager
def writer(database: Path) -> Iterator[int]:
    """A process in the middle of a transaction; its id."""
    words = [sys.executable, "-c", WRITING, str(database)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process.pid
        process.kill()


def stop(process: int) -> None:
    os.kill(process, signal.SIGSTOP)
    while not is_stopped(process):
        time.sleep(0.001)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedState]:
    """Budgets and rates for which a process waits a moment."""
    monkeypatch.setattr("selectllm.models.wrappers.shared_state.LOOKS", 0.05)
    state = SharedState(tmp_path)
    with state.transaction() as rows:
        rows.execute("SELECT 1")
    yield state
    state.close()


def test_budgets_that_a_stopped_process_holds_name_it_and_how_to_let_it_go_on(
    state: SharedState,
) -> None:
    with writer(state.file) as process:
        stop(process)
        with pytest.raises(CacheError) as told, state.transaction():
            pass
    assert f"process {process} was stopped" in str(told.value)
    assert f"kill -CONT {process}" in str(told.value)
    with state.transaction() as rows:  # it has ended, and nobody holds anything
        assert rows.execute("SELECT count(*) FROM accounts").fetchone() == (0,)


def test_budgets_that_a_running_process_holds_name_it(state: SharedState) -> None:
    with (
        writer(state.file) as process,
        pytest.raises(CacheError) as told,
        state.transaction(),
    ):
        pass
    assert f"process {process} is writing to it" in str(told.value)


class Late:
    """What finds the database locked `times` times."""

    def __init__(self, times: int) -> None:
        self.times, self.tried = times, 0

    def __call__(self) -> str:
        self.tried += 1
        if self.tried <= self.times:
            raise diskcache.Timeout
        return "written"


def test_a_process_that_is_writing_is_waited_for_several_times(state: SharedState) -> None:
    with writer(state.file):
        late = Late(TIMES - 1)
        assert in_its_turn(state.file, late) == "written"
        with pytest.raises(diskcache.Timeout):
            in_its_turn(state.file, Late(TIMES))


def test_a_process_that_was_stopped_is_waited_for_once(state: SharedState) -> None:
    with writer(state.file) as process:
        stop(process)
        late = Late(1)
        with pytest.raises(diskcache.Timeout):
            in_its_turn(state.file, late)
    assert late.tried == 1


@pytest.mark.parametrize("error", [diskcache.Timeout(), sqlite3.OperationalError("locked")])
def test_a_cache_that_a_stopped_process_holds_names_it(tmp_path: Path, error: Exception) -> None:
    if isinstance(error, sqlite3.Error):
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    cache = ReplyCache(tmp_path)
    with writer(tmp_path / "cache.db") as process:
        stop(process)
        told = str(unusable(tmp_path, error))
    cache.close()
    assert f"process {process} was stopped" in told
    assert "another folder with `cache`" in told
