"""What every page has: its head, its policy, its style and scripts, and the data that they read.

The page may run its own scripts, known by their hashes, and nothing else; it asks no network for
anything (its Content-Security-Policy says so to the browser). What strangers wrote is escaped here
or becomes text nodes there.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup, escape

from selectllm.core.shown import visible
from selectllm.report.html.chart import Chart

SCRIPTS = ("dom.js", "charts.js", "cases.js", "explorer.js", "ratings.js", "runs.js", "start.js")
"""In this order, as one script."""


def filled(
    template: str,
    charts: Sequence[Chart] = (),
    data: Mapping[str, Any] | None = None,
    *,
    packed: bool = False,
    form: bool = False,
    **content: Any,
) -> str:
    """The page that `template` makes of `content`.

    `data`: what its scripts read, compressed if `packed`. `form`: whether it sends a form to the
    server that it came from; a page that opens from a file never does.
    """
    script, style, vega = _script(), _asset("page.css"), _asset("vega.js") if charts else ""
    specs = {chart.name: chart.spec for chart in charts}
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            charts=charts,
            specs=Markup(_json(specs)),
            data=Markup("" if data is None else _data(data, packed)),
            packed=packed,
            script=Markup(script),
            style=Markup(style),
            vega=Markup(vega),
            policy=_policy([script, vega] if charts else [script], style, form),
        )
    )


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


def _policy(scripts: list[str], style: str, form: bool) -> str:
    """What the browser lets the page do: run these scripts and use this style, nothing else."""
    allowed = " ".join(map(_source, scripts))
    parts = (
        *("default-src 'none'", f"script-src {allowed}", f"style-src {_source(style)}"),
        *("connect-src 'none'", "img-src data:", "base-uri 'none'"),
        "form-action 'self'" if form else "form-action 'none'",
    )
    return "; ".join(parts)


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _script() -> str:
    parts = "\n".join(map(_asset, SCRIPTS))
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@cache
def _asset(name: str) -> str:
    return resources.files(f"{__package__}.assets").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_asset)
    )
    environment.filters["shown"] = _shown
    return environment


def _shown(text: object) -> Markup:
    return escape(visible(str(text)))
