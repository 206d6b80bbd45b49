"""An audit for CI: JUnit XML with a test case for each measure, and GitHub's annotations."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter

from selectllm.evaluation.audit.schema import AuditResults, ComparedMeasure
from selectllm.report.audit import unmeasured
from selectllm.report.github import command
from selectllm.report.junit import as_xml, clean
from selectllm.report.wording import estimate, number, spread

ELEMENTS = {"worse": "failure", "cannot tell": "skipped"}
LEVELS = {"worse": "error", "cannot tell": "warning", "held": "notice"}


def audit_junit(found: AuditResults) -> str:
    """An XML document with one suite, and a test case for each measure.

    Beside a recorded audit, worse is a failure, and what cannot be told is skipped. Without one the
    cases only tell the figures; where nothing could be measured, a case says so and is skipped.
    """
    cases = [*_cases(found)]
    counts = Counter(part.tag for case in cases for part in case)
    totals = {
        "tests": str(len(cases)),
        "failures": str(counts["failure"]),
        "errors": "0",
        "skipped": str(counts["skipped"]),
    }
    root = ET.Element("testsuites", {"name": "selectllm", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": clean(f"{found.suite} audit"), **totals})
    suite.extend(cases)
    return as_xml(root)


def _cases(found: AuditResults) -> list[ET.Element]:
    of = clean(f"{found.suite}: {found.prompt} + {found.model}")
    cases = []
    if found.comparison is None:
        for each in found.measures:
            case = ET.Element("testcase", {"classname": of, "name": each.name})
            text = f"{each.meaning}: {estimate(each.value)} ({spread(each.value)})"
            ET.SubElement(case, "system-out").text = clean(text)
            cases.append(case)
    else:
        cases = [_compared(row, of) for row in found.comparison.measures]
    open_ = found.comparison is not None and found.comparison.word == "cannot tell"
    if not found.measured or (open_ and not cases):
        reason = unmeasured(found) if found.comparison is None else found.comparison.reason
        case = ET.Element("testcase", {"classname": of, "name": "anything measured"})
        ET.SubElement(case, "skipped", {"message": clean(reason)})
        cases.append(case)
    return cases


def _compared(row: ComparedMeasure, of: str) -> ET.Element:
    case = ET.Element("testcase", {"classname": of, "name": row.name})
    text = clean(f"{row.word}: {row.reason}; {_figures(row)}")
    if row.word in ELEMENTS:
        attributes = {"message": text}
        if row.word == "worse":
            attributes["type"] = "worse"
        ET.SubElement(case, ELEMENTS[row.word], attributes)
    else:
        ET.SubElement(case, "system-out").text = text
    return case


def _figures(row: ComparedMeasure) -> str:
    return (
        f"recorded {number(row.before)}, now {number(row.now)}, worsening {spread(row.worsening)} "
        f"in {row.clusters} clusters"
    )


def audit_annotations(found: AuditResults) -> str:
    """GitHub's workflow commands: one for the whole, and an error for each worse measure."""
    what = f"audit of {found.prompt} + {found.model}"
    compared = found.comparison
    if compared is None:
        level = "notice" if found.measured else "warning"
        told = f"{len(found.measures)} measures" if found.measured else unmeasured(found)
        return command(level, {"title": f"selectllm {what}"}, told) + "\n"
    lines = [
        command(
            LEVELS[compared.word],
            {"title": f"selectllm {what}: {compared.word}"},
            "\n".join([compared.reason, *compared.notes]),
        )
    ]
    for row in compared.measures:
        if row.word == "worse":
            lines.append(command("error", {"title": f"selectllm {row.name}"}, _figures(row)))
    return "\n".join(lines) + "\n"
