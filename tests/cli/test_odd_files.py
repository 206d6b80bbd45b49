"""Files that are odd in kind or content end in an error of ours, and leave nothing half written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import LOG, MOCK, OUT, RATED, write_suite

SELECTING = ("select", "pool.jsonl", "--budget", 4)
BY_SUITE = [
    ("plan", "suite.yaml"),
    ("eval", "suite.yaml", "-o", "run"),
    ("ab", "suite.yaml", "-a", "random", "-b", "oracle"),
    ("audit", "suite.yaml", "-o", "audited"),
    ("cache", "explain", "suite.yaml"),
    ("models", "check", "suite.yaml"),
    ("utility", "ask", "suite.yaml", "-o", "sheet.csv"),
    ("sets", "suite.yaml", "-o", "sets"),
    ("utility", "validate", "suite.yaml", "-o", "validated"),
    ("utility", "calibrate", "suite.yaml", "--judge", "a", "--human", "b"),
]
BY_POOL = [
    (*SELECTING, *MOCK),
    (*SELECTING, "--strategy", "random"),
    (*SELECTING, "--strategy", "random", "--to", "csv"),
    ("plan", "pool.jsonl", "--budget", 4, "--strategy", "random"),
    ("prompts", "render", "short@1", "pool.jsonl"),
    ("utility", "ifd", "pool.jsonl", "-o", "ifd.jsonl"),
    ("init", "new", "--pool", "pool.jsonl"),
]


@pytest.fixture(autouse=True)
def made(selectllm: Command) -> None:
    """pool.jsonl and suite.yaml."""
    write_jsonl(Path("pool.jsonl"), pool_rows())
    write_suite(RATED)


def assert_told(selectllm: Command, words: tuple[str | int, ...]) -> None:
    outcome = selectllm(*words)
    assert outcome.code == 2, outcome
    assert "internal error" not in outcome.err
    left = {path.name for path in Path().rglob("*") if path.is_file()}
    assert not [name for name in left if name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *(("suite.yaml", words) for words in BY_SUITE),
        *(("pool.jsonl", words) for words in (*BY_SUITE, *BY_POOL)),
    ],
    ids=lambda words: words if isinstance(words, str) else " ".join(words[:2]),
)
def test_a_link_that_leads_back_to_itself_is_told(
    name: str, words: tuple[str, ...], selectllm: Command
) -> None:
    Path(name).unlink()
    Path(name).symlink_to(name)
    assert_told(selectllm, words)


def test_an_empty_log_beside_a_selection_is_no_log(selectllm: Command) -> None:
    assert selectllm(*SELECTING, *MOCK).code == 0
    LOG.write_bytes(b"")
    shown = selectllm("report", OUT)
    assert shown.code == 0, shown.err
    assert selectllm("report", OUT, "--html").code == 0


def test_picks_that_are_shorter_than_all_of_a_pool_that_changed_have_no_shares(
    selectllm: Command,
) -> None:
    assert selectllm(*SELECTING, *MOCK).code == 0
    rows = [{**row, "instruction": f"{row['instruction']} {'x' * 400}"} for row in pool_rows()]
    write_jsonl(Path("pool.jsonl"), rows)
    for words in (("report", OUT), ("report", OUT, "--html", "--pool", "pool.jsonl")):
        shown = selectllm(*words)
        assert shown.code == 0, shown.err
