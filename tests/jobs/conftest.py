"""A folder with a pool and a suite of scripted models, and a cache of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import pool_rows, write_jsonl
from tests.support.batch_server import BatchServer, moody
from tests.support.cli_files import RATED, write_suite

ARMS = "[mock/first] -> [{name: oracle, id: mock/oracle}, {name: random, id: mock/random}]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: pool.jsonl of 200 rated items, suite.yaml with an oracle and chance."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", str(tmp_path / "cache"))
    write_jsonl(tmp_path / "pool.jsonl", pool_rows(200))
    write_suite(RATED, ARMS)
    return tmp_path


@pytest.fixture
def forty(folder: Path) -> Path:
    """The same with 40 rated items: 8 clusters of 5."""
    return write_jsonl(folder / "pool.jsonl", pool_rows())


@pytest.fixture
def notes() -> list[str]:
    """What a session has to say, for `Session(notes=notes.append)`."""
    return []


@pytest.fixture
def batches() -> Iterator[BatchServer]:
    """A server of batches whose replies depend on the question."""
    with BatchServer(moody) as running:
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come at once, and a provider lists at once what it was sent."""
    monkeypatch.setattr("selectllm.jobs.batch_rounds.FIRST_LOOK", 0.01)
    monkeypatch.setattr("selectllm.jobs.batch_sending.SETTLED", 0.0)
