"""The reply cache: asked once per identity, across threads and processes; nothing lost or run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import diskcache
import pytest

from selectllm.core.errors import CacheDamaged, CacheError, ProviderError, ReplyMissing
from selectllm.core.types import Item, Question, Reply
from selectllm.models.model import ModelSpec, Request, Vote
from selectllm.models.wrappers.cache import ReplyCache, unusable
from selectllm.models.wrappers.cached import Cached, Offline
from tests.support.forked import Forked, fork

QUESTION = Question((Item("a", "A"), Item("b", "B")), ("1", "2"), 1, "indices")
REQUEST = Request(
    model=ModelSpec(name="m", id="openai/m"),
    messages=({"role": "user", "content": "which?"},),
    question=QUESTION,
)


class Upstream:
    """A model that counts what it is asked and takes its time."""

    def __init__(self, seconds: float = 0.02, fails: bool = False) -> None:
        self.calls = 0
        self.seconds = seconds
        self.fails = fails

    async def complete(self, request: Request) -> Reply:
        self.calls += 1
        await asyncio.sleep(self.seconds)
        if self.fails:
            raise ProviderError("down")
        return Reply(f"answer {self.calls}", "stop", 10, 2, 0.5, 1.25)

    async def close(self) -> None: ...


def complete(model: Any, request: Request = REQUEST) -> Reply:
    return asyncio.run(model.complete(request))


def test_a_second_request_is_answered_from_disk_with_its_original_cost(tmp_path: Path) -> None:
    upstream = Upstream()
    first = complete(Cached(upstream, ReplyCache(tmp_path)))
    again = complete(Cached(upstream, ReplyCache(tmp_path)))
    assert upstream.calls == 1
    assert not first.cached
    assert again == replace(first, cached=True)


def test_what_was_looked_up_ahead_stays_known_while_more_is_looked_up(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path)
    complete(Cached(Upstream(), cache))
    model = Cached(Offline(), cache)
    model.expect([REQUEST])
    model.expect([replace(REQUEST, repeat=1)])
    cache.clear()
    assert complete(model).text == "answer 1"


def test_identical_requests_in_flight_are_asked_once(tmp_path: Path) -> None:
    upstream = Upstream()
    model = Cached(upstream, ReplyCache(tmp_path))

    async def many() -> list[Reply]:
        return await asyncio.gather(*(model.complete(REQUEST) for _ in range(8)))

    assert {reply.text for reply in asyncio.run(many())} == {"answer 1"}
    assert upstream.calls == 1


def test_threads_with_event_loops_of_their_own_share_a_flight(tmp_path: Path) -> None:
    upstream = Upstream(seconds=0.2)
    cache = ReplyCache(tmp_path)
    threads = [threading.Thread(target=complete, args=(Cached(upstream, cache),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert upstream.calls == 1


def test_a_failure_reaches_all_who_waited_and_is_not_kept(tmp_path: Path) -> None:
    upstream = Upstream(fails=True)
    model = Cached(upstream, ReplyCache(tmp_path))

    async def many() -> list[Any]:
        return await asyncio.gather(
            *(model.complete(REQUEST) for _ in range(3)), return_exceptions=True
        )

    assert all(isinstance(outcome, ProviderError) for outcome in asyncio.run(many()))
    assert upstream.calls == 1
    upstream.fails = False
    assert complete(model).text == "answer 2"


def test_a_cancelled_caller_does_not_cancel_those_who_wait_for_it(tmp_path: Path) -> None:
    upstream = Upstream(seconds=0.1)
    model = Cached(upstream, ReplyCache(tmp_path))

    async def scenario() -> Reply:
        leader = asyncio.create_task(model.complete(REQUEST))
        await asyncio.sleep(0.02)
        follower = asyncio.create_task(model.complete(REQUEST))
        await asyncio.sleep(0.02)
        leader.cancel()
        return await follower

    assert asyncio.run(scenario()).text == "answer 2"


WORKER = """
import asyncio, sys, time
from pathlib import Path
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.cached import Cached
from tests.models.wrappers.test_cache import REQUEST
from selectllm.core.types import Reply

folder, calls, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])

class Upstream:
    async def complete(self, request):
        with calls.open("a") as handle:
            handle.write("called\\n")
        await asyncio.sleep(seconds)
        return Reply("answer")
    async def close(self): ...

