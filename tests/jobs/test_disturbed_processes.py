"""What other processes, the clock and the disk do to a command: nothing is lost or paid twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Command, pool_rows, write_jsonl
from tests.support import forked
from tests.support.cli_files import LOG, OUT, RATED, assert_refused, at, select, served, write_suite
from tests.support.provider_server import Answer, ProviderServer, error, fingerprint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and locks of POSIX")


def results(folder: str) -> bytes:
    """The results without what the clock says."""
    return re.sub(rb'"seconds": [0-9.e-]+', b"", Path(folder, "results.json").read_bytes())


def questions(server: ProviderServer) -> list[str]:
    return [fingerprint(seen.body) for seen in server.requests]


@pytest.fixture
def answering(selectllm: Command) -> Iterator[ProviderServer]:
    """A pool of eight clusters, and a server that takes its time."""
    write_jsonl(Path("pool.jsonl"), pool_rows(40))
    with ProviderServer(reply=lambda messages: "[1, 2]", latency=0.3) as server:
        yield server


HASTY = (
    "import selectllm.models.wrappers.held as held\n"
    "held.STOPPED_AFTER = 0.2\n"
    "from selectllm.cli import script; script()"
)


def evaluating(suite: Path, out: str) -> forked.Forked:
    words = ("eval", suite, "-o", out, "-j", 2)
    return forked.fork("-c", HASTY, *words, loads=forked.ASKING)


def test_two_processes_on_one_suite_ask_each_question_once(
    selectllm: Command, answering: ProviderServer
) -> None:
    suite = write_suite(served(answering), RATED)
    both = [evaluating(suite, out) for out in ("one", "two")]
    assert [each.wait() for each in both] == [0, 0], [each.err for each in both]
    assert len(questions(answering)) == len(set(questions(answering))) == 8
    assert results("one") == results("two")


@pytest.mark.parametrize("then", ["SIGCONT", "SIGKILL"])
def test_who_waits_for_a_stopped_process_is_told_which_and_goes_on_after_it(
    selectllm: Command, answering: ProviderServer, then: str
) -> None:
    suite = write_suite(served(answering), RATED)
    stopped = evaluating(suite, "stopped")
    while answering.count < 2:
        assert stopped.poll() is None, stopped.err
        time.sleep(0.005)
    os.kill(stopped.pid, signal.SIGSTOP)
    told = f"Process {stopped.pid} asks a question that this command asks too, and it was stopped"
    try:
        waiting = evaluating(suite, "waiting")
        until = time.monotonic() + 120
        while told not in waiting.err:
            assert waiting.poll() is None, waiting.err
            assert time.monotonic() < until, waiting.err
            time.sleep(0.005)
    except BaseException:
        os.kill(stopped.pid, signal.SIGKILL)
        raise
    os.kill(stopped.pid, signal.Signals[then])
    assert waiting.wait() == 0, waiting.err
    assert waiting.err.count(told) == 1
    assert f"kill -CONT {stopped.pid}" in waiting.err
    if then == "SIGCONT":
        assert stopped.wait() == 0, stopped.err
        assert len(questions(answering)) == len(set(questions(answering))) == 8
        assert results("stopped") == results("waiting")
    else:  # what was on its way to it came to nobody
        assert stopped.wait() == -signal.SIGKILL
        assert len(set(questions(answering))) == 8
        assert len(questions(answering)) <= 8 + 2


JUMPING = """
import itertools, time
real, jumps = time.time, itertools.cycle((0, 18_000, -18_000))
time.time = lambda: real() + next(jumps)
from selectllm.cli import script
script()
"""


def test_a_clock_that_jumps_by_hours_changes_nothing(
    selectllm: Command, answering: ProviderServer
) -> None:
    suite = write_suite(served(answering, rpm=1200), RATED)
    assert selectllm("eval", suite, "-o", "plain", "--cache", "other").code == 0
    asked = answering.count
    answering.queue(
        Answer(429, error("Slow down."), _date(1)), Answer(503, error("Busy."), _date(1))
    )
    jumping = forked.fork("-c", JUMPING, "eval", suite, "-o", "run", loads=forked.ASKING)
    assert jumping.wait() == 0, jumping.err
    assert answering.count == 2 * asked + 2
    assert results("run") == results("plain")


def _date(seconds: float) -> dict[str, str]:
    """A wait, as a moment of the server's clock."""
    from email.utils import formatdate

    now = time.time()
    return {
        "Date": formatdate(now, usegmt=True),
        "Retry-After": formatdate(now + seconds, usegmt=True),
    }


