"""`selectllm cache`: why a reply is missing, packs and limits."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from selectllm.core.types import Reply
from selectllm.jobs import diagnosis
from selectllm.jobs.caching import DAY, to_prune
from selectllm.models.wrappers import network_place
from selectllm.models.wrappers.cache import ReplyCache
from tests.conftest import Command, pool_rows, write_jsonl
from tests.models.wrappers.test_asked import SHOWING, update
from tests.support.cli_files import RATED, served, write_suite
from tests.support.provider_server import ProviderServer

PRICED = {"price": {"input": 1000, "output": 1000}}
REPLIES = Path("cache/replies")


@pytest.fixture
def evaluated(selectllm: Command, server: ProviderServer) -> ProviderServer:
    """A folder in which 8 questions of suite.yaml were asked; whoever answered."""
    write_jsonl(Path("pool.jsonl"), pool_rows())
    write_suite(RATED, served(server, **PRICED))
    assert selectllm("eval", "suite.yaml", "--quiet").code == 0
    assert server.count == 8
    return server


def changed(server: ProviderServer, *changes: str, **settings: object) -> str:
    """Another suite with the same pool and server."""
    return str(write_suite(RATED, served(server, **PRICED, **settings), *changes, path="new.yaml"))


def test_a_cache_that_was_never_finished_is_no_damage(selectllm: Command) -> None:
    REPLIES.mkdir(parents=True)
    (REPLIES / "cache.db").touch()
    checked = selectllm("cache", "verify")
    assert checked.code == 0
    assert "is empty: the command that was making it was stopped." in checked.out


@pytest.mark.parametrize("words", ["stats", "ls", "verify", "verify --repair", "clear --yes"])
def test_a_named_folder_without_a_cache_is_refused_and_not_made(
    selectllm: Command, words: str
) -> None:
    refused = selectllm("cache", *words.split(), "--cache", "typo")
    assert (refused.code, refused.out) == (2, "")
    assert "--cache typo: there is no cache" in refused.err
    assert not Path("typo").exists()


def test_a_cache_that_was_not_used_yet_is_empty_and_not_made(selectllm: Command) -> None:
    assert "cache/replies is empty. There is nothing to do." in selectllm("cache", "verify").out
    assert "cache/replies: 0 replies, 0.0 MB" in selectllm("cache", "stats").out
    assert not Path("cache").exists()


def test_a_pack_may_begin_a_cache(selectllm: Command, evaluated: ProviderServer) -> None:
    selectllm("cache", "export", "pack.jsonl")
    assert selectllm("cache", "import", "pack.jsonl", "--cache", "begun").code == 0
    assert "8 replies" in selectllm("cache", "stats", "--cache", "begun").out


# --- explain


def test_what_is_cached_is_counted_and_what_is_not_is_explained(
    selectllm: Command, evaluated: ProviderServer
) -> None:
    assert selectllm("cache", "explain", "suite.yaml").out == (
        "short@1 with m: 8 of 8 questions cached, 0 missing.\n"
    )
    told = selectllm("cache", "explain", changed(evaluated, temperature=0.7), "--limit", 3)
    assert told.code == 0
    assert "0 of 3 questions cached, 3 missing" in told.out
    assert "the same messages were asked with temperature 0; now it is 0.7" in told.out
    suite = changed(evaluated, "[short@1] -> [short@1, rank@1]")
    told = selectllm("cache", "explain", suite, "--prompt", "rank@1")
    assert "rank@1 with m: 0 of 8 questions cached, 8 missing" in told.out
    assert "another text showed the same items in the same order" in told.out
    told = selectllm("cache", "explain", changed(evaluated, "orders: 2"))
    assert "8 of 16 questions cached, 8 missing" in told.out
    assert "8 missing: the same model and settings were asked, but the same items" in told.out
    assert evaluated.count == 8


def test_every_miss_is_in_the_json_with_its_nearest(
    selectllm: Command, evaluated: ProviderServer
) -> None:
    suite = changed(evaluated, max_tokens=7)
    (pair,) = selectllm("cache", "explain", suite, "--json").json["pairs"]
    keys = {json.loads(row)["key"] for row in selectllm("cache", "ls", "--json").out.splitlines()}
    assert len(pair["misses"]) == pair["questions"] == 8
    for miss in pair["misses"]:
        assert miss["nearest"]["fields"] == ["max_tokens"]
        assert miss["nearest"]["key"] in keys
        assert miss["key"] not in keys


def test_rows_of_an_earlier_version_are_counted_and_not_compared(
    selectllm: Command, evaluated: ProviderServer
) -> None:
    update(REPLIES, "tag = NULL")
    assert "8 of 8 questions cached" in selectllm("cache", "explain", "suite.yaml").out
    told = selectllm("cache", "explain", changed(evaluated, max_tokens=7)).out
    assert "the cache holds nothing that can be compared with it" in told
    assert "8 of 8 cached replies do not say what was asked" in told


def test_recorded_replies_are_told_beside_cached_ones(
    selectllm: Command, evaluated: ProviderServer
) -> None:
    assert selectllm("cache", "export", "pack.jsonl").code == 0
    shutil.rmtree(REPLIES)
    told = selectllm("cache", "explain", changed(evaluated, "replies: pack.jsonl"))
    assert "0 of 8 questions cached, 8 answered by the suite's recorded replies" in told.out


def test_a_question_that_is_asked_again_is_told_as_such(
    selectllm: Command, evaluated: ProviderServer
) -> None:
    for name, row in pairs():
        row["reply"]["text"] = "none of them"
        put(name, row)
    told = selectllm("cache", "explain", "suite.yaml").out
    assert "8 missing: the question was answered, but not validly" in told


def pairs() -> list[tuple[str, dict[str, dict[str, object]]]]:
    with closing(ReplyCache(REPLIES)) as cache:
        return list(cache.rows())


def put(key: str, row: dict[str, dict[str, object]]) -> None:
    """A row whose hash is not looked at."""
    del row["sha256"]
    with closing(ReplyCache(REPLIES)) as cache:
        cache._store.set(key, row)


# --- packs


def test_a_pack_takes_the_replies_of_a_suite_to_another_cache(
    selectllm: Command, evaluated: ProviderServer
) -> None:
    with closing(ReplyCache(REPLIES)) as cache:
        cache.put(SHOWING, Reply("[1]"))
    assert selectllm("cache", "export", "all.jsonl").out.startswith("Wrote 9 replies to all.jsonl.")
    assert selectllm("cache", "export", "suite.jsonl", "--suite", "suite.yaml").code == 0
    assert selectllm("cache", "export", "again.jsonl", "--suite", "suite.yaml").code == 0
    assert Path("suite.jsonl").read_bytes() == Path("again.jsonl").read_bytes()
    assert len(Path("suite.jsonl").read_text(encoding="utf-8").splitlines()) == 8
    new = selectllm("cache", "import", "suite.jsonl", "--cache", "other", "--json")
    assert new.json == {"path": "suite.jsonl", "new": 8, "known": 0, "different": 0}
    again = selectllm("cache", "import", "all.jsonl", "--cache", "other").out
    assert "of 9 replies, 1 were new and are in the cache now, 8 were known" in again
    shutil.rmtree("eval")
    assert selectllm("eval", "suite.yaml", "--quiet", "--cache", "other", "--offline").code == 0
    assert evaluated.count == 8


def test_a_pack_holds_one_model_where_one_is_named(selectllm: Command) -> None:
    with closing(ReplyCache(REPLIES)) as cache:
        cache.put(SHOWING, Reply("[1]"))
        cache.put(replace(SHOWING, model=replace(SHOWING.model, id="openai/n")), Reply("[2]"))
    assert selectllm("cache", "export", "n.jsonl", "--model", "openai/n").code == 0
    assert json.loads(Path("n.jsonl").read_text(encoding="utf-8"))["model"] == "openai/n"
    refused = selectllm("cache", "export", "x.jsonl", "--model", "openai/nn")
    assert refused.code == 2
    assert "Did you mean 'openai/n'?" in refused.err
    assert not Path("x.jsonl").exists()


def test_a_damaged_pack_changes_nothing(selectllm: Command, evaluated: ProviderServer) -> None:
    selectllm("cache", "export", "pack.jsonl")
    lines = Path("pack.jsonl").read_bytes().splitlines(keepends=True)
    Path("pack.jsonl").write_bytes(
        b"".join([*lines[:4], lines[4].replace(b"[1", b"[2"), *lines[5:]])
    )
    refused = selectllm("cache", "import", "pack.jsonl", "--cache", "other")
    assert (refused.code, refused.out) == (2, "")
    assert "pack.jsonl:5 was changed or cut" in refused.err
    assert selectllm("cache", "stats", "--cache", "other", "--json").json["models"] == {}


def test_a_pack_replaces_no_other_file(selectllm: Command, evaluated: ProviderServer) -> None:
    before = Path("pool.jsonl").read_bytes()
    refused = selectllm("cache", "export", "pool.jsonl")
    assert refused.code == 2
    assert "is not overwritten" in refused.err
    assert Path("pool.jsonl").read_bytes() == before
    assert selectllm("cache", "export", "cache/replies/pack.jsonl").code == 2


# --- limits


def test_nothing_goes_without_a_limit_and_what_goes_is_told_with_its_price(
    selectllm: Command, evaluated: ProviderServer
) -> None:
    assert selectllm("cache", "prune").code == 2
    for endless in ("nan", "inf"):
        refused = selectllm("cache", "prune", "--max-age", endless, "--yes")
        assert (refused.code, refused.out) == (2, "")
        assert f"--max-age {endless} is not a finite number" in refused.err
    dry = selectllm("cache", "prune", "--max-bytes", 0, "--dry-run")
    assert dry.out.startswith("8 replies of ")
    spent = selectllm("cache", "stats", "--json").json["models"]["openai/m"]["cost_usd"]
    assert f"They cost {spent:.4f} USD" in dry.out
    assert len(pairs()) == 8
    kept = selectllm("cache", "prune", "--max-age", 1, "--yes")
    assert "There is nothing to remove" in kept.out
    assert selectllm("cache", "prune", "--max-bytes", 0, "--yes").code == 0
    assert pairs() == []


def test_the_oldest_go_first_and_only_as_many_as_need_be(tmp_path: Path) -> None:
    now = time.time()
    with closing(ReplyCache(tmp_path / "cache")) as cache:
        for seed in range(6):
            cache.put(replace(SHOWING, seed=seed), Reply(f"[{seed}]", cost_usd=0.5))
    for seed in range(6):
        key = replace(SHOWING, seed=seed).key
        set_at = "value = json_set(value, '$.at', ?) WHERE key = ?"
        update(tmp_path / "cache", set_at, now - seed * DAY, key)
    with closing(ReplyCache(tmp_path / "cache")) as cache:
        old = to_prune(cache, max_age=2.5, clock=lambda: now)
        assert old.keys == tuple(replace(SHOWING, seed=seed).key for seed in (5, 4, 3))
        assert (old.usd, old.left) == (1.5, 3)
        everything = old.bytes + old.left_bytes
        one = to_prune(cache, max_bytes=everything - 1)
        assert one.keys == (replace(SHOWING, seed=5).key,)
        assert to_prune(cache, max_bytes=everything).keys == ()
        both = to_prune(cache, max_bytes=0, max_age=2.5, clock=lambda: now)
        assert len(both.keys) == 6
        assert to_prune(cache, max_age=0, clock=lambda: now - 10 * DAY).keys == ()
        cache.remove(old.keys)
        assert to_prune(cache, max_age=2.5, clock=lambda: now).keys == ()


def test_replies_of_a_newer_version_are_told_and_stay(
    selectllm: Command, evaluated: ProviderServer
) -> None:
    update(REPLIES, "value = json_object('format', 2) WHERE rowid = 1")
    assert "  1 reply of a newer version of selectllm" in selectllm("cache", "stats").out
    assert len(selectllm("cache", "ls", "--json").out.splitlines()) == 7
    assert "1 reply of a newer version" in selectllm("cache", "verify", "--repair").out
    assert selectllm("cache", "verify", "--json").json["newer"] == 1
    assert selectllm("cache", "prune", "--max-bytes", 0, "--yes").code == 0
    assert "replies: 1 reply," in selectllm("cache", "stats").out
    refused = selectllm("cache", "explain", "suite.yaml")
    assert refused.code == 2
    assert "newer version of selectllm wrote" in refused.err


# --- a network file system


def test_a_cache_on_a_network_file_system_is_refused_by_every_verb(
    selectllm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(Path("pool.jsonl"), pool_rows())
    table = tmp_path / "mounts"
    table.write_text(f"server:/x {(tmp_path / 'cache').resolve()} nfs4 rw 0 0\n")
    monkeypatch.setattr(network_place, "MOUNTS", table)
    for words in ("cache stats", "cache import pool.jsonl"):
        refused = selectllm(*shlex.split(words))
        assert (refused.code, refused.out) == (2, "")
        assert "network file system (nfs4)" in refused.err
        assert "--cache or SELECTLLM_CACHE_DIR" in refused.err
    monkeypatch.setattr(diagnosis, "import_problems", dict.fromkeys)  # it would load everything
    assert "network file system (nfs4)" in selectllm("doctor", "--json").json["cache_problem"]
    monkeypatch.setenv("SELECTLLM_NETWORK_CACHE", "allow")
    assert selectllm("cache", "stats").code == 0


def test_a_folder_in_the_place_of_the_database_is_told_with_what_mends_it(
    selectllm: Command, evaluated: ProviderServer
) -> None:
    (REPLIES / "cache.db").rename("away.db")
    (REPLIES / "cache.db").mkdir()
    asking = [["cache", "ls"], ["cache", "stats"], ["plan", "suite.yaml"], ["eval", "suite.yaml"]]
    for words in asking:
        refused = selectllm(*words)
        assert (refused.code, refused.out) == (2, ""), words
        assert "cache/replies: the reply cache cannot be opened, because cache.db" in refused.err
        assert "is a folder, and should be the database" in refused.err
        assert "selectllm cache verify --repair --cache" in refused.err
    checked = selectllm("cache", "verify")
    assert checked.code == 1
    assert "cache.db is a folder, and should be the database" in checked.out
    assert "no such table" not in checked.out
    assert "selectllm cache verify --repair --cache" in checked.out
    assert selectllm("cache", "verify", "--repair").code == 0
    assert "0 replies" in selectllm("cache", "stats").out
    assert (REPLIES / "cache.db.damaged").is_dir()
