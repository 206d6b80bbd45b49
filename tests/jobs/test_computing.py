"""Ctrl-C while a job computes, and before it does anything."""

from __future__ import annotations

import signal
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def test_before_anything_has_begun_it_is_told_as_an_interrupt_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair, complaints = socket.socketpair, []

    def interrupted() -> Any:  # an event loop is made of such a pair
        signal.raise_signal(signal.SIGINT)
        return pair()

    async def job() -> None: ...

    monkeypatch.setattr(socket, "socketpair", interrupted)
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(KeyboardInterrupt):
            finished(job())
    assert (complaints, [str(warning.message) for warning in warned]) == ([], [])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