# --- a disk that is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KB, where this account may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    try:
        done = subprocess.run(words, capture_output=True, check=False)
    except OSError as failed:
        pytest.skip(f"mount: {failed}")
    if done.returncode:
        pytest.skip("this account may mount no disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    filling = disk / "filling"
    with filling.open("wb", buffering=0) as handle:
        try:
            while handle.write(b"x" * 1024):
                pass
        except OSError:
            return filling
    raise AssertionError("there is always room")


def test_a_full_disk_under_the_log_ends_the_command_and_nothing_is_asked_twice(
    selectllm: Command, answering: ProviderServer, small_disk: Path
) -> None:
    LOG.symlink_to(small_disk / "log.jsonl")
    filled = fill(small_disk)
    assert_refused(select(selectllm, *at(answering)), "No space left", "Make room")
    asked = answering.count
    filled.unlink()
    assert select(selectllm, *at(answering)).code == 0
    assert len(questions(answering)) == len(set(questions(answering))) == 8 >= asked
    assert len(OUT.read_bytes().splitlines()) == 8


def test_a_full_disk_under_the_output_loses_nothing_that_was_asked(
    selectllm: Command, answering: ProviderServer, small_disk: Path
) -> None:
    suite = write_suite(served(answering), RATED)
    (small_disk / "run").mkdir()
    filled = fill(small_disk)
    outcome = selectllm("eval", suite, "-o", small_disk / "run")
    assert_refused(outcome, "No space left")
    filled.unlink()
    assert selectllm("eval", suite, "-o", small_disk / "run").code == 0
    assert len(questions(answering)) == len(set(questions(answering))) == 8


def test_a_full_disk_under_the_cache_is_told_before_anything_is_asked(
    selectllm: Command, answering: ProviderServer, small_disk: Path
) -> None:
    cache = ("--cache", small_disk / "cache")
    assert select(selectllm, *at(answering), *cache, budget=1).code == 0  # makes the cache
    filled = fill(small_disk)
    again = (*at(answering), *cache, "-o", "other.jsonl", "--seed", 1)
    assert_refused(select(selectllm, *again), "Check the disk and the space left", "--cache")
    assert answering.count == 1
    filled.unlink()
    assert select(selectllm, *again).code == 0
    assert len(questions(answering)) == len(set(questions(answering))) == 9


# --- a disk that fills while it asks, and one that may not be written


def fill_but(disk: Path, free: int) -> Path:
    """Take all the room that is left but for `free` bytes."""
    filling = fill(disk)
    os.truncate(filling, filling.stat().st_size - free)
    return filling


PAGE = 4096  # bytes: what the disk gives at a time, some seven decisions


def test_a_disk_that_fills_under_the_log_keeps_what_was_asked(
    selectllm: Command, small_disk: Path
) -> None:
    write_jsonl(Path("pool.jsonl"), pool_rows(200))
    with ProviderServer() as server:
        LOG.symlink_to(small_disk / "log.jsonl")
        filled = fill_but(small_disk, PAGE)
        full = select(selectllm, *at(server), "--concurrency", 2, budget=40)
        assert_refused(full, "No space left", "Make room")
        asked = server.count
        assert 1 < len(LOG.read_bytes().splitlines()) <= asked + 1 <= 40
        assert LOG.read_bytes().endswith(b"\n")
        filled.unlink()
        assert select(selectllm, *at(server), budget=40).code == 0
        assert len(questions(server)) == len(set(questions(server))) == 40
        disturbed = OUT.read_bytes()
        assert select(selectllm, *at(server), "-o", "whole.jsonl", budget=40).code == 0
        assert Path("whole.jsonl").read_bytes() == disturbed


SMALL_FILES = """
import resource
from selectllm.cli import script
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
script()
"""


def test_a_cache_that_may_grow_no_more_is_told_and_the_log_keeps_what_was_asked(
    selectllm: Command,
) -> None:
    """By the system's limit on the size of a file, which any account may set for itself."""
    write_jsonl(Path("pool.jsonl"), pool_rows(400))
    with ProviderServer() as server:
        suite = write_suite(served(server), RATED)
        assert selectllm("eval", suite, "-o", "plain", "--cache", "other").code == 0
        asked = server.count
        limited = forked.fork("-c", SMALL_FILES, "eval", suite, "-o", "run", loads=forked.ASKING)
        assert limited.wait() == 0, limited.err
        assert limited.err.count("This run goes on, and its log keeps every reply") == 1
        assert server.count == 2 * asked
        again = selectllm("eval", suite, "-o", "run")
        assert again.code == 0, again.err
        assert server.count == 2 * asked
        assert results("run") == results("plain")


@pytest.fixture
def read_only_disk(small_disk: Path) -> Iterator[Path]:
    """A disk that may not be written; whoever has the test makes it writable again."""
    yield small_disk
    remount(small_disk, "rw")


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


@pytest.mark.parametrize("place", ["cache", "output", "log"])
def test_a_place_that_may_not_be_written_is_told_before_anything_is_asked(
    selectllm: Command, answering: ProviderServer, read_only_disk: Path, place: str
) -> None:
    places = {
        "cache": ("--cache", read_only_disk / "cache"),
        "output": ("-o", read_only_disk / "out.jsonl"),
        "log": ("-o", "out.jsonl"),
    }
    if place == "log":
        Path("out.jsonl.decisions.jsonl").symlink_to(read_only_disk / "log.jsonl")
    remount(read_only_disk, "ro")
    said = "may not write in the folder" if place == "output" else "Read-only file system"
    assert_refused(select(selectllm, *at(answering), *places[place]), said)
    assert answering.count == 0
    remount(read_only_disk, "rw")
    assert select(selectllm, *at(answering), *places[place]).code == 0
    assert len(questions(answering)) == len(set(questions(answering))) == 8


def test_a_run_that_may_not_be_written_any_more_is_gone_on_with(
    selectllm: Command, answering: ProviderServer, read_only_disk: Path
) -> None:
    suite, run = write_suite(served(answering), RATED), read_only_disk / "run"
    assert selectllm("eval", suite, "-o", run, "--max-requests", 3).code == 4
    remount(read_only_disk, "ro")
    assert_refused(selectllm("eval", suite, "-o", run), "Read-only file system")
    assert answering.count == 3
    remount(read_only_disk, "rw")
    assert selectllm("eval", suite, "-o", run).code == 0
    assert selectllm("eval", suite, "-o", "plain").code == 0
    assert len(questions(answering)) == len(set(questions(answering))) == 8
    assert results(str(run)) == results("plain")
