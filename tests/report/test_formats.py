"""Every format of every kind of result, from the typed result to text."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from selectllm.core.errors import UsageError
from selectllm.evaluation.runs.schema import RunResults
from selectllm.evaluation.sets.schema import SetsResults
from selectllm.optimization.schema import GridResults
from selectllm.report.formats import FORMATS, JUDGED, RENDERED, formats_of, report
from tests.report.test_report import ab, regress, run
from tests.report.test_report_grid import told

RESULTS = RunResults.model_validate(run(ab()))
GATE = RunResults.model_validate(run(regress()))
GRID = GridResults.model_validate(told())


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_can_be_told_in_every_format(name: str) -> None:
    assert "criteria@1 + gpt" in report(RESULTS, name)


def test_a_terminal_s_report_is_plain_text_of_100_columns() -> None:
    text = report(RESULTS, "terminal")
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100
    assert "BETTER  criteria@1 + gpt against short@1 + gpt" in text


def test_json_is_what_the_file_holds() -> None:
    assert json.loads(report(RESULTS, "json")) == RESULTS.to_json()


def test_junit_and_github_tell_a_failed_gate() -> None:
    case = ET.fromstring(report(GATE, "junit")).find("./testsuite/testcase/failure")
    assert case is not None
    assert report(GATE, "github").startswith("::error file=prompts/criteria/v2.jinja")


def test_results_without_a_markdown_of_their_own_are_told_as_on_a_terminal() -> None:
    text = report(GRID, "markdown")
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    heads = [tokens[n + 1].content for n, each in enumerate(tokens) if each.type == "heading_open"]
    assert "settings, ordered by captured on the clusters that they were asked about" in heads
    assert "effects, in captured" in heads
    assert "| criteria | false, not true | -0.069 | -0.193 to +0.054 | p = 0.165 |" in text
    assert "- **defaults**: parts@1: criteria=true" in text


@pytest.mark.parametrize("kind", RENDERED)
def test_what_is_for_verdicts_alone_is_refused_to_other_results(kind: type) -> None:
    possible = list(FORMATS) if kind in JUDGED else ["terminal", "markdown", "html", "json"]
    assert formats_of(kind) == possible


def test_a_format_that_makes_no_sense_names_those_that_do() -> None:
    with pytest.raises(UsageError, match=r"junit .* one of: terminal, markdown, html, json"):
        report(GRID, "junit")
    assert formats_of(RunResults, SetsResults) == ["terminal", "markdown", "html", "json"]


def test_an_unknown_format_is_met_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no format 'markdwon'\. Did you mean 'markdown'"):
        report(RESULTS, "markdwon")
