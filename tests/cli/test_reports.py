"""`--report FORMAT=FILE` on the verbs that give results, and `selectllm report RUN --as FORMAT`."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import click
import pytest

from selectllm.cli.aa import aa
from selectllm.cli.ab import ab
from selectllm.cli.eval import eval_
from selectllm.cli.optimize import optimize
from selectllm.cli.plan import plan
from selectllm.cli.regress import regress
from selectllm.cli.select import select
from selectllm.cli.sets import sets
from selectllm.cli.student import compare, score
from selectllm.cli.swap import swap
from selectllm.cli.utility import agree
from selectllm.cli.utility_values import validate
from selectllm.report.formats import FORMATS
from tests.conftest import Command

VERBS = (eval_, ab, aa, swap, regress, sets, plan, optimize, compare, score, agree, validate)
SUITE = """\
name: demo
pool: pool.jsonl
utilities: [{name: rating, source: ratings, column: rating}]
clusters: {by: random, size: 5}
prompts: [short@1]
models: [mock/first, mock/oracle]
strategies: []
"""


@pytest.fixture
def suite(pool_file: Path, selectllm: Command) -> str:
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    return "suite.yaml"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_names_the_formats(verb: object) -> None:
    (option,) = [each for each in verb.params if "--report" in each.opts]  # type: ignore[attr-defined]
    assert all(name in option.help for name in FORMATS)


@pytest.mark.parametrize("verb", [*VERBS, select])
def test_every_verb_takes_a_report_of_its_results(verb: click.Command) -> None:
    (option,) = [each for each in verb.params if "--report" in each.opts]
    assert option.callback is not None
    option.callback(click.Context(verb), option, ("html=report.html",))


def test_reports_are_written_beside_what_is_printed(selectllm: Command, suite: str) -> None:
    files = {name: f"out/report.{name}" for name in FORMATS}
    asked = [word for name, file in files.items() for word in ("--report", f"{name}={file}")]
    done = selectllm("ab", suite, "--a", "mock/first", "--b", "mock/oracle", "-o", "run", *asked)
    assert done.code == 3  # eight clusters are few
    assert "INCONCLUSIVE" in done.out
    written = {name: Path(file).read_text(encoding="utf-8") for name, file in files.items()}
    assert json.loads(written["json"]) == json.loads(Path("run/results.json").read_bytes())
    assert ET.fromstring(written["junit"]).get("tests") == "1"
    assert written["github"].startswith("::warning ")
    assert written["markdown"].startswith("<!-- selectllm:demo -->")
    for name, text in written.items():
        again = selectllm("report", "run", "--as", name)
        assert (again.code, again.out) == (0, text)
        assert selectllm("report", "run", "--as", name, "-o", "-").out == text
        assert not Path("-").exists()
        assert selectllm("report", "run", "--as", name, "-o", "again").out == ""
        assert Path("again").read_text(encoding="utf-8") == text


def test_a_report_on_stdout_takes_the_place_of_the_tables(selectllm: Command, suite: str) -> None:
    done = selectllm("eval", suite, "-o", "run", "--report", "markdown=-")
    assert done.code == 0
    assert done.out.startswith("<!-- selectllm:demo -->")
    assert done.out == selectllm("report", "run", "--as", "markdown").out


def test_markdown_of_an_evaluation_holds_its_tables(selectllm: Command, suite: str) -> None:
    told = selectllm("eval", suite, "-o", "run", "--report", "markdown=-").out
    tables = ("agreement with rating", "replies", "overlap of picks between pairs")
    assert all(f"### {title}" in told for title in tables)
    assert "| short@1 + mock/first |" in told


@pytest.mark.parametrize("form", ["junit", "github"])
@pytest.mark.parametrize("verb", ["eval", "aa"])
def test_a_run_without_verdicts_has_no_format_for_verdicts(
    selectllm: Command, suite: str, verb: str, form: str
) -> None:
    refused = selectllm(verb, suite, "-o", "run", "--report", f"{form}=a")
    assert refused.code == 2
    assert f"{form} reports verdicts" in refused.err
    assert not Path("run").exists()
    assert selectllm("eval", suite, "-o", "run").code == 0
    again = selectllm("report", "run", "--as", form)
    assert (again.code, f"--as {form}: {form} reports verdicts" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ("markdown", "is not FORMAT=FILE"),
        ("markdown=", "is not FORMAT=FILE"),
        ("markdwon=a.md", "Did you mean 'markdown'?"),
        ("markdown=.", "is a folder"),
        ("markdown=suite.yaml/report.md", "suite.yaml is not a folder"),
        (f"markdown={'a' * 300}/b", "File name too long"),
        ("json=./suite.yaml", "is read by this command, so it is not overwritten"),
        ("json=pool.jsonl", "is read by this command, so it is not overwritten"),
        ("json=replies.jsonl", "is already the file of another report"),
        ("json=run/decisions.jsonl", "a file of the run itself"),
        ("json=run/../run/results.json", "a file of the run itself"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_asked(
    selectllm: Command, suite: str, report: str, told: str
) -> None:
    pool = Path("pool.jsonl").read_bytes()
    record = ("--record", "replies.jsonl")
    done = selectllm("eval", suite, "-o", "run", *record, "--report", report)
    assert done.code == 2
    assert Path("pool.jsonl").read_bytes() == pool
    assert f"--report {report}" in done.err
    assert told in done.err
    assert not Path("run").exists()


def test_a_report_replaces_neither_another_nor_a_file_of_an_older_run(
    selectllm: Command, suite: str
) -> None:
    two = ("--report", "json=a", "--report", "markdown=./a")
    done = selectllm("eval", suite, "-o", "run", *two)
    assert (done.code, "./a: a is already the file of another report" in done.err) == (2, True)
    assert not Path("run").exists()
    beside = ("--report", "json=run/report.json")
    assert selectllm("eval", suite, "-o", "run", *beside).code == 0
    assert selectllm("eval", suite, "-o", "run", *beside).code == 0  # a report is written anew
    here = ("--report", "json=results.json")
    assert [selectllm("eval", suite, "-o", "run", *here).code for _ in range(2)] == [0, 0]
    log = Path("run/decisions.jsonl").read_bytes()
    done = selectllm("eval", suite, "-o", "other", "--report", "json=run/decisions.jsonl")
    assert (done.code, "a file of the run itself" in done.err) == (2, True)
    assert Path("run/decisions.jsonl").read_bytes() == log


def test_a_format_for_verdicts_is_refused_where_there_are_none(
    selectllm: Command, suite: str
) -> None:
    done = selectllm("sets", suite, "--report", "junit=a.xml")
    assert done.code == 2
    assert "one of: terminal, markdown, html, json" in done.err


def test_a_report_of_sets_is_told_from_their_folder(selectllm: Command, pool_file: Path) -> None:
    rows = SUITE.replace("prompts: [short@1]\nmodels: [mock/first, mock/oracle]\n", "")
    rows = rows.replace("strategies: []", "strategies: [random, longest]")
    Path("sets.yaml").write_text(rows + "sets: {budgets: [8], seeds: [0, 1]}\n", encoding="utf-8")
    done = selectllm("sets", "sets.yaml", "-o", "sets", "--report", "markdown=sets.md")
    assert done.code == 0
    written = Path("sets.md").read_text(encoding="utf-8")
    assert selectllm("report", "sets", "--as", "markdown").out == written
    refused = selectllm("report", "sets", "--as", "junit")
    assert (refused.code, "--as junit: " in refused.err) == (2, True)


def test_a_report_of_no_run_is_refused(selectllm: Command, suite: str) -> None:
    done = selectllm("report", ".", "--as", "junit")
    assert (done.code, "selectllm runs" in done.err) == (2, True)


def test_a_folder_of_runs_and_a_wrong_name_lead_to_the_runs_that_there_are(
    selectllm: Command, suite: str
) -> None:
    assert selectllm("eval", suite, "-o", "eval/runs/first").code == 0
    several = selectllm("report", "eval/runs")
    assert several.code == 2
    assert str(Path("eval/runs/first")) in several.err
    assert "selectllm runs eval/runs" in several.err
    for wrong in ("eval/runs/frist", "frist", "first"):
        refused = selectllm("report", wrong)
        assert refused.code == 2
        assert f"Did you mean {Path('eval/runs/first')}?" in refused.err
