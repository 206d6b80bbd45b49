"""How much agreement can be had at all: the ceiling that each utility's reliability sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from selectllm.evaluation.runs.schema import RunResults
from selectllm.report.html.chart import (
    ACCENT,
    INK,
    LINE,
    OPEN,
    Chart,
    axis,
    chart,
    named_rows,
    upright,
)
from selectllm.report.wording import number, spread


def ceiling(results: RunResults) -> Chart | None:
    """Ceiling, best pair and `longest` of every utility; None where no reliability is known."""
    values = list(_values(results))
    if not any(value["ceiling"] is not None for value in values):
        return None
    x: dict[str, Any] = {"type": "quantitative", "axis": axis("captured")}
    known = {"filter": "isValid(datum.best)"}
    body = named_rows(
        values,
        {
            "mark": {"type": "bar", "color": LINE, "height": 12},
            "encoding": {"x": {**x, "field": "ceiling"}},
        },
        upright(0, OPEN),
        {
            "transform": [known],
            "mark": {"type": "rule", "strokeWidth": 3, "color": ACCENT},
            "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}},
        },
        {
            "transform": [known],
            "mark": {"type": "point", "filled": True, "size": 80, "color": ACCENT, "opacity": 1},
            "encoding": {"x": {**x, "field": "best"}},
        },
        {
            "transform": [{"filter": "isValid(datum.longest)"}],
            "mark": {"type": "point", "shape": "diamond", "size": 80, "color": INK},
            "encoding": {"x": {**x, "field": "longest"}},
        },
    )
    return chart(
        "ceiling",
        "How much agreement is possible",
        "The bar of each utility ends at its ceiling, the square root of its reliability: no "
        "selector can be expected above it. The circle is what the best pair captured, with its "
        "interval; the open diamond is what the longest items capture by themselves.",
        body,
        ("utility", "reliability", "ceiling", "best pair", "captured", "longest alone"),
        (
            (
                *(value["name"], number(value["reliability"]), number(value["ceiling"])),
                *(value["pair"], value["told"], number(value["longest"])),
            )
            for value in values
        ),
    )


def _values(results: RunResults) -> Iterator[dict[str, Any]]:
    for utility in results.utilities:
        known = [
            (captured.estimate, f"{pair.prompt} + {pair.model}", captured)
            for pair in results.pairs
            if (captured := pair.agreement[utility.name].captured) is not None
        ]
        best = max(known, key=lambda each: each[0], default=None)
        longest = utility.length
        yield {
            "name": utility.name,
            "reliability": utility.reliability,
            "ceiling": utility.ceiling,
            "longest": None if longest is None else longest.estimate,
            "pair": "-" if best is None else best[1],
            "best": None if best is None else best[0],
            "low": None if best is None else best[2].low,
            "high": None if best is None else best[2].high,
            "told": "-" if best is None else f"{best[0]:.2f} ({spread(best[2])})",
        }
