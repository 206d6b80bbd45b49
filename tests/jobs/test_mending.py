"""The logs of a run folder, mended together."""

from __future__ import annotations

from pathlib import Path

import pytest

from selectllm.core.errors import RunError
from selectllm.core.types import Decision
from selectllm.jobs.mending import mend_logs
from selectllm.selection.decision_log import DecisionLog


def written(path: Path) -> bytes:
    with DecisionLog(path, {"format": 1}) as log:
        for cluster in range(3):
            log.append(Decision(cluster, 0, 0, 0, ("a", "b"), ("a",), "ok", strategy="first"))
    return path.read_bytes()


def test_where_one_log_of_a_folder_is_lost_it_is_named_and_none_is_changed(tmp_path: Path) -> None:
    lines = written(tmp_path / "a.jsonl").splitlines(keepends=True)
    whole = written(tmp_path / "b.jsonl")
    damaged = b"".join([*lines[:2], b"junk\n", *lines[3:]])
    (tmp_path / "a.jsonl").write_bytes(damaged)
    (tmp_path / "b.jsonl").write_bytes(b"\x00" + whole)
    with pytest.raises(RunError, match=r"b\.jsonl:1: The first line"):
        mend_logs(tmp_path)
    assert (tmp_path / "a.jsonl").read_bytes() == damaged
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl"]
    (tmp_path / "b.jsonl").unlink()
    assert mend_logs(tmp_path).damaged == 1
    assert (tmp_path / "a.jsonl.damaged").read_bytes() == damaged


def test_other_files_of_a_folder_are_no_logs(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl")
    (tmp_path / "utilities.jsonl").write_text('{"id": "a", "value": 1}\n{"id": "b", "value": 2}\n')
    (tmp_path / "empty.jsonl").touch()
    assert list(mend_logs(tmp_path).logs) == [tmp_path / "a.jsonl"]


def test_a_selection_is_told_which_log_is_its_own(tmp_path: Path) -> None:
    selection = tmp_path / "chosen.jsonl"
    selection.write_text('{"id": "a"}\n{"id": "b"}\n')
    written(tmp_path / "chosen.jsonl.decisions.jsonl")
    with pytest.raises(RunError, match=r"selectllm log repair .*chosen\.jsonl\.decisions\.jsonl"):
        mend_logs(selection)
