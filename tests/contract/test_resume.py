"""What was paid for is kept: every log is gone on with, wherever its command was killed.

A log is cut in the middle of a row, as SIGKILL leaves it, and what came of it is taken away. The
same command then keeps the whole rows, adds what is missing, and ends as if it had not been cut.
That a killed process does leave its log so is tested where it is written: `test_select.py`,
`test_optimize.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.support.written_by_0_1_0 import OTHERS, RUNS, SELECTED, VECTORS, again, golden, written

pytestmark = pytest.mark.usefixtures("workspace")


@dataclass(frozen=True)
class Resumed:
    """`words`, `out`: the command and where its results are. `results`: what is made of the log."""

    words: tuple[object, ...]
    out: str
    results: tuple[str, ...]
    code: int = 0


SETS = Resumed(OTHERS["sets"], "sets", ("sets/sets.json",))
SET_LOG = "sets/decisions/short@1_mock_first-8-seed0-15956b53.jsonl"
LOGS: dict[str, Resumed] = {
    **{
        f"runs/{run}/decisions.jsonl": Resumed(
            words, f"runs/{run}", (f"runs/{run}/results.json",), code
        )
        for run, (words, code) in RUNS.items()
    },
    **{
        f"{out}.decisions.jsonl": Resumed(("select", "pool.jsonl", *words, *VECTORS), out, (out,))
        for out, words in SELECTED.items()
    },
    "sets/sets.jsonl": SETS,
    SET_LOG: Resumed(SETS.words, "sets", ("sets/sets.json", "sets/sets.jsonl")),
    "search/decisions.jsonl": Resumed(OTHERS["search"], "search", ("search/optimize.json",)),
}


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_log_that_was_cut_is_gone_on_with_to_the_same_results(
    selectllm: Command, log: str, share: float
) -> None:
    resumed, path = LOGS[log], Path(log)
    manifest, *rows = path.read_bytes().splitlines(keepends=True)
    whole = round(share * (len(rows) - 1))
    kept = manifest + b"".join(rows[:whole])
    path.write_bytes(kept + rows[whole][: len(rows[whole]) // 2])
    for name in resumed.results:
        Path(name).unlink()
    outcome = again(selectllm, *resumed.words, out=resumed.out)
    assert outcome.code == resumed.code, outcome.err
    assert path.read_bytes().startswith(kept)
    assert path.read_bytes().count(b"\n") == 1 + len(rows)
    assert without(log, written()) == without(log, golden())


def without(name: str, files: dict[str, bytes]) -> dict[str, bytes]:
    """The other files; how many seconds a set took is no result."""
    return {
        other: re.sub(rb'"seconds": ?[0-9.e-]+', b"", content)
        for other, content in files.items()
        if other != name
    }


@pytest.mark.parametrize("log", LOGS)
def test_a_log_that_is_damaged_in_the_middle_is_mended_and_gone_on_with(
    selectllm: Command, log: str
) -> None:
    resumed, path = LOGS[log], Path(log)
    manifest, *rows = path.read_bytes().splitlines(keepends=True)
    damaged = len(rows) // 2
    path.write_bytes(manifest + b"".join([*rows[:damaged], b"\x00\xff{\n", *rows[damaged + 1 :]]))
    for name in resumed.results:
        Path(name).unlink()
    refused = again(selectllm, *resumed.words, out=resumed.out)
    assert refused.code == 2
    assert f"{log}:{damaged + 2} is not a" in refused.err
    assert f"selectllm log repair {log}" in refused.err
    assert selectllm("log", "repair", log, "--check").code == 1
    mended = selectllm("log", "repair", log)
    assert (mended.code, f": {damaged + 2}." in mended.out) == (0, True)
    aside = Path(f"{log}.damaged")
    assert aside.exists()
    aside.unlink()
    assert again(selectllm, *resumed.words, out=resumed.out).code == resumed.code
    assert path.read_bytes().count(b"\n") == 1 + len(rows)
    assert without(log, written()) == without(log, golden())
