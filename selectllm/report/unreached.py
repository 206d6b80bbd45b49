"""A command that ended before it reached a verdict: told as an error, never as a pass or a fail."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping

from selectllm.report.as_markdown import plain
from selectllm.report.github import command
from selectllm.report.junit import as_xml, clean
from selectllm.report.markdown import marker

TITLE = "no verdict"


def junit_unreached(suite: str, reason: str) -> str:
    """An XML document with one test case, which has an error: what JUnit calls a broken set-up."""
    totals = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0"}
    root = ET.Element("testsuites", {"name": "selectllm", **totals})
    tests = ET.SubElement(root, "testsuite", {"name": clean(suite), **totals})
    case = ET.SubElement(tests, "testcase", {"classname": clean(suite), "name": TITLE})
    error = ET.SubElement(case, "error", {"message": clean(reason), "type": TITLE})
    error.text = clean(reason)
    return as_xml(root)


def markdown_unreached(suite: str, reason: str) -> str:
    """A comment that takes the place of the one with the verdicts."""
    return f"{marker(suite)}\n\n## ! selectllm, {plain(suite)}: {TITLE}\n\n{plain(reason)}\n"


def github_unreached(suite: str, reason: str) -> str:
    """One annotation."""
    return command("error", {"title": f"selectllm, {suite}: {TITLE}"}, reason) + "\n"


UNREACHED: Mapping[str, Callable[[str, str], str]] = {
    "junit": junit_unreached,
    "markdown": markdown_unreached,
    "github": github_unreached,
}
"""The formats that can say so, by name; each takes the suite's name and the reason."""