print(asyncio.run(Cached(Upstream(), ReplyCache(folder)).complete(REQUEST)).text)
"""


def worker(folder: Path, calls: Path, seconds: float) -> Forked:
    loads = ("tests.models.wrappers.test_cache",)
    return fork("-c", WORKER, folder, calls, seconds, loads=loads)


def called(calls: Path) -> int:
    return len(calls.read_text(encoding="utf-8").splitlines()) if calls.exists() else 0


def test_four_processes_with_one_request_make_one_call(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    processes = [worker(tmp_path / "cache", calls, 1.0) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert [process.out.strip() for process in processes] == ["answer"] * 4
    assert called(calls) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    holder = worker(tmp_path / "cache", calls, 600)
    deadline = time.monotonic() + 300
    while called(calls) == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    waiter = worker(tmp_path / "cache", calls, 0)
    time.sleep(0.5)
    holder.send_signal(signal.SIGKILL)
    assert holder.wait() == -signal.SIGKILL
    assert waiter.wait() == 0, waiter.err
    assert waiter.out.strip() == "answer"
    assert called(calls) == 2


class Boom:
    """Unpickled, it leaves a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("planted",))


def test_a_planted_pickle_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = ReplyCache(tmp_path / "cache")
    cache.put(REQUEST, Reply("fine"))
    cache.close()
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as database:
        database.execute("UPDATE Cache SET mode = 4, value = ?", (pickle.dumps(Boom()),))
    with pytest.raises(CacheError, match="did not write"):
        ReplyCache(tmp_path / "cache").get(REQUEST.key)
    assert not (tmp_path / "planted").exists()


def test_a_planted_pickled_key_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = ReplyCache(tmp_path / "cache")
    cache.put(REQUEST, Reply("fine"))
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as database:
        database.execute("UPDATE Cache SET raw = 0, key = ?", (pickle.dumps(Boom()),))
    with pytest.raises(CacheError, match="did not write"):
        list(cache.rows())
    assert not (tmp_path / "planted").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize(
    "value",
    ["not json", "5", "{}", '{"model": "m", "at": 1.0, "reply": {"text": "[1]"}}'],
)
def test_a_row_that_is_no_reply_is_refused(tmp_path: Path, value: str) -> None:
    cache = ReplyCache(tmp_path)
    cache.put(REQUEST, Reply("[1]"))
    with sqlite3.connect(tmp_path / "cache.db") as database:
        database.execute("UPDATE Cache SET value = ?", (value,))
    database.close()
    with pytest.raises(CacheError, match="did not write"):
        cache.get(REQUEST.key)
    with pytest.raises(CacheError, match="did not write"):
        list(cache.rows())


def test_a_database_that_is_none_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"no database" * 100)
    with pytest.raises(CacheError, match=r"is damaged .*cache verify --repair"):
        ReplyCache(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
def test_a_reply_that_the_disk_does_not_take_is_handed_out_and_told_once(tmp_path: Path) -> None:
    import resource

    notes: list[str] = []
    upstream, cache = Upstream(), ReplyCache(tmp_path, notes.append)
    model = Cached(upstream, cache)
    complete(model, replace(REQUEST, repeat=1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))  # no file may grow: a full disk
    try:
        replies = [complete(model, replace(REQUEST, repeat=repeat)) for repeat in (2, 3, 2)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [reply.text for reply in replies] == ["answer 2", "answer 3", "answer 2"]
    assert [reply.cached for reply in replies] == [False, False, True]
    assert len(notes) == 1
    assert str(tmp_path) in notes[0]
    assert "would pay for them again" in notes[0]
    assert complete(model, replace(REQUEST, repeat=1)).text == "answer 1"
    assert upstream.calls == 3


def test_a_reply_whose_text_is_none_is_refused(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path)
    cache.put(REQUEST, Reply("[1]"))
    for wrong in ("5", '["[1]"]', "null", "true"):
        with closing(sqlite3.connect(tmp_path / "cache.db")) as database, database:
            row = ("UPDATE Cache SET value = json_set(value, '$.reply.text', json(?))", (wrong,))
            database.execute(*row)
        with pytest.raises(CacheDamaged, match="not a reply"):
            cache.get(REQUEST.key)


@pytest.mark.parametrize("name", ["flight.lock", "cache.db"])
def test_a_folder_in_the_place_of_a_file_is_our_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(CacheError, match=re.escape(str(tmp_path))):
        complete(Cached(Upstream(), ReplyCache(tmp_path)))


def test_a_locked_cache_is_told_as_locked(tmp_path: Path) -> None:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    assert "another process has locked it" in str(unusable(tmp_path, error))
    assert "another process has locked it" in str(unusable(tmp_path, diskcache.Timeout()))


def test_a_truncated_database_is_our_error_at_whatever_length(tmp_path: Path) -> None:
    with closing(ReplyCache(tmp_path / "whole")) as cache:
        for repeat in range(60):
            cache.put(replace(REQUEST, repeat=repeat), Reply("reply " * 20))
    whole = (tmp_path / "whole" / "cache.db").read_bytes()
    for size in range(1, len(whole), 7_001):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / "cache.db").write_bytes(whole[:size])
        with contextlib.suppress(CacheError), closing(ReplyCache(folder)) as cache:
            for repeat in range(60):
                reply = cache.get(replace(REQUEST, repeat=repeat).key)
                assert reply is None or reply.text == "reply " * 20


def test_the_folder_is_private(tmp_path: Path) -> None:
    ReplyCache(tmp_path / "cache")
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


def test_a_cache_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="another folder with `cache`"):
        ReplyCache(tmp_path / "file" / "cache")


