"""The cache reads and writes many replies at once, and nobody goes on before a reply is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import diskcache
import pytest

from selectllm.core.types import Reply
from selectllm.models.model import Request
from selectllm.models.wrappers.asked import asked_text
from selectllm.models.wrappers.cache import JSONOnlyDisk, ReplyCache
from selectllm.models.wrappers.cached import Cached
from tests.models.wrappers.test_cache import REQUEST

LONG = "x" * 100_000


def requests(count: int) -> list[Request]:
    return [replace(REQUEST, seed=number) for number in range(count)]


class Upstream:
    """A model that counts its calls, and hears what is expected of it."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.expected: list[int] = []

    def expect(self, requests: Sequence[Request]) -> None:
        self.expected += [request.seed for request in requests]

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request.seed)
        await asyncio.sleep(0)
        return Reply(LONG if request.seed == 3 else f"answer {request.seed}", "stop")

    async def close(self) -> None:
        """Nothing was opened."""


def test_every_reply_of_one_turn_is_on_the_disk_before_anybody_has_it(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path)
    model = Cached(Upstream(), cache)

    async def one(request: Request) -> tuple[Reply, Reply | None]:
        reply = await model.complete(request)
        other = ReplyCache(tmp_path)  # as another process would see it
        kept = other.get(request.key)
        other.close()
        return reply, kept

    async def all_of_them() -> list[tuple[Reply, Reply | None]]:
        return await asyncio.gather(*(one(request) for request in requests(10)))

    for reply, kept in asyncio.run(all_of_them()):
        assert kept is not None
        assert kept.text == reply.text
    assert len(cache) == 10


def test_what_was_written_is_what_diskcache_writes_and_reads(tmp_path: Path) -> None:
    ours = ReplyCache(tmp_path / "ours")
    theirs = diskcache.Cache(str(tmp_path / "theirs"), disk=JSONOnlyDisk)
    for request in requests(5):
        ours.put(request, Reply("short"))
        ours.put(request, Reply(LONG if request.seed == 3 else "é [1]", "stop"))  # once more
    tags = {request.key: asked_text(request) for request in requests(5)}
    for key, row in ours.rows():
        theirs.set(key, row, tag=tags[key])
    columns = "key, raw, expire_time, access_count, tag, size, mode, value"
    listed = f"SELECT {columns} FROM Cache ORDER BY key"
    assert ours._store._sql(listed).fetchall() == theirs._sql(listed).fetchall()
    counts = "SELECT key, value FROM Settings WHERE key IN ('count', 'size') ORDER BY key"
    assert ours._store._sql(counts).fetchall() == theirs._sql(counts).fetchall()


def test_a_long_reply_may_follow_a_short_one_and_be_followed_by_one(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path)
    for text in ("short", LONG, "short again", LONG):
        cache.put(REQUEST, Reply(text))
        kept = cache.get(REQUEST.key)
        assert kept is not None
        assert kept.text == text


def test_what_is_expected_is_looked_up_at_once_and_only_the_rest_is_asked(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path)
    for request in requests(6):
        cache.put(request, Reply(f"kept {request.seed}"))
    upstream = Upstream()
    model = Cached(upstream, cache)
    asked = requests(9)
    model.expect(asked)
    assert upstream.expected == [6, 7, 8]
    replies = [asyncio.run(model.complete(request)) for request in asked]
    assert [reply.cached for reply in replies] == [True] * 6 + [False] * 3
    assert upstream.asked == [6, 7, 8]
    assert [reply.text for reply in replies][5:7] == ["kept 5", "answer 6"]


def test_what_comes_into_the_cache_after_the_look_is_not_asked_again(tmp_path: Path) -> None:
    cache, upstream = ReplyCache(tmp_path), Upstream()
    model = Cached(upstream, cache)
    model.expect([REQUEST])
    cache.put(REQUEST, Reply("by another process"))
    assert asyncio.run(model.complete(REQUEST)).text == "by another process"
    assert upstream.asked == []


@pytest.mark.parametrize("full", [True, False])
def test_a_disk_that_takes_nothing_loses_no_reply_of_the_turn(tmp_path: Path, full: bool) -> None:
    notes: list[str] = []
    cache = ReplyCache(tmp_path, notes.append)
    if full:
        cache._store._con.execute("PRAGMA max_page_count = 1")
    model = Cached(Upstream(), cache)
    asked = [request for request in requests(90) if request.seed != 3]

    async def all_of_them() -> list[Reply]:
        return await asyncio.gather(*(model.complete(request) for request in asked))

    replies = asyncio.run(all_of_them())
    assert [reply.text for reply in replies] == [f"answer {request.seed}" for request in asked]
    assert len(notes) == full
    again = asyncio.run(all_of_them())
    assert [reply.cached for reply in again] == [True] * len(asked)


def test_a_call_that_is_cancelled_takes_no_reply_from_the_others(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path)
    model = Cached(Upstream(), cache)

    async def scenario() -> list[Reply | BaseException]:
        calls = [asyncio.create_task(model.complete(request)) for request in requests(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        calls[0].cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(scenario())
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [one.text for one in outcomes[1:] if isinstance(one, Reply)] == ["answer 1", "answer 2"]
    assert cache.get(requests(3)[1].key) is not None
