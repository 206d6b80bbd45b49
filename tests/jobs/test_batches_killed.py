"""A process that asks in batches is killed, wherever it is: no question is sent or paid for twice.

The server kills its client with SIGKILL: when a request arrives, so that nothing came of it, or
when it is done, so that the client never hears of it. The same command then goes on.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from aiohttp import web

from tests.conftest import Command
from tests.jobs.test_batching import CLAUDE, FREE, results, suite_of
from tests.support.batch_server import BatchServer
from tests.support.forked import ASKING, Forked, fork

pytestmark = pytest.mark.usefixtures("quick")

ANTHROPIC = [
    *(("create", "before"), ("create", "after"), ("status", "after"), ("results", "after")),
]
OPENAI = [("upload", "before"), ("upload", "after"), *ANTHROPIC, ("results", "before")]
LOADS = (*ASKING, "selectllm.jobs.batch_rounds", "aiohttp")
POINTS = [*(("openai/m", *point) for point in OPENAI), *((CLAUDE, *point) for point in ANTHROPIC)]


class Killer:
    """Kills the client when it comes to a step, once."""

    def __init__(self, step: str) -> None:
        self.step, self.known, self.killed = step, threading.Event(), False
        self.client: Forked | None = None

    def runs(self, *words: object) -> Forked:
        """The client, as it was started."""
        return self.started("-m", "selectllm", *words)

    def started(self, *words: object) -> Forked:
        """The same, as Python is given it."""
        self.client = fork(*words, loads=LOADS)
        self.known.set()
        return self.client

    def __call__(self, step: str) -> web.Response | None:
        if step != self.step or self.killed:
            return None
        assert self.known.wait(30)
        assert self.client is not None
        self.killed = True
        os.kill(self.client.pid, signal.SIGKILL)
        while not Path(f"/proc/{self.client.pid}/stat").read_bytes().split()[2] == b"Z":
            time.sleep(0.001)  # it is dead before it hears anything
        return None


def ends_as_by_calls(selectllm: Command, suite: Path) -> None:
    plain = selectllm("eval", suite, "-o", "plain", "--cache", "other")
    assert plain.code == 0, plain.err
    assert results("run") == results("plain")


@pytest.mark.parametrize(("model", "step", "when"), POINTS)
def test_a_killed_command_goes_on_and_sends_nothing_twice(
    selectllm: Command, batches: BatchServer, model: str, step: str, when: str
) -> None:
    suite = suite_of(batches, model, **FREE)
    killer = Killer(step)
    setattr(batches, when, killer)
    client = killer.runs("eval", suite, "-o", "run", "--batch")
    assert client.wait() == -signal.SIGKILL
    assert killer.killed
    again = selectllm("eval", suite, "-o", "run", "--batch")
    assert again.code == 0, again.err
    assert set(batches.asked.values()) == {1}
    assert not list(Path("cache/batches").glob("*.json"))
    ends_as_by_calls(selectllm, suite)


KILLED_WHILE_KEEPING = """
import os, signal
from selectllm.cli import main
from selectllm.models.wrappers.cache import ReplyCache

keep, kept = ReplyCache.keep_soon, []

async def keeping(cache, request, reply):
    await keep(cache, request, reply)
    kept.append(request)
    if len(kept) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

ReplyCache.keep_soon = keeping
main(["eval", "suite.yaml", "-o", "run", "--batch"])
"""


def test_killed_while_it_collects_it_collects_the_rest(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m", **FREE)
    client = fork("-c", KILLED_WHILE_KEEPING)
    assert client.wait() == -signal.SIGKILL
    assert selectllm("cache", "stats", "--json").json["models"]["openai/m"]["replies"] == 3
    again = selectllm("eval", suite, "-o", "run", "--batch")
    assert again.code == 0, again.err
    assert set(batches.asked.values()) == {1}
    ends_as_by_calls(selectllm, suite)


CLOCK_OFF = """
import time
real = time.time
time.time = lambda: real() + {hours} * 3600
from selectllm.cli import script
script()
"""


@pytest.mark.parametrize("hours", [(-5, -5), (5, 5), (-5, 5), (5, -5), (0, 0.5), (0.5, 0)])
def test_a_batch_is_found_again_whatever_the_clock_says(
    selectllm: Command, batches: BatchServer, hours: tuple[float, float]
) -> None:
    """Of Anthropic, whose batches carry no name; this machine's clock is hours off, or set anew."""
    suite = suite_of(batches, CLAUDE, **FREE)
    before, after = (
        ("-c", CLOCK_OFF.format(hours=each), "eval", suite, "-o", "run", "--batch")
        for each in hours
    )
    killer = Killer("create")
    batches.after = killer
    assert killer.started(*before).wait() == -signal.SIGKILL
    again = fork(*after, loads=LOADS)
    assert again.wait() == 0, again.err
    assert set(batches.asked.values()) == {1}


def test_another_batch_of_that_size_is_not_taken_for_the_one_that_was_lost(
    selectllm: Command, batches: BatchServer
) -> None:
    """Of Anthropic, where a batch carries no name: its results tell that it was not ours."""
    suite = suite_of(batches, CLAUDE, **FREE)
    killer = Killer("create")
    batches.before = killer
    client = killer.runs("eval", suite, "-o", "run", "--batch")
    client.wait()
    params = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
    made = batches._made([{"custom_id": f"another-{n}", "params": params} for n in range(8)])
    made.lines = [b'{"custom_id": "another-1", "result": {"type": "expired"}}']
    again = selectllm("eval", suite, "-o", "run", "--batch")
    assert again.code == 0, again.err
    assert all(count == 1 for count in batches.asked.values())
    ends_as_by_calls(selectllm, suite)


def test_two_processes_at_once_share_their_batches(
    selectllm: Command, batches: BatchServer
) -> None:
    suite = suite_of(batches, "openai/m", **FREE)
    batches.hold = True
    both = [
        fork("-m", "selectllm", "eval", suite, "-o", run, "--batch") for run in ("run", "plain")
    ]
    while batches.steps.count("status") < 4:
        assert all(client.poll() is None for client in both)
    batches.hold = False
    assert [client.wait() for client in both] == [0, 0], [client.err for client in both]
    assert set(batches.asked.values()) == {1}
    assert results("run") == results("plain")
