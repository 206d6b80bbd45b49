"""Ctrl-C while a job computes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from selectllm.jobs.session import Session
from selectllm.jobs.sync import finished


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """As in a terminal; a test run in the background ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_it_ends_what_computes_at_once(tmp_path: Path) -> None:
    reached: list[str] = []
    session = Session(tmp_path, cache=tmp_path / "cache")

    async def job() -> None:
        handler = signal.getsignal(signal.SIGINT)
        with session.computing("counting") as progress:
            assert progress is None
        assert signal.getsignal(signal.SIGINT) == handler
        with session.computing("counting"):
            reached.append("begun")
            signal.raise_signal(signal.SIGINT)
            reached.append("ended")

    with pytest.raises(KeyboardInterrupt):
        finished(job())
    assert reached == ["begun"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_somebody_elses_handler_is_left_alone(tmp_path: Path) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    session = Session(tmp_path, cache=tmp_path / "cache")

    async def job() -> str:
        with session.computing("counting"):
            signal.raise_signal(signal.SIGINT)
        return "ended"

    assert finished(job()) == "ended"
    assert heard == [signal.SIGINT]
