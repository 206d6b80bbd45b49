"""The decision log: nothing paid for is lost, and a log is never mixed with another call's."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from selectllm.core.errors import RunError
from selectllm.core.types import Attempt, Decision, Status
from selectllm.report.schemas import schema
from selectllm.selection.decision_log import (
    DecisionLog,
    decision_from_row,
    decision_key,
    decision_row,
    read_log,
)

ATTEMPT = Attempt("0" * 64, "[2]\u2028é", "stop", 10, 2, None, 0.5, False)
DECISION = Decision(
    cluster=3,
    order=1,
    repeat=0,
    round=0,
    shown=("a", "b", "c"),
    picks=("b",),
    status="ok",
    prompt="short@1",
    prompt_sha256="1" * 64,
    model="gpt",
    attempts=(ATTEMPT,),
)
OF_A_STRATEGY = replace(
    DECISION,
    prompt=None,
    prompt_sha256=None,
    model=None,
    strategy="longest",
    attempts=(),
    ranking=("b", "a", "c"),
)
MANIFEST = {"format": 1, "seed": 0}


def of_cluster(cluster: int) -> Decision:
    return replace(DECISION, cluster=cluster)


@pytest.mark.parametrize("decision", [DECISION, OF_A_STRATEGY])
def test_a_row_reads_back_and_keeps_to_its_schema(decision: Decision) -> None:
    row = json.loads(json.dumps(decision_row(decision)))
    Draft202012Validator(schema("decision")).validate(row)
    assert decision_from_row(row) == decision


def test_a_log_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with DecisionLog(path, MANIFEST) as log:
        log.append(DECISION)
    with DecisionLog(path, MANIFEST) as log:
        assert log.done(decision_key(DECISION))
        assert not log.done(decision_key(OF_A_STRATEGY))
        log.append(OF_A_STRATEGY)
    with DecisionLog(path, MANIFEST) as log:
        assert log.decisions() == [OF_A_STRATEGY, DECISION]


def test_the_last_line_of_a_key_wins_and_an_error_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with DecisionLog(path, MANIFEST) as log:
        log.append(replace(DECISION, status="error", picks=()))
        assert not log.done(decision_key(DECISION))
        log.append(DECISION)
    with DecisionLog(path, MANIFEST) as log:
        assert log.done(decision_key(DECISION))
        assert log.decisions() == [DECISION]


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_line_is_dropped_and_written_over(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "log.jsonl"
    with DecisionLog(path, MANIFEST) as log:
        log.append(DECISION)
        log.append(OF_A_STRATEGY)
    path.write_bytes(path.read_bytes()[:-cut])
    with DecisionLog(path, MANIFEST) as log:
        assert log.decisions() == [DECISION]
        log.append(OF_A_STRATEGY)
    with DecisionLog(path, MANIFEST) as log:
        assert log.decisions() == [OF_A_STRATEGY, DECISION]


def test_a_log_torn_in_its_first_line_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"manif', encoding="utf-8")
    with DecisionLog(path, MANIFEST) as log:
        log.append(DECISION)
    with DecisionLog(path, MANIFEST) as log:
        assert log.decisions() == [DECISION]


def test_a_log_of_another_call_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with DecisionLog(path, MANIFEST) as log:
        log.append(DECISION)
    before = path.read_bytes()
    with pytest.raises(RunError, match=r"a different seed \(0\)"):
        DecisionLog(path, MANIFEST | {"seed": 1})
    assert path.read_bytes() == before


@pytest.mark.parametrize("status", ["invalid", "refused", "error"])
def test_a_log_of_failures_alone_makes_room_for_another_call(
    tmp_path: Path, status: Status
) -> None:
    path = tmp_path / "log.jsonl"
    failed = replace(DECISION, status=status, picks=())
    with DecisionLog(path, MANIFEST) as log:
        log.append(failed)
        log.append(replace(OF_A_STRATEGY, attempts=()))
    with DecisionLog(path, MANIFEST) as log:  # the same call goes on
        assert failed in log.decisions()
    with DecisionLog(path, MANIFEST | {"seed": 1}) as log:
        assert log.decisions() == []
        log.append(failed)
        log.append(replace(DECISION, cluster=DECISION.cluster + 1))
    with pytest.raises(RunError, match=r"a different seed \(1\)"):
        DecisionLog(path, MANIFEST)


def test_a_log_that_begins_with_something_else_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for content in (
        b"\n",
        b"[]\n",
        b'{"other": 1}\n',
        b'\n{"manifest": 1}\n',
        b"\xff\n",
        b"one line",
    ):
        path.write_bytes(content)
        with pytest.raises(RunError, match=r"log\.jsonl is not a log of selectllm"):
            DecisionLog(path, MANIFEST)
        assert path.read_bytes() == content


def test_reading_a_log_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with DecisionLog(path, MANIFEST) as log:
        log.append(DECISION)
    torn = path.read_bytes() + b'{"cluster": 4, "or'
    path.write_bytes(torn)
    content = read_log(path)
    assert content.manifest == MANIFEST
    assert content.latest == {decision_key(DECISION): DECISION}
    assert path.read_bytes() == torn


@pytest.mark.parametrize("line", ["", "nonsense", "[]", "{}", '{"cluster": 1}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    with DecisionLog(path, MANIFEST) as log:
        log.append(DECISION)
    path.write_text(f"{path.read_text(encoding='utf-8')}{line}\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"log\.jsonl:3 is not a decision"):
        DecisionLog(path, MANIFEST)


@pytest.mark.skipif(sys.platform == "win32", reason="advisory locks are POSIX")
def test_two_processes_never_write_to_one_log(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with DecisionLog(path, MANIFEST):
        before = path.read_bytes()
        with pytest.raises(RunError, match="Another process is writing"):
            DecisionLog(path, MANIFEST)
        assert path.read_bytes() == before
    DecisionLog(path, MANIFEST).close()


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
def test_a_full_disk_leaves_a_log_that_ends_with_a_whole_row(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "log.jsonl"
    log = DecisionLog(path, MANIFEST)
    log.append(of_cluster(0))
    size = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
    try:
        with pytest.raises(RunError, match=r"cannot be written to .*run the same command again"):
            log.append(of_cluster(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.stat().st_size == size
    assert list(read_log(path).latest.values()) == log.decisions() == [of_cluster(0)]
    log.append(of_cluster(2))
    log.close()
    assert list(read_log(path).latest.values()) == [of_cluster(0), of_cluster(2)]


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
def test_a_log_that_could_not_be_begun_is_free_for_the_next_call(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "log.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        with pytest.raises(RunError, match="Make room") as refused:
            DecisionLog(path, MANIFEST)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    DecisionLog(path, MANIFEST).close()  # while the error, and what it refers to, is still known
    assert refused.value.argument == "out"


@pytest.mark.parametrize(
    "changed",
    [
        {"cluster": "0"},
        {"cluster": True},
        {"shown": "ab"},
        {"shown": ["a", 5]},
        {"picks": None},
        {"status": "fine"},
        {"model": 5},
        {"attempts": [{}]},
        {"attempts": [5]},
        {"attempts": {"a": 1}},
        {"ranking": "ab"},
        {"later": 1},
    ],
)
def test_a_row_with_a_field_of_another_type_is_named(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    path = tmp_path / "log.jsonl"
    with DecisionLog(path, MANIFEST) as log:
        log.append(of_cluster(0))
    rows = path.read_text(encoding="utf-8").split("\n")
    path.write_text(f"{rows[0]}\n{json.dumps(json.loads(rows[1]) | changed)}\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"log\.jsonl:2 is not a decision"):
        read_log(path)
