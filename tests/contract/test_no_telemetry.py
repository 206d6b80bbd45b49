"""Nothing is connected to but the provider that was named: no telemetry, no table fetched.

An audit hook hears of every connection and every name that is looked up, whoever makes it: Python
calls it from below all libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import Command
from tests.support.cli_files import ASKING, OUT, RATED, at, select, served, write_suite
from tests.support.provider_server import ProviderServer

_HEARD: list[list[tuple[str, Any]]] = []
"""Who listens now; a hook cannot be taken away again."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _HEARD and event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        where = arguments[:2] if event == "socket.getaddrinfo" else arguments[-1]
        _HEARD[-1].append((event, where))


sys.addaudithook(_hook)


@pytest.fixture
def heard(pool_file: Path) -> Iterator[list[tuple[str, Any]]]:
    """Every connection and every lookup of a name while the test runs."""
    _HEARD.append([])
    yield _HEARD[-1]
    _HEARD.pop()


def others(heard: list[tuple[str, Any]], server: ProviderServer) -> list[tuple[str, Any]]:
    """What went anywhere but to the server; files of the machine's own are no network."""
    own = ("127.0.0.1", urlsplit(server.base_url).port)
    return [(event, where) for event, where in heard if tuple(where) != own]


@pytest.mark.parametrize("transport", ["litellm", "direct"])
def test_verbs_that_ask_reach_the_provider_alone(
    selectllm: Command, heard: list[tuple[str, Any]], transport: str
) -> None:
    with ProviderServer() as server:
        suite = write_suite(RATED, served(server, transport=transport))
        heard.clear()  # of what the test itself asks its server
        assert selectllm("eval", suite, "-o", "run").code == 0
        assert selectllm("ab", suite, "--a", "short@1", "--b", "strategy:longest").code in (0, 1, 3)
        assert select(selectllm, *at(server), "--model-arg", f"transport={transport}").code == 0
        assert heard
        assert others(heard, server) == []


def test_verbs_that_ask_nobody_connect_nowhere(
    selectllm: Command, heard: list[tuple[str, Any]]
) -> None:
    suite = write_suite(RATED)
    for words in (
        ("eval", suite, "-o", "run"),
        ("plan", suite),
        ("report", "run", "--html", "-o", "run.html"),
        ("verify", "run"),
        ("runs",),
        ("prompts", "list"),
        ("cache", "stats"),
        ("select", "pool.jsonl", "--budget", 5, "--strategy", "longest", "-o", OUT),
        ("select", "pool.jsonl", "--budget", 5, *ASKING, "--model", "mock/first", "-o", "b.jsonl"),
    ):
        assert selectllm(*words).code in (0, 1), words
    assert heard == []
