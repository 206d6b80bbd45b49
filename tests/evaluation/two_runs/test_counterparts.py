"""Which pairs of two runs are held against each other."""

from __future__ import annotations

import pytest

from selectllm.evaluation.two_runs.compare import counterparts

A1, A2, B1 = ("a@1", "gpt"), ("a@2", "gpt"), ("b@1", "gpt")
A1_QWEN, B1_QWEN = ("a@1", "qwen"), ("b@1", "qwen")


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ([A1, B1], [B1, A1], [(A1, A1), (B1, B1)]),
        ([A1], [A2], [(A1, A2)]),
        ([A1, A2], [A2], [(A2, A2)]),  # an equal one goes before another version
        ([A1, A2], [A2, ("a@3", "gpt")], [(A2, A2), (A1, ("a@3", "gpt"))]),
        ([A1, B1], [A1_QWEN, B1_QWEN], [(A1, A1_QWEN), (B1, B1_QWEN)]),  # another model
        ([A1], [B1, B1_QWEN], [(A1, B1)]),  # one that shares the model
        ([A1], [B1_QWEN], [(A1, B1_QWEN)]),  # nothing in common: all with all
        ([], [A1], []),
    ],
)
def test_equal_names_then_other_versions_then_what_shares_a_half(
    first: list[tuple[str, str]],
    second: list[tuple[str, str]],
    together: list[tuple[tuple[str, str], tuple[str, str]]],
) -> None:
    assert list(counterparts(first, second)) == together
