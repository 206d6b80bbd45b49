"""What a row remembers of its question: enough to compare, no text of it and no secret."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import CacheDamaged, CacheError
from selectllm.core.types import Item, Question, Reply
from selectllm.models.model import Request
from selectllm.models.wrappers.asked import (
    NewerFormat,
    asked,
    asked_from,
    asked_text,
    item_hash,
    read_asked,
    sealed,
)
from selectllm.models.wrappers.cache import ReplyCache
from selectllm.models.wrappers.cache_repair import CacheState, examine, repair
from tests.models.wrappers.test_cache import REQUEST, REQUESTS, SHAPES_THE_REPLY, SPEC

KEY = "sk-planted-0123456789abcdef"
ITEMS = (Item("a", "Explain rust", "in iron"), Item("b", "Explain moss"))
SHOWING = replace(REQUEST, question=Question(ITEMS, ("1", "2"), 1, "indices"))


def update(folder: Path, change: str, *values: object) -> None:
    """Change the rows of a cache that is closed."""
    with closing(sqlite3.connect(folder / "cache.db")) as database, database:
        database.execute(f"UPDATE Cache SET {change}", values)


@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_written_is_what_is_read(name: str) -> None:
    request = REQUESTS[name]
    assert asked_text(request) == sealed(asked(request))
    assert read_asked(asked_text(request)) == asked(request)


texts = st.text(max_size=300)


@given(st.lists(texts, min_size=1, max_size=3), st.lists(st.tuples(texts, texts), max_size=4))
def test_any_texts_come_back_as_their_hashes(
    contents: list[str], items: list[tuple[str, str]]
) -> None:
    shown = tuple(Item(str(number), *pair) for number, pair in enumerate(items))
    messages = tuple({"role": "user", "content": text} for text in contents)
    question = Question(shown, ("1",) * len(shown), 1, "indices")
    request = replace(REQUEST, messages=messages, question=question)  # type: ignore[arg-type]
    assert asked_text(request) == sealed(asked(request))
    kept = read_asked(asked_text(request))
    assert len(kept.messages) == len(contents)
    assert kept.shown == (tuple(item_hash(*pair) for pair in items) or None)


def test_whatever_shapes_the_reply_is_told_apart() -> None:
    kept = {repr(asked(each)) for each in (REQUEST, *SHAPES_THE_REPLY.values())}
    assert len(kept) == 1 + len(SHAPES_THE_REPLY)


def test_no_text_of_a_prompt_and_no_secret_is_in_it() -> None:
    extra = {"headers": {"x-api-key": KEY}, "note": f"see {KEY}", "authToken": KEY, "min_p": 0.1}
    request = replace(
        SHOWING,
        model=replace(SPEC, extra=extra, stop=(KEY,)),
        endpoint=f"https://example.org/{KEY}a1b2c3d4e5f6a7b8/v1",
        schema={"enum": [KEY]},
        grammar=f"root ::= {KEY}",
        messages=({"role": "user", "content": f"Explain rust {KEY}"},),
    )
    kept = asked_text(request)
    assert "0123456789abcdef" not in kept
    assert "Explain" not in kept
    assert "iron" not in kept
    assert '"extra.min_p":0.1' in kept


@given(st.data())
def test_one_changed_character_is_noticed(data: st.DataObject) -> None:
    text = asked_text(SHOWING)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda one: one != text[at]))
    with pytest.raises(ValueError, match="changed since"):
        read_asked(text[:at] + other + text[at + 1 :])


@pytest.mark.parametrize(
    "fields", [None, [], {}, {"format": 1}, {"format": 1, "settings": {}, "messages": []}]
)
def test_what_says_nothing_of_a_question_is_refused(fields: object) -> None:
    with pytest.raises(ValueError, match="does not say what was asked"):
        asked_from(fields)


@pytest.mark.parametrize("shown", ["", "zz", "0123456789abcde", 5, ["0123456789ab"]])
def test_hashes_that_are_none_are_refused(shown: object) -> None:
    with pytest.raises(ValueError, match="which items"):
        asked_from({**asked(SHOWING).to_json(), "shown": shown})


def test_a_later_format_is_told_as_such() -> None:
    with pytest.raises(NewerFormat):
        asked_from({"format": 2, "anything": []})


# --- rows of other versions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache with one reply, closed."""
    with closing(ReplyCache(tmp_path)) as cache:
        cache.put(SHOWING, Reply("[1]"))
    return tmp_path


