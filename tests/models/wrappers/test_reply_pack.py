"""Packs of the cache: the same bytes for the same replies, and nothing damaged gets in."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selectllm.core.codec import canonical_json, sha256_json
from selectllm.core.errors import CacheError, UsageError
from selectllm.core.types import Reply
from selectllm.models.wrappers.asked import asked
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.cache_repair import CacheState, examine
from selectllm.models.wrappers.recorded import read_pack as read_recorded
from selectllm.models.wrappers.reply_pack import Imported, keep_pack, read_pack, write_pack
from tests.models.wrappers.test_asked import SHOWING, update
from tests.support.forked import Forked, fork

LONG = "x" * 100_000

texts = st.text(st.characters(codec="utf-8"), max_size=60)
replies = st.builds(
    Reply,
    text=texts,
    finish_reason=st.sampled_from(["stop", "length", "refused"]),
    tokens_in=st.none() | st.integers(0, 10**9),
    tokens_out=st.none() | st.integers(0, 10**9),
    cost_usd=st.none() | st.floats(0, 1e6),
    seconds=st.floats(0, 1e6),
)


def filled(folder: Path, kept: Iterable[Reply]) -> ReplyCache:
    """A cache with these replies, open."""
    cache = ReplyCache(folder)
    for number, reply in enumerate(kept):
        cache.put(replace(SHOWING, seed=number), reply)
    return cache


def exported(cache: ReplyCache, path: Path) -> bytes:
    write_pack(cache, [key for key, _ in cache.rows()], path)
    return path.read_bytes()


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack of five replies, one of them long."""
    path = tmp_path / "pack.jsonl"
    kept = [Reply(LONG if number == 2 else f"[{number}]", cost_usd=0.5) for number in range(5)]
    with closing(filled(tmp_path / "from", kept)) as cache:
        exported(cache, path)
    return path


@settings(max_examples=15)
@given(st.lists(replies, min_size=1, max_size=5))
def test_what_is_exported_comes_back_and_is_exported_alike(
    tmp_path_factory: pytest.TempPathFactory, kept: list[Reply]
) -> None:
    folder = tmp_path_factory.mktemp("packs")
    with closing(filled(folder / "one", kept)) as one, closing(ReplyCache(folder / "two")) as two:
        first = exported(one, folder / "one.jsonl")
        rows = read_pack(folder / "one.jsonl")
        assert keep_pack(two, rows) == Imported(len(kept), 0, 0)
        assert keep_pack(two, rows) == Imported(0, len(kept), 0)
        assert exported(two, folder / "two.jsonl") == first
        assert dict(two.tags()) == dict(one.tags())
        for number, reply in enumerate(kept):
            again = two.get(replace(SHOWING, seed=number).key)
            assert again == replace(reply, cached=True)
    assert examine(folder / "two") == CacheState(len(kept), ())


def test_a_pack_is_one_that_suites_can_name(pack: Path, tmp_path: Path) -> None:
    with closing(ReplyCache(tmp_path / "from")) as cache:
        for key, reply in read_recorded(pack).items():
            assert cache.get(key) == reply


def test_no_key_is_in_a_pack(tmp_path: Path) -> None:
    secret = "sk-planted-0123456789abcdef"
    model = replace(SHOWING.model, extra={"headers": {"x-api-key": secret}, "token": secret})
    with closing(ReplyCache(tmp_path / "cache")) as cache:
        cache.put(replace(SHOWING, model=model), Reply("[1]"))
        assert b"0123456789abcdef" not in exported(cache, tmp_path / "pack.jsonl")


def test_another_reply_to_the_same_question_stays_as_it_is(pack: Path, tmp_path: Path) -> None:
    with closing(filled(tmp_path / "to", [Reply("other"), Reply("[1]", cost_usd=0.5)])) as cache:
        assert keep_pack(cache, read_pack(pack)) == Imported(new=3, known=1, different=1)
        kept = cache.get(replace(SHOWING, seed=0).key)
        assert kept is not None
        assert kept.text == "other"


def test_a_row_of_an_earlier_version_learns_what_was_asked(pack: Path, tmp_path: Path) -> None:
    filled(tmp_path / "to", [Reply("[0]", cost_usd=0.5)]).close()
    update(tmp_path / "to", "tag = NULL")
    with closing(ReplyCache(tmp_path / "to")) as cache:
        keep_pack(cache, read_pack(pack))
        assert dict(cache.tags())[replace(SHOWING, seed=0).key] == asked(SHOWING)


def resealed(whole: bytes, **changes: object) -> bytes:
    """A line with other content whose hash fits."""
    content = {**json.loads(whole), **changes}
    content = {name: each for name, each in content.items() if each is not None}
    del content["sha256"]
    return canonical_json({**content, "sha256": sha256_json(content)}).encode()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda line: line[:-3], "is not JSON"),
        (lambda line: b"", "is not JSON"),
        (lambda line: b"5", "is not a reply of a pack"),
        (lambda line: line.replace(b'"stop"', b'"stap"'), "was changed or cut"),
        (lambda line: resealed(line, line=1), "is line 1 of the pack"),
        (lambda line: resealed(line, key="x"), "has an invalid key"),
        (lambda line: resealed(line, key="../../x"), "has an invalid key"),
        (lambda line: resealed(line, format=2), "was written by a newer version"),
        (lambda line: resealed(line, at="now"), "is not a reply of a pack"),
        (lambda line: resealed(line, reply={"text": 5}), "is not a reply of a pack"),
        (lambda line: resealed(line, asked={"format": 1}), "does not say what was asked"),
        (lambda line: json.dumps({"key": "a", "reply": {}}).encode(), "has no sha256"),
        (lambda line: b"\xff" + line, "is not JSON"),
    ],
)
def test_a_damaged_line_is_told_by_its_number_and_nothing_is_imported(
    pack: Path, wrong: object, why: str
) -> None:
    lines = pack.read_bytes().split(b"\n")
    lines[3] = wrong(lines[3])  # type: ignore[operator]
    pack.write_bytes(b"\n".join(lines))
    with pytest.raises(UsageError) as error:
        read_pack(pack)
    assert f"{pack}:4 {why}" in str(error.value)
    assert f"{pack}:3 " not in str(error.value)
    assert "nothing was" in str(error.value)


