"""What release 0.1.0 wrote still holds: its files are found, verified, replayed and gone on with.

`tests/golden/written_by_0_1_0` is a workspace as that release left it; its README says by which
commands. Nothing answers where its model was served, so whatever asks fails.

`run.json` and `optimize.json` name the versions of packages beside what they were made from: those
may differ. So may, in `results.json`, the words of comparisons and what goes with them, since the
rule for few clusters is another one (`RULED`). No other byte may.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, Outcome, read_jsonl
from tests.support.written_by_0_1_0 import (
    ASKED,
    GOLDEN,
    OTHERS,
    RECORDED,
    REGRESS,
    RUNS,
    SELECTED,
    VECTORS,
    again,
    golden,
    measured,
    unranked,
    written,
)

pytestmark = pytest.mark.usefixtures("workspace")


def as_json(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def the_words(outcome: Outcome) -> list[tuple[str, str]]:
    return [(verdict["word"], verdict["reason"]) for verdict in outcome.json["verdicts"]]


# --- reading what it wrote


@pytest.mark.parametrize("run", RUNS)
def test_every_figure_of_a_run_still_follows_from_its_folder(selectllm: Command, run: str) -> None:
    outcome = selectllm("verify", f"runs/{run}", "--json")
    assert (outcome.code, outcome.json["differences"]) == (0, [])
    assert outcome.json["figures"] > 50


@pytest.mark.parametrize("run", RUNS)
def test_a_report_is_still_printed(selectllm: Command, run: str) -> None:
    shown = selectllm("report", f"runs/{run}")
    assert (shown.code, shown.err) == (0, "")
    assert len(shown.out.splitlines()) > 5
    outcome = selectllm("report", f"runs/{run}", "--json")
    assert outcome.json == as_json(f"runs/{run}/results.json")


def test_its_prompts_are_still_as_they_were_locked(selectllm: Command) -> None:
    assert selectllm("prompts", "check", "--prompts", "prompts").code == 0


def test_a_baseline_of_its_run_is_still_the_same(selectllm: Command) -> None:
    assert selectllm("baseline", "set", "runs/asked", "-o", "new.json").code == 0
    assert Path("new.json").read_bytes() == Path("baseline.json").read_bytes()


# --- giving its commands again


@pytest.mark.parametrize("run", RUNS)
def test_a_run_given_again_leaves_every_byte_as_it_is(selectllm: Command, run: str) -> None:
    words, code = RUNS[run]
    outcome = again(selectllm, *words, out=f"runs/{run}")
    assert outcome.code == code, outcome.err
    shutil.rmtree("cache")
    assert written() == golden()


@pytest.mark.parametrize("run", RUNS)
def test_a_run_made_anew_from_the_cache_or_the_pack_is_the_same(
    selectllm: Command, run: str
) -> None:
    words, code = RUNS[run]
    outcome = again(selectllm, *words, out="new")
    assert outcome.code == code, outcome.err
    assert as_json("new/run.json")["manifest"] == as_json(f"runs/{run}/run.json")["manifest"]
    for name in ("clusters.json", "utilities.jsonl"):
        assert Path("new", name).read_bytes() == Path(f"runs/{run}", name).read_bytes()
    assert measured(Path("new/results.json")) == measured(Path(f"runs/{run}/results.json"))


@pytest.mark.parametrize("words", [ASKED, RECORDED], ids=["cache", "pack"])
def test_every_request_is_found_by_its_key(selectllm: Command, words: tuple[object, ...]) -> None:
    """In one of the two alone, the other being away."""
    if words is RECORDED:
        shutil.rmtree("cache")
    outcome = again(selectllm, *words, "--record", "new.jsonl", out="new")
    assert outcome.code == 0, outcome.err
    assert Path("new.jsonl").read_bytes() == Path("replies.jsonl").read_bytes()
    assert Path("new/results.json").read_bytes() == Path("runs/asked/results.json").read_bytes()


def test_regress_against_its_baseline_says_the_same_by_its_recorded_replies_alone(
    selectllm: Command,
) -> None:
    shutil.rmtree("cache")
    outcome = again(selectllm, *REGRESS, "--json", out="new")
    assert outcome.code == 0
    reason = "the picks are the same in every cluster of the baseline, and all replies are valid"
    assert the_words(outcome) == [("pass", reason)] * 2
    assert measured(Path("new/results.json")) == measured(Path("runs/regress/results.json"))


@pytest.mark.parametrize("out", SELECTED)
def test_a_selection_goes_on_from_its_torn_log_to_the_same_bytes(
    selectllm: Command, out: str
) -> None:
    log = Path(f"{out}.decisions.jsonl")
    whole = log.read_bytes()
    *kept, last = whole.splitlines(keepends=True)
    log.write_bytes(b"".join(kept) + last[: len(last) // 2])
    Path(out).unlink()
    outcome = again(selectllm, "select", "pool.jsonl", *SELECTED[out], *VECTORS, out=out)
    assert outcome.code == 0, outcome.err
    assert unranked(Path(out).read_bytes()) == (GOLDEN / out).read_bytes()
    assert [row.keys() for row in read_jsonl(log)] == [
        row.keys() for row in read_jsonl(GOLDEN / log)
    ]


@pytest.mark.parametrize("out", SELECTED)
def test_a_finished_selection_given_again_leaves_every_byte_as_it_is(
    selectllm: Command, out: str
) -> None:
    shutil.rmtree("cache")  # what the log has is not looked up
    outcome = again(selectllm, "select", "pool.jsonl", *SELECTED[out], *VECTORS, out=out)
    assert outcome.code == 0, outcome.err
    assert written() == golden()


@pytest.mark.parametrize("out", OTHERS)
def test_sets_searches_and_exports_given_again_leave_every_byte_as_it_is(
    selectllm: Command, out: str
) -> None:
    outcome = again(selectllm, *OTHERS[out], out=out)
    assert outcome.code == 0, outcome.err
    assert written() == golden()
