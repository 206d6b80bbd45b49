"""A result as one HTML page: what it says, its charts, its cases, all in one file.

The page may run its own scripts, known by their hashes, and nothing else; it asks no network for
anything (its Content-Security-Policy says so to the browser). What strangers wrote is escaped here
or becomes text nodes there.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, Template
from markupsafe import Markup, escape
from rich.console import RenderableType

from selectllm.core.document import Document
from selectllm.core.shown import visible
from selectllm.evaluation.runs.schema import RunResults
from selectllm.report.html.charts.every import charts
from selectllm.report.html.evidence import RunEvidence
from selectllm.report.html.figures import figures
from selectllm.report.html.matrix import matrices
from selectllm.report.html.opening import opening
from selectllm.report.html.picks_evidence import PicksEvidence

SCRIPTS = ("dom.js", "charts.js", "cases.js", "explorer.js", "ratings.js", "start.js")
"""In this order, as one script."""
OF_PICKS = ("dom.js", "charts.js", "picks.js", "start.js")
"""The same of a selection."""
PACKED = 2_000  # decisions, or picks, from which on they are one compressed block
Evidence = RunEvidence | PicksEvidence


def page(result: Document, report: RenderableType, evidence: Evidence | None = None) -> str:
    """`result` as a page. `report`: what a terminal shows of it. `evidence`: its cases or picks."""
    of_run = evidence if isinstance(evidence, RunEvidence) else None
    deciding = _deciding(result, of_run) if isinstance(result, RunResults) else None
    drawn = tuple(charts(result, of_run, deciding))
    parts = tuple(figures(report))
    packed = evidence is not None and _listed(evidence) > PACKED
    data = "" if evidence is None else _data(evidence.to_json(), packed)
    names = OF_PICKS if isinstance(evidence, PicksEvidence) else SCRIPTS
    script, style, vega = _script(names), _asset("page.css"), _asset("vega.js") if drawn else ""
    return _template().render(
        opening=opening(result, next((part for part in parts if isinstance(part, str)), "")),
        matrices=matrices(result, deciding) if isinstance(result, RunResults) else (),
        charts=drawn,
        figures=parts,
        evidence=evidence,
        listed="picks" if isinstance(evidence, PicksEvidence) else "cases",
        provenance=None if evidence is None else evidence.provenance,
        specs=Markup(_json({chart.name: chart.spec for chart in drawn})),
        data=Markup(data),
        packed=packed,
        script=Markup(script),
        style=Markup(style),
        vega=Markup(vega),
        policy=_policy([script, vega] if drawn else [script], style),
    )


def _listed(evidence: Evidence) -> int:
    return len(evidence.picks if isinstance(evidence, PicksEvidence) else evidence.choices)


def _deciding(result: RunResults, evidence: RunEvidence | None) -> str | None:
    """The utility that is shown first: the one that decides, else the first."""
    decides = [verdict.utility.name for verdict in result.verdicts if verdict.utility is not None]
    covered = [utility.name for utility in result.utilities]
    known = [*decides, *([] if evidence is None else [evidence.deciding]), *covered]
    return next((name for name in known if name in covered), None)


def _data(content: Mapping[str, Any], packed: bool) -> str:
    """The block that the scripts read: JSON, or its gzip as base64."""
    text = _json(content)
    if not packed:
        return text
    return base64.b64encode(gzip.compress(text.encode("utf-8"), 6, mtime=0)).decode("ascii")


def _json(content: Any) -> str:
    """JSON that no HTML parser takes for the end of its block."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _policy(scripts: list[str], style: str) -> str:
    """What the browser lets the page do: run these scripts and use this style, nothing else."""
    allowed = " ".join(map(_source, scripts))
    parts = (
        *("default-src 'none'", f"script-src {allowed}", f"style-src {_source(style)}"),
        *("connect-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"),
    )
    return "; ".join(parts)


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _script(names: tuple[str, ...]) -> str:
    parts = "\n".join(map(_asset, names))
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@cache
def _asset(name: str) -> str:
    return resources.files(f"{__package__}.assets").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = _shown
    return environment.from_string(_asset("page.html.jinja"))


def _shown(text: object) -> Markup:
    return escape(visible(str(text)))