def test_a_pack_that_was_cut_or_has_lost_lines_is_refused(pack: Path) -> None:
    lines = pack.read_bytes().splitlines(keepends=True)
    pack.write_bytes(b"".join(lines[:3]))
    with pytest.raises(UsageError, match="has 3 of 5 lines"):
        read_pack(pack)
    pack.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(UsageError, match=":2 is line 3 of the pack"):
        read_pack(pack)
    pack.write_bytes(b"".join([*lines, lines[0]]))
    with pytest.raises(UsageError, match=":6 is line 1 of the pack"):
        read_pack(pack)


@given(st.data())
def test_one_changed_byte_is_never_imported(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "one-byte"
    path = folder / "pack.jsonl"
    if not path.exists():
        with closing(filled(folder / "cache", [Reply("[1]"), Reply("[2]")])) as cache:
            exported(cache, path)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 2))  # behind it is the last line's end
    other = data.draw(st.integers(0, 255).filter(lambda one: one != whole[at]))
    damaged = folder / "damaged.jsonl"
    damaged.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
    with pytest.raises(UsageError):
        read_pack(damaged)


@given(st.binary(max_size=200))
def test_any_bytes_are_our_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-bytes.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(str(path))):
        read_pack(path)


def test_a_reply_that_goes_meanwhile_ends_an_export_without_a_file(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "cache", [Reply("[1]")])) as cache:
        keys = [SHOWING.key, replace(SHOWING, seed=7).key]
        with pytest.raises(CacheError, match="Run the same command again"):
            write_pack(cache, keys, tmp_path / "pack.jsonl")
    assert not (tmp_path / "pack.jsonl").exists()


@given(st.text() | st.binary() | st.integers(-5, 5) | replies.map(repr) | st.just('{"format": 2}'))
def test_a_planted_row_is_our_error_or_left_out_of_a_pack(
    tmp_path_factory: pytest.TempPathFactory, planted: object
) -> None:
    folder = tmp_path_factory.mktemp("planted")
    filled(folder / "cache", [Reply("[1]"), Reply("[2]")]).close()
    update(folder / "cache", "value = ? WHERE rowid = 1", planted)
    with closing(ReplyCache(folder / "cache")) as cache:
        if planted == '{"format": 2}':
            exported(cache, folder / "pack.jsonl")
            assert [key for key, *_ in read_pack(folder / "pack.jsonl")] == [
                replace(SHOWING, seed=1).key
            ]
            return
        with pytest.raises(CacheError, match="verify --repair"):
            exported(cache, folder / "pack.jsonl")
    assert not (folder / "pack.jsonl").exists()


# --- two processes, and one that is killed

IMPORTING = """
import sys
from pathlib import Path
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers import reply_pack

reply_pack.AT_ONCE = int(sys.argv[3])
print(reply_pack.keep_pack(ReplyCache(Path(sys.argv[1])), reply_pack.read_pack(Path(sys.argv[2]))))
"""
MANY = 400


def importing(folder: Path, pack: Path, at_once: int = 20) -> Forked:
    loads = ("selectllm.models.wrappers.reply_pack",)
    return fork("-c", IMPORTING, folder, pack, at_once, loads=loads)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A pack of 400 replies."""
    path = tmp_path / "many.jsonl"
    kept = [Reply(LONG if not number % 50 else f"[{number}]") for number in range(MANY)]
    with closing(filled(tmp_path / "from", kept)) as cache:
        exported(cache, path)
    return path


def test_two_processes_that_import_at_once_keep_each_reply_once(many: Path, tmp_path: Path) -> None:
    both = [importing(tmp_path / "to", many) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0], [process.err for process in both]
    new = sum(int(process.out.partition("new=")[2].partition(",")[0]) for process in both)
    assert new == MANY
    assert examine(tmp_path / "to") == CacheState(MANY, ())


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_an_import_that_is_killed_leaves_whole_replies_and_goes_on(
    many: Path, tmp_path: Path
) -> None:
    database = tmp_path / "to" / "cache.db-wal"
    killed = importing(tmp_path / "to", many, at_once=1)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and killed.poll() is None:
        if database.exists() and database.stat().st_size > 500_000:  # past its tables
            break
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = examine(tmp_path / "to")
    assert before.damaged == ()
    with closing(ReplyCache(tmp_path / "to")) as cache:
        assert keep_pack(cache, read_pack(many)) == Imported(MANY - before.whole, before.whole, 0)
    assert examine(tmp_path / "to") == CacheState(MANY, ())
