"""Of whole selections: captured by budget, and how far the sets of two selectors are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selectllm.evaluation.sets.schema import SetsResults, Summary
from selectllm.report.html.chart import (
    ACCENT,
    DASHES,
    INK,
    LINE,
    SERIES,
    SHAPES,
    Chart,
    axis,
    chart,
    zero_line,
)
from selectllm.report.wording import number

Encoding = Mapping[str, Any]
WRITTEN = 7  # selectors up to which there is room for figures in the cells


def set_charts(results: SetsResults) -> Iterator[Chart]:
    """Budget curves, and overlaps at the highest budget."""
    if (curves := _curves(results)) is not None:
        yield curves
    if (overlap := _overlap(results)) is not None:
        yield overlap


def _curves(results: SetsResults) -> Chart | None:
    utility = results.utility
    found: dict[tuple[str, int], Summary] = {
        (row.selector, row.budget): figure
        for row in results.sets
        if utility is not None and (figure := row.captured.get(utility)) is not None
    }
    if utility is None or not found:
        return None
    names = list(dict.fromkeys(name for name, _ in found))
    values = [
        {"selector": name, "budget": budget, "mean": f.mean, "low": f.low, "high": f.high}
        for (name, budget), f in found.items()
    ]
    x = {
        "field": "budget",
        "type": "ordinal",
        "axis": axis("budget: items of a set", labelAngle=0, format=","),
    }
    color, shape, dash = _told_apart(names)
    y = {"type": "quantitative", "axis": axis(f"captured of {utility}")}
    body = {
        "height": 300,
        "data": {"values": values},
        "layer": [
            *_band(results, utility, x),
            zero_line(LINE),
            *_layers(x, y, color, shape, dash),
        ],
    }
    return chart(
        "budgets",
        "What sets captured, by budget",
        f"Captured of {utility} by the sets of each selector: mean over seeds, with the lowest and "
        "the highest. The grey band is two standard deviations of random sets around 0.",
        body,
        ("selector", *(f"{budget:,} items" for budget in results.budgets)),
        ((name, *(_cell(found.get((name, b))) for b in results.budgets)) for name in names),
    )


def _told_apart(names: Sequence[str]) -> tuple[Encoding, Encoding, Encoding]:
    """Colour, shape and dash of each selector, so that no two are told apart by colour alone."""

    def by(signs: Sequence[Any]) -> Encoding:
        chosen = [signs[place % len(signs)] for place in range(len(names))]
        return {
            "field": "selector",
            "type": "nominal",
            "scale": {"domain": list(names), "range": chosen},
            "legend": {"title": None},
        }

    return by(SERIES), by(SHAPES[:6]), by(DASHES[:4])


def _layers(
    x: Encoding, y: Encoding, color: Encoding, shape: Encoding, dash: Encoding
) -> list[Mapping[str, Any]]:
    """The mean as a line, the range of seeds as a rule, and a point on top."""
    return [
        {
            "mark": {"type": "line"},
            "encoding": {
                "x": x,
                "y": {**y, "field": "mean"},
                "color": color,
                "strokeDash": dash,
            },
        },
        {
            "mark": {"type": "rule", "opacity": 0.6},
            "encoding": {
                "x": x,
                "y": {**y, "field": "low"},
                "y2": {"field": "high"},
                "color": color,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
            "encoding": {
                "x": x,
                "y": {**y, "field": "mean"},
                "color": color,
                "shape": shape,
            },
        },
    ]


def _band(results: SetsResults, utility: str, x: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    values = [
        {"budget": row.budget, "low": -2 * sd, "high": 2 * sd}
        for row in results.random
        if (sd := row.captured_sd.get(utility)) is not None
    ]
    if values:
        y = {"field": "low", "type": "quantitative"}
        yield {
            "data": {"values": values},
            "mark": {"type": "bar", "color": LINE, "opacity": 0.6, "width": {"band": 0.9}},
            "encoding": {"x": x, "y": y, "y2": {"field": "high"}},
        }


def _cell(figure: Summary | None) -> str:
    return "-" if figure is None else f"{figure.mean:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def _overlap(results: SetsResults) -> Chart | None:
    budget = results.budgets[-1]
    rows = [row for row in results.overlaps if row.budget == budget and row.overlap is not None]
    names = list(dict.fromkeys(name for row in rows for name in (row.a, row.b)))
    if not 2 <= len(names) <= 26:
        return None
    of = {frozenset((row.a, row.b)): row.overlap for row in rows}
    letters = {name: chr(ord("A") + n) for n, name in enumerate(names)}
    values = [
        {
            "name": letters[a],
            "other": letters[b],
            "overlap": of.get(frozenset((a, b))),
            "told": number(of.get(frozenset((a, b)))),
        }
        for a in names
        for b in names
        if a != b
    ]
    x = {
        "field": "other",
        "type": "nominal",
        "sort": list(letters.values()),
        "axis": axis(None, labelAngle=0, orient="top"),
    }
    rows_y = {"field": "name", "type": "nominal", "sort": None, "axis": axis(None)}
    opacity = {
        "field": "overlap",
        "type": "quantitative",
        "scale": {"domain": [0, 1], "range": [0.03, 0.6], "clamp": True},
        "legend": None,
    }
    told = {
        "mark": {"type": "text", "color": INK, "fontSize": 11},
        "encoding": {"text": {"field": "told"}},
    }
    body = {
        "height": 28 * len(names),
        "data": {"values": values},
        "encoding": {"x": x, "y": rows_y},
        "layer": [
            {"mark": {"type": "rect", "color": ACCENT}, "encoding": {"opacity": opacity}},
            *([told] if len(names) <= WRITTEN else []),
        ],
    }
    return chart(
        "overlap",
        "How similar the sets are",
        f"Overlap of the sets of two selectors at {budget:,} items, corrected for chance: 1 = the "
        "same items, 0 = as many in common as random sets. A stronger colour means more overlap. "
        + ", ".join(f"{letter}: {name}" for name, letter in letters.items())
        + ".",
        body,
        ("selector", *letters.values()),
        (
            (
                f"{letters[a]}: {a}",
                *(number(of.get(frozenset((a, b)))) if a != b else "-" for b in names),
            )
            for a in names
        ),
    )
