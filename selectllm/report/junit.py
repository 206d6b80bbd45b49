"""Verdicts as JUnit XML, the form in which CI services read test results.

There is no standard; this is the common form that github.com/testmoapp/junitxml describes, with
properties per test case as pytest writes them. It holds no clock: equal results, equal bytes.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from typing import Any

from selectllm.core.verdict_words import POLARITY
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.runs.schema import RunResults
from selectllm.report.verdict_sentences import difference, figures, in_full, lead
from selectllm.report.wording import subject

# What XML 1.0 cannot hold, not even escaped (section 2.2, production Char).
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACEMENT = "\ufffd"
PROPERTIES = (
    *("kind", "word", "a", "utility.name", "utility.kind", "unit", "alpha", "margin"),
    *("margin_share", "clusters", "flat_clusters", "nonzero", "groups"),
    *("captured.a.estimate", "captured.b.estimate"),
    *("difference.estimate", "difference.low", "difference.high", "one_more.low", "one_more.high"),
    *(
        "utility.ceiling",
        "utility.length.estimate",
        "utility.validation.status",
        "utility.validation.lds",
    ),
    *("p", "p_holm", "valid_rate.a", "valid_rate.b", "overlap.estimate", "design.kind"),
    *("design.calls", "design.calls_saved", "swap.retention.low", "regress.sha256_before"),
    *("regress.sha256_after", "regress.changed"),
)


def junit(results: RunResults) -> str:
    """An XML document: one suite, one test case per verdict, named by the arm that is judged.

    fail, worse and not safe are failures of that type; inconclusive is skipped, with the reason.
    `time` is what the judged pair's replies took, in seconds, left out where that is not known.
    """
    seconds = {f"{p.prompt} + {p.model}": p.seconds for p in results.pairs}
    verdicts = results.verdicts
    polarities = Counter(POLARITY[verdict.word] for verdict in verdicts)
    known = [taken for v in verdicts if (taken := seconds.get(v.b)) is not None]
    totals = {
        "tests": str(len(verdicts)),
        "failures": str(polarities["bad"]),
        "errors": "0",
        "skipped": str(polarities["open"]),
        **_time(sum(known) if known else None),
    }
    root = ET.Element("testsuites", {"name": "selectllm", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": clean(results.suite), **totals})
    for verdict in verdicts:
        suite.append(_case(verdict, results.suite, seconds.get(verdict.b)))
    return as_xml(root)


def as_xml(root: ET.Element) -> str:
    """The document of an element."""
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def _case(verdict: Verdict, suite: str, seconds: float | None) -> ET.Element:
    names = {"classname": clean(suite), "name": clean(verdict.b)}
    case = ET.Element("testcase", names | _time(seconds))
    listed = ET.SubElement(case, "properties")
    for name, value in _figures(verdict):
        ET.SubElement(listed, "property", {"name": name, "value": clean(str(value))})
    told = f"{subject(verdict)}: {verdict.word}; difference {difference(verdict)}"
    reason = clean(f"{told}; reason: {in_full(verdict, verdict.reason)}")
    ended = POLARITY[verdict.word]
    if ended == "bad":
        failure = ET.SubElement(case, "failure", {"message": reason, "type": verdict.word})
        failure.text = clean(_all_of(verdict))
    elif ended == "open":
        ET.SubElement(case, "skipped", {"message": reason})
    if ended != "bad":
        ET.SubElement(case, "system-out").text = clean(_all_of(verdict))
    return case


def _figures(verdict: Verdict) -> Iterator[tuple[str, Any]]:
    """The verdict's figures by dotted name; what is null is left out."""
    for name in PROPERTIES:
        value: Any = verdict
        for part in name.split("."):
            value = None if value is None else getattr(value, part)
        if value is not None:
            yield name, value


def _all_of(verdict: Verdict) -> str:
    facts = [*lead(verdict), *figures(verdict)]
    return "\n".join([subject(verdict), *(f"{label}: {text}" for label, text in facts)])


def _time(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"time": f"{seconds:.3f}"}


def clean(text: str) -> str:
    """`text` with U+FFFD for what XML cannot hold."""
    return FORBIDDEN.sub(REPLACEMENT, text)
