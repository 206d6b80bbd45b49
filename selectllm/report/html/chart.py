"""One chart: a Vega-Lite specification as plain JSON, what it shows in words, and its table.

Colours are names of the page's style (`var(--good)`), so that they follow dark, light and print.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
GOOD, BAD, OPEN, ACCENT = "var(--good)", "var(--bad)", "var(--mid)", "var(--accent)"
INK, SOFT, LINE = "var(--ink)", "var(--soft)", "var(--line)"
SERIES = tuple(f"var(--series-{number})" for number in range(1, 9))
"""Colours that tell up to eight series apart, for the colour-blind as well."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
"""What tells points apart."""
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
"""What tells lines apart besides their colour."""
ROW = 34  # pixels of a row that has its name above its mark

Spec = Mapping[str, Any]
Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of the page.

    `name`: its anchor. `description`: what it shows, for those who do not see it as well. `head`
    and `rows`: the same figures as a table; the first cell of a row says what it is of.
    """

    name: str
    title: str
    description: str
    spec: Spec
    head: Cells
    rows: tuple[Cells, ...]


def chart(
    name: str,
    title: str,
    description: str,
    body: Mapping[str, Any],
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
) -> Chart:
    """A chart whose specification is `body`, as wide as the page lets it be."""
    spec = {"$schema": SCHEMA, "description": description, "width": "container", **body}
    return Chart(name, title, description, spec, tuple(head), tuple(map(tuple, rows)))


def named_rows(values: Sequence[Mapping[str, Any]], *layers: Spec) -> dict[str, Any]:
    """Rows from top to bottom, the `name` of each value above its marks, so that none is cut.

    The layers place themselves by x alone; one with data of its own has no rows unless it says so.
    """
    names = list(dict.fromkeys(value["name"] for value in values))
    y = {"field": "name", "type": "nominal", "sort": names, "axis": None}
    label = {
        "mark": {
            "type": "text",
            "align": "left",
            "baseline": "bottom",
            "dy": -7,
            "color": INK,
            "limit": {"expr": "width"},
        },
        "encoding": {"x": {"value": 0}, "y": y, "text": {"field": "name"}},
    }
    placed = (
        layer if "data" in layer else {**layer, "encoding": {"y": y, **layer["encoding"]}}
        for layer in layers
    )
    return {
        "height": ROW * len(names) + 6,
        "data": {"values": list(values)},
        "layer": [*placed, label],
    }


def upright(value: float, color: str = LINE, dash: Sequence[int] = (1, 0)) -> dict[str, Any]:
    """A vertical line at `value`, with no rows of its own."""
    return _rule("x", value, color, dash)


def lying(value: float, color: str = LINE, dash: Sequence[int] = (1, 0)) -> dict[str, Any]:
    """A horizontal line at `value`."""
    return _rule("y", value, color, dash)


def zero_line(color: str) -> dict[str, Any]:
    """A horizontal line at 0."""
    return _rule("y", 0, color, (1, 0))


def _rule(channel: str, value: float, color: str, dash: Sequence[int]) -> dict[str, Any]:
    return {
        "data": {"values": [{"at": value}]},
        "mark": {"type": "rule", "color": color, "strokeDash": list(dash), "aria": False},
        "encoding": {channel: {"field": "at", "type": "quantitative"}},
    }


def axis(title: str | None, **more: Any) -> dict[str, Any]:
    """An axis that says what it measures."""
    return {"title": title, **more}
