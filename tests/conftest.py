"""What every test may use: the command line as a user calls it, and a small pool on disk."""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diskcache
import pytest
import yaml
from hypothesis import settings

from selectllm.cli import main
from selectllm.models.wrappers.pace import EndpointPace, Start
from tests.support.provider_server import ProviderServer

if "PYTEST_XDIST_WORKER" in os.environ:
    # The tests have every core already, one process each; torch and BLAS would have them all again.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")

# What is collected stays to the end, millions of objects: no search for garbage goes over them,
# neither while they are made nor in the libraries under test that ask for one at every call.
gc.disable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`-m slow` imports no file without such a test, which would take every process ten seconds."""
    if config.getoption("markexpr") != "slow" or collection_path.suffix != ".py":
        return None
    return None if "mark.slow" in collection_path.read_text(encoding="utf-8") else True


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # torch and litellm, once loaded, make each search long
    gc.enable()


CONVERTED = "converted-weights"

# A busy machine is no failure: no example has a deadline. Every run draws other examples.
settings.register_profile("selectllm", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile("selectllm")


@pytest.fixture(scope="session", autouse=True)
def _no_syncing() -> Iterator[None]:
    """No test pulls the plug: nothing waits for the disk, which takes longer than most tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setitem(diskcache.DEFAULT_SETTINGS, "sqlite_synchronous", 0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _yaml_is_parsed_once() -> Iterator[None]:
    """Thousands of commands read the same lock file and suites: each text is parsed once."""
    parse = yaml.load

    @functools.lru_cache(maxsize=1000)
    def parsed(text: str, loader: type[Any]) -> bytes:
        return pickle.dumps(parse(text, Loader=loader))

    def load(stream: Any, Loader: type[Any]) -> Any:
        if isinstance(stream, str):
            return pickle.loads(parsed(stream, Loader))  # a value of its own for each caller
        return parse(stream, Loader=Loader)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "load", load)
        yield


@pytest.fixture(scope="session")
def weights_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the embedded weights are converted, once for all processes of the tests."""
    from filelock import FileLock

    from selectllm.selection.scorers.language_model import load_language_model

    folder = tmp_path_factory.getbasetemp() / CONVERTED
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parents[1] / CONVERTED
    with FileLock(folder.with_suffix(".lock")):
        load_language_model(None, folder).log_likelihoods([("", "converted")])
    return folder


def pytest_sessionfinish(session: pytest.Session) -> None:
    used = session.config._tmp_path_factory._basetemp
    if used is not None and "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(used / CONVERTED, ignore_errors=True)  # half a gigabyte


@dataclass(frozen=True)
class Outcome:
    """What a command ended with and printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def selectllm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run `selectllm ARGUMENTS` in an empty folder outside any workspace, with its own cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)  # of the job that runs the tests

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for a try take no time; how long they are is tested in test_retry.py, test_pace.py."""
    skip_waits(monkeypatch)


def skip_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, until the patches are taken back."""
    sleep = asyncio.sleep

    async def no_turn(pace: EndpointPace) -> Start:
        return Start()

    async def at_once(seconds: float, result: Any = None) -> Any:
        return await sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", at_once)
    monkeypatch.setattr(EndpointPace, "turn", no_turn)


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise from 40 resamples, where its figures are not the subject; 2000 take seconds."""
    monkeypatch.setattr("selectllm.evaluation.comparison.aa.RESAMPLES", 40)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A real provider on 127.0.0.1 that always answers with the first two labels."""
    with ProviderServer() as running:
        yield running


def pool_rows(count: int = 40) -> list[dict[str, Any]]:
    """Items of distinct lengths with a rating that follows neither length nor place."""
    return [
        {
            "id": f"item-{number:03}",
            "instruction": f"Explain topic {number} " + "in some detail " * (number * 7 % 11),
            "input": "a context" if number % 3 == 0 else "",
            "response": f"Topic {number} is about {number}.",
            "rating": number * 13 % 5 + 1,
        }
        for number in range(count)
    ]


def write_jsonl(path: Path, rows: Sequence[Any]) -> Path:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    """A pool of 40 rated items."""
    return write_jsonl(tmp_path / "pool.jsonl", pool_rows())


def read_jsonl(path: Path) -> list[Any]:
    """The rows of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