def test_a_row_of_an_earlier_version_is_read_and_says_nothing_of_its_question(
    folder: Path,
) -> None:
    update(folder, "tag = NULL, value = json_remove(value, '$.sha256')")
    with closing(ReplyCache(folder)) as cache:
        assert cache.get(SHOWING.key) == Reply("[1]", cached=True)
        assert list(cache.tags()) == [(SHOWING.key, None)]
    assert examine(folder) == CacheState(1, ())


def test_a_row_of_a_later_version_is_told_and_kept(folder: Path) -> None:
    update(folder, "value = json_object('format', 2, 'answer', 'x')")
    with closing(ReplyCache(folder)) as cache:
        with pytest.raises(CacheError, match="newer version of selectllm wrote") as raised:
            cache.get(SHOWING.key)
        assert not isinstance(raised.value, CacheDamaged)
        assert cache.many([SHOWING.key]) == {}
        assert list(cache.rows()) == []
        assert len(cache) == 1
    assert examine(folder) == CacheState(0, (), newer=1)
    with closing(sqlite3.connect(folder / "cache.db")) as database, database:
        row = ("9" * 64, 1, 0.0, 0.0, 0, 0, 1, "no reply")
        names = "key, raw, store_time, access_time, access_count, size, mode, value"
        database.execute(f"INSERT INTO Cache ({names}) VALUES (?,?,?,?,?,?,?,?)", row)
    assert len(repair(folder).damaged) == 1
    assert examine(folder) == CacheState(0, (), newer=1)


def test_a_later_way_to_remember_a_question_costs_no_reply(folder: Path) -> None:
    text = sealed(asked(SHOWING))[8:].replace('"format":1', '"format":2')
    update(folder, "tag = ?", f"{zlib.crc32(text.encode()):08x}{text}")
    with closing(ReplyCache(folder)) as cache:
        assert list(cache.tags()) == [(SHOWING.key, None)]
        assert cache.get(SHOWING.key) is not None
    assert examine(folder) == CacheState(1, ())


@given(st.one_of(st.none(), st.text(), st.binary(), st.integers(-5, 5), st.floats()))
def test_whatever_stands_in_the_place_of_a_question_is_our_error(
    tmp_path_factory: pytest.TempPathFactory, planted: object
) -> None:
    folder = tmp_path_factory.mktemp("planted")
    with closing(ReplyCache(folder)) as cache:
        cache.put(SHOWING, Reply("[1]"))
    update(folder, "tag = ?", planted)
    with closing(ReplyCache(folder)) as cache:
        assert cache.get(SHOWING.key) is not None
        if damaged := planted is not None and planted == planted:  # sqlite has NULL for NaN
            with pytest.raises(CacheDamaged, match="verify --repair"):
                list(cache.tags())
        else:
            assert list(cache.tags()) == [(SHOWING.key, None)]
    assert len(examine(folder).damaged) == damaged
    assert repair(folder).whole == 1
    with closing(ReplyCache(folder)) as cache:
        assert cache.get(SHOWING.key) is not None
        assert list(cache.tags()) == [(SHOWING.key, None)]


def test_a_repair_keeps_what_was_asked(folder: Path) -> None:
    with closing(ReplyCache(folder)) as cache:
        cache.put(replace(SHOWING, seed=5), Reply("[2]"))
    with closing(sqlite3.connect(folder / "cache.db")) as database, database:
        damaged: tuple[Request, str] = replace(SHOWING, seed=5), "nothing"
        database.execute("UPDATE Cache SET value = ? WHERE key = ?", (damaged[1], damaged[0].key))
    assert repair(folder).whole == 1
    with closing(ReplyCache(folder)) as cache:
        assert list(cache.tags()) == [(SHOWING.key, asked(SHOWING))]


def test_a_removal_that_is_stopped_leaves_no_text_that_is_not_found_again(folder: Path) -> None:
    long = replace(SHOWING, seed=9)
    with closing(ReplyCache(folder)) as cache:
        cache.put(long, Reply("x" * 100_000))
        (file,) = folder.glob("*/*/*.val")
        file.unlink()  # as a removal does before its rows are gone for good
        assert cache.get(long.key) is None
        assert cache.remove([long.key, SHOWING.key]) == 2
        assert len(cache) == 0
