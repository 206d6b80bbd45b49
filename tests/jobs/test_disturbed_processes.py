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
