"""How flaky a provider was, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from selectllm.core.types import Attempt
from selectllm.report.tries import tries_told


def tried(**fields: Any) -> Attempt:
    usual = {"cached": False, "tokens_in": 9, "tokens_out": 1, "cost_usd": None, "seconds": 1.0}
    return Attempt("0" * 64, "[1]", "stop", **{**usual, **fields})


@pytest.mark.parametrize(
    ("attempts", "told"),
    [
        ([], None),
        ([tried(), tried()], None),
        ([tried(cached=True, kind="busy")], None),
        ([tried(), tried(waited=0.3)], None),
        (
            [tried(), tried(waited=61.2)],
            "Together they waited 61 seconds before they were sent.",
        ),
        (
            [tried(kind="busy"), tried(kind="timeout"), tried(kind="busy"), tried(waited=4.0)],
            "3 of 4 calls failed: the provider was busy (2), no reply came in time (1). "
            "Together they waited 4 seconds before they were sent.",
        ),
        ([tried(kind="setting"), tried()], "1 of 2 calls failed: setting (1)."),
    ],
)
def test_tries_failures_and_waits(attempts: list[Attempt], told: str | None) -> None:
    assert tries_told(attempts) == told
