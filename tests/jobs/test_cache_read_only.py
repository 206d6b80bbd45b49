"""A reply cache that is only looked at: nothing is made, and what may not be written is read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from selectllm.jobs.session import Session
from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import RATED, at, served, write_suite
from tests.support.provider_server import ProviderServer

SELECTING = ("select", "pool.jsonl", "--budget", 8, "--prompt", "short@1")
SHARED = ("--shared-budget", "team", "--max-cost", 5)
PRICE = {"price": {"input": 1, "output": 1}}


@pytest.fixture(autouse=True)
def suite(folder: Path, server: ProviderServer) -> Path:
    """suite.yaml about pool.jsonl, 8 questions to `server`."""
    write_jsonl(folder / "pool.jsonl", pool_rows())
    return write_suite(RATED, served(server, **PRICE))


def everything(folder: Path) -> dict[Path, bytes | None]:
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("cache", "ls"), 0),
        (("cache", "ls", "--json"), 0),
        (("cache", "stats"), 0),
        (("cache", "verify"), 0),
        (("cache", "export", "pack.jsonl"), 2),
        (("cache", "export", "pack.jsonl", "--suite", "suite.yaml"), 2),
        (("cache", "prune", "--max-age", 1, "--yes"), 0),
        (("cache", "prune", "--max-bytes", 1, "--dry-run"), 0),
        (("cache", "clear", "--yes"), 0),
        (("cache", "clear", "--pool", "pool.jsonl", "--yes"), 0),
    ],
    ids=str,
)
def test_who_looks_at_a_cache_that_was_not_used_yet_makes_none(
    words: tuple[str | int, ...], code: int, selectllm: Command
) -> None:
    before = everything(Path())
    outcome = selectllm(*words)
    assert outcome.code == code, outcome.err
    assert "damaged" not in outcome.out
    made = {path for path in everything(Path()).keys() - before.keys() if path != Path("cache")}
    assert {path.parts[:2] for path in made} <= {("cache", "clusters")}
    assert not Path("cache/replies").exists()


@pytest.mark.parametrize(
    "words",
    [("plan", "suite.yaml"), (*SELECTING, "--dry-run"), ("audit", "suite.yaml", "--dry-run")],
    ids=lambda words: words[0],
)
def test_who_only_looks_ahead_makes_no_reply_cache(
    words: tuple[str | int, ...], selectllm: Command, server: ProviderServer
) -> None:
    asking = at(server) if words[0] == "select" else ()
    assert selectllm(*words, *asking).code == 0
    assert not Path("cache/replies").exists()


def test_a_file_where_the_folder_should_be_is_told(selectllm: Command) -> None:
    Path("cache").write_text("", encoding="utf-8")
    for words in (("cache", "ls"), ("cache", "stats"), ("plan", "suite.yaml")):
        outcome = selectllm(*words)
        assert outcome.code == 2, words
        assert "cache" in outcome.err


def test_a_session_that_planned_still_keeps_what_it_asks(server: ProviderServer) -> None:
    with Session() as session:
        assert session.plan("suite.yaml").calls == 8
        session.evaluate("suite.yaml", out="run")
        session.evaluate("suite.yaml", out="again")
        assert session.plan("suite.yaml").calls == 0
    assert server.count == 8


# --- where nothing may be written


@pytest.fixture
def read_only(
    tmp_path: Path, selectllm: Command, suite: Path, server: ProviderServer
) -> Iterator[Path]:
    """A cache with 8 replies and a shared budget, on a disk that may not be written."""
    done = selectllm("eval", suite, "-o", "run", "--cache", "written", *SHARED)
    assert done.code == 0, done.err
    cache = tmp_path / "disk" / "cache"
    cache.parent.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", cache.parent)
    except (OSError, subprocess.CalledProcessError) as failed:
        pytest.skip(f"this account may mount no disk: {failed}")
    try:
        shutil.copytree("written", cache)
        mount("-o", "remount,ro", cache.parent)
        yield cache
    finally:
        subprocess.run(["umount", "-l", str(cache.parent)], check=True)


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)


def test_what_may_not_be_written_is_read(
    read_only: Path, selectllm: Command, server: ProviderServer
) -> None:
    before = everything(read_only)

    def said(*words: str | int | Path) -> str:
        outcome = selectllm(*words, "--cache", read_only)
        assert outcome.code == 0, outcome.err
        return outcome.out + outcome.err

    assert "8 replies" in said("cache", "stats")
    assert "budget team" in said("cache", "stats")
    assert len(said("cache", "ls").splitlines()) == 8
    assert "All 8 replies" in said("cache", "verify")
    assert "8 of 8 questions cached" in said("cache", "explain", "suite.yaml")
    assert "Wrote 8 replies" in said("cache", "export", "pack.jsonl")
    assert "8 replies" in said("cache", "prune", "--max-bytes", 1, "--dry-run")
    assert "0 calls" in said("plan", "suite.yaml", *SHARED)
    assert "0 calls" not in said("plan", "suite.yaml", *SHARED, "--seed", 9)  # other clusters
    assert said(*SELECTING, *at(server), "--dry-run")
    assert said("audit", "suite.yaml", "--dry-run")
    assert "Reply cache" in said("doctor")
    assert server.count == 8
    assert everything(read_only) == before


def test_what_would_write_there_says_that_it_cannot(read_only: Path, selectllm: Command) -> None:
    for words in (
        ("cache", "prune", "--max-bytes", 1, "--yes"),
        ("cache", "clear", "--yes"),
        ("cache", "verify", "--repair"),
        ("eval", "suite.yaml", "-o", "other"),
    ):
        outcome = selectllm(*words, "--cache", read_only)
        assert outcome.code == 2, words
        assert str(read_only) in outcome.err
