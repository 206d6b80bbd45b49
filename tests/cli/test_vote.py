"""Votes and log-probabilities on the command line: what `select` takes and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Command, read_jsonl
from tests.support.cli_files import LOG, assert_refused, at, select
from tests.support.provider_server import ProviderServer

pytestmark = pytest.mark.usefixtures("pool_file")


def test_select_takes_a_vote_on_the_command_line(
    selectllm: Command, server: ProviderServer
) -> None:
    vote = ("--model-arg", "vote.orders=3", "--model-arg", "vote.by=majority")
    outcome = select(selectllm, *at(server), *vote, "--cluster-size", 10)
    assert outcome.code == 0, outcome.err
    assert len(read_jsonl(Path("pool.selected.jsonl"))) == 8
    manifest, *decisions = read_jsonl(LOG)
    assert manifest["manifest"]["model"]["vote"] == {"orders": 3, "repeats": 1, "by": "majority"}
    assert [len(decision["attempts"]) for decision in decisions] == [3] * 4
    assert server.count == 12


def test_a_selection_is_not_continued_with_another_vote(
    selectllm: Command, server: ProviderServer
) -> None:
    assert select(selectllm, *at(server), "--model-arg", "vote.orders=3").code == 0
    outcome = select(selectllm, *at(server))
    assert_refused(outcome, "with other settings of the model (vote)")


def test_select_takes_log_probabilities_on_the_command_line(selectllm: Command) -> None:
    told = ("--prompt", "best@1", "--model", "mock/first", "--model-arg", "answer=logprobs")
    assert select(selectllm, *told).code == 0
    assert all("ranking" in row for row in read_jsonl(LOG)[1:])
