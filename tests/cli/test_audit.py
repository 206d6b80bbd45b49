"""`selectllm audit`: exit codes, options that reach the job, and its reports.

What it finds is told by tests/jobs/test_auditing.py.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from selectllm.evaluation.audit.schema import AuditPlan, AuditResults
from selectllm.jobs.auditing import audit
from selectllm.jobs.sync import finished
from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import RATED, write_suite

ORACLE = "mock/first -> {name: m, id: mock/oracle}"
FIRST = "mock/first -> {name: m, id: mock/first}"
MUTE = "mock/first -> {name: m, id: 'mock/reply:no'}"


@pytest.fixture(autouse=True)
def suite(selectllm: Command) -> Path:
    """Ten clusters and a picker that goes by the rating."""
    write_jsonl(Path("pool.jsonl"), pool_rows(50))
    return write_suite(RATED, ORACLE)


def test_beside_a_record_each_word_has_its_exit_code(selectllm: Command, suite: Path) -> None:
    told = selectllm("audit", suite, "-o", "record")
    assert told.code == 0, told.err
    assert "Score card" in told.out
    assert "record" in told.err
    assert selectllm("audit", suite, "-o", "same", "--baseline", "record").code == 0
    write_suite(RATED, FIRST)
    worse = selectllm("audit", suite, "-o", "worse", "--baseline", "record/audit.json")
    assert worse.code == 1
    assert "WORSE: worse than recorded: order.consistency, order.slot-bias" in worse.out
    other = selectllm("audit", suite, "-o", "other", "--baseline", "record", "--seed", 4)
    assert other.code == 3
    assert "CANNOT TELL: the recorded audit has none of these clusters" in other.out
    few = selectllm("audit", suite, "-o", "few", "--baseline", "record", "--limit", 4)
    assert few.code == 3
    assert "too few" in few.out or "cannot be told" in few.out
    write_suite(RATED, MUTE)
    assert selectllm("audit", suite, "-o", "mute", "--baseline", "record").code == 1


def test_where_nothing_could_be_measured_it_is_not_called_done(selectllm: Command) -> None:
    told = selectllm("audit", write_suite(RATED, MUTE), "--report", "junit=audit.xml")
    assert told.code == 3
    assert "Nothing could be measured" in told.out
    root = ET.parse("audit.xml").getroot()
    assert root.get("skipped") == "1"


def test_options_reach_the_audit(selectllm: Command, suite: Path) -> None:
    words = ("--compare-prompt", "criteria@1", "--probe", "hijack", "--probe", "order")
    told = selectllm(
        *("audit", suite, *words, "--orders", 3, "--repeats", 2, "--again", 0),
        *("--seed", 2, "--limit", 9, "--json", "-o", "told"),
    )
    done = finished(
        audit(
            suite,
            compare_prompt=["criteria@1"],
            probe=["order", "hijack"],
            orders=3,
            repeats=2,
            again=0,
            seed=2,
            limit=9,
            out="job",
        )
    )
    assert told.json == json.loads(json.dumps(done.results.to_json()))
    assert done.results.hijack is not None
    assert [row.prompt for row in done.results.hijack.defences] == ["criteria@1"]


def test_a_dry_run_asks_and_writes_nothing(selectllm: Command, suite: Path) -> None:
    told = selectllm("audit", suite, "--dry-run", "--json", "-o", "new")
    assert told.code == 0
    plan = AuditPlan.of(told.json)
    assert plan.total.calls == 10 * (14 + 2 + 6 + 2 + 2)
    assert not Path("new").exists()
    assert "attack" not in selectllm("audit", suite, "--dry-run").err
    assert "hijack" in selectllm("audit", suite, "--dry-run").out


def test_every_report_tells_a_worse_measure(selectllm: Command, suite: Path) -> None:
    selectllm("audit", suite, "-o", "record")
    write_suite(RATED, FIRST)
    formats = ("junit", "github", "markdown", "html", "json", "terminal")
    asked = [word for name in formats for word in ("--report", f"{name}={name}.out")]
    told = selectllm("audit", suite, "-o", "worse", "--baseline", "record", *asked)
    assert told.code == 1
    texts = {name: Path(f"{name}.out").read_text(encoding="utf-8") for name in formats}
    assert AuditResults.of(json.loads(texts["json"])).comparison is not None
    failures = ET.fromstring(texts["junit"]).findall(".//failure")
    assert "order.slot-bias" in {
        case.get("name") for case in ET.fromstring(texts["junit"]).iter("testcase") if len(case)
    }
    assert failures
    assert texts["github"].startswith("::error title=selectllm audit of short@1 + m%3A worse::")
    for name in ("markdown", "terminal", "html"):
        assert "order.slot-bias" in texts[name]


def test_a_report_is_written_again_but_not_over_the_record(selectllm: Command, suite: Path) -> None:
    call = ("audit", suite, "-o", "new", "--probe", "labels", "--report", "json=record.json")
    assert selectllm(*call).code == 0
    assert selectllm(*call).code == 0
    told = selectllm(*call, "--baseline", "record.json")
    assert told.code == 2
    assert "is read by this command" in told.err
    beside = selectllm(*call[:-2], "--baseline", "record.json", "--json")
    assert beside.code == 0
    assert beside.json["comparison"]["word"] == "held"


def test_a_finished_audit_can_be_reported_and_is_listed(selectllm: Command, suite: Path) -> None:
    selectllm("audit", suite, "-o", "runs/audit")
    assert "Score card" in selectllm("report", "runs/audit").out
    assert "audit of short@1 + m" in selectllm("runs", "runs").out