def test_offline_a_missing_reply_is_missing_and_a_cached_one_is_not(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path)
    with pytest.raises(ReplyMissing):
        complete(Cached(Offline(), cache))
    complete(Cached(Upstream(), cache))
    assert complete(Cached(Offline(), cache)).text == "answer 1"


# --- request identity


def test_the_keys_of_these_requests_never_move() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert {name: request.key for name, request in REQUESTS.items()} == golden


GOLDEN = Path(__file__).parents[2] / "golden" / "request_keys.json"
SPEC = REQUEST.model
REQUESTS = {
    "plain": REQUEST,
    "unicode": replace(REQUEST, messages=({"role": "user", "content": "é\u2028\U0001f600"},)),
    "with endpoint": replace(REQUEST, endpoint="http://127.0.0.1:8080/v1"),
    "all settings": replace(
        REQUEST,
        model=replace(
            SPEC,
            revision="q4",
            temperature=0.7,
            top_p=0.9,
            top_k=40,
            stop=("\n",),
            reasoning_effort="low",
            extra={"min_p": 0.1},
        ),
        schema={"type": "object"},
        grammar="root ::= [0-9]",
        max_tokens=16,
        seed=3,
        repeat=2,
    ),
    "reasoning": replace(REQUEST, model=replace(SPEC, reasoning="low")),
    "log-probabilities": replace(REQUEST, top_logprobs=20, max_tokens=1),
}

SHAPES_THE_REPLY = {
    "messages": replace(REQUEST, messages=({"role": "user", "content": "what?"},)),
    "role": replace(REQUEST, messages=({"role": "system", "content": "which?"},)),
    "model": replace(REQUEST, model=replace(SPEC, id="openai/n")),
    "revision": replace(REQUEST, model=replace(SPEC, revision="q8")),
    "temperature": replace(REQUEST, model=replace(SPEC, temperature=1.0)),
    "top_p": replace(REQUEST, model=replace(SPEC, top_p=0.5)),
    "top_k": replace(REQUEST, model=replace(SPEC, top_k=5)),
    "stop": replace(REQUEST, model=replace(SPEC, stop=("x",))),
    "reasoning effort": replace(REQUEST, model=replace(SPEC, reasoning_effort="high")),
    "reasoning": replace(REQUEST, model=replace(SPEC, reasoning="off")),
    "extra": replace(REQUEST, model=replace(SPEC, extra={"num_ctx": 1})),
    "endpoint": replace(REQUEST, endpoint="http://127.0.0.1:1/v1"),
    "schema": replace(REQUEST, schema={"type": "object"}),
    "grammar": replace(REQUEST, grammar="root ::= [1]"),
    "top_logprobs": replace(REQUEST, top_logprobs=20),
    "max_tokens": replace(REQUEST, max_tokens=5),
    "seed": replace(REQUEST, seed=1),
    "repeat": replace(REQUEST, repeat=1),
}


def test_whatever_shapes_the_reply_moves_the_key() -> None:
    keys = {REQUEST.key} | {request.key for request in SHAPES_THE_REPLY.values()}
    assert len(keys) == 1 + len(SHAPES_THE_REPLY)


@pytest.mark.parametrize(
    "spec",
    [
        replace(SPEC, name="other"),
        replace(SPEC, api_key_env="SECRET"),
        replace(SPEC, timeout=5.0),
        replace(SPEC, context=4096),
        replace(SPEC, price=None, structured=True),
        replace(SPEC, vote=Vote(orders=3), answer="logprobs"),  # the requests differ, or not at all
    ],
)
def test_what_does_not_shape_the_reply_does_not(spec: ModelSpec) -> None:
    assert replace(REQUEST, model=spec).key == REQUEST.key


def test_building_a_key_loads_no_provider_library() -> None:
    code = (
        "import sys; from tests.models.wrappers.test_cache import REQUEST; REQUEST.key;"
        "sys.exit(bool({'litellm', 'torch', 'openai'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=GOLDEN.parents[2]).returncode == 0
