"""Of a search: what the winner seemed to capture where it was chosen, and what it did elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from selectllm.optimization.schema import GridResults, SearchResults
from selectllm.report.html.chart import (
    ACCENT,
    INK,
    OPEN,
    SOFT,
    Chart,
    axis,
    chart,
    named_rows,
    upright,
)
from selectllm.report.wording import around
from selectllm.stats.interval import Interval

SPLITS = ("training", "validation", "confirmation")


def optimism(results: SearchResults | GridResults) -> Chart | None:
    """Captured by split, of parent, winner and controls."""
    found = list(_captured(results))
    values: list[dict[str, Any]] = [
        {"name": split, "version": version, "kind": kind, **captured.to_json()}
        for split, version, kind, captured in found
    ]
    if not values:
        return None
    versions = list(dict.fromkeys((value["version"], value["kind"]) for value in values))
    colors = {"parent": SOFT, "winner": ACCENT, "control": OPEN, "setting": INK}
    offset = {
        "field": "version",
        "type": "nominal",
        "sort": [name for name, _ in versions],
        "scale": {"range": [0, 12 * len(versions)]},
    }
    color = {
        "field": "version",
        "type": "nominal",
        "scale": {"domain": [v for v, _ in versions], "range": [colors[k] for _, k in versions]},
        "legend": {"title": None},
    }
    shape = {**color, "scale": {"domain": [v for v, _ in versions]}}
    x: dict[str, Any] = {"type": "quantitative", "axis": axis("captured")}
    body = named_rows(
        values,
        upright(0, SOFT),
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {
                "x": {**x, "field": "low"},
                "x2": {"field": "high"},
                "color": color,
                "yOffset": offset,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
            "encoding": {
                "x": {**x, "field": "estimate"},
                "color": color,
                "shape": shape,
                "yOffset": offset,
            },
        },
    )
    body["height"] = (24 + 14 * len(versions)) * len({value["name"] for value in values})
    return chart(
        "optimism",
        "Optimism: the clusters of the search, and others",
        "Captured on the clusters of each split, with 95 % intervals. The search chose by "
        "training and validation clusters, on which it looks better than it is; rely only on the "
        "confirmation.",
        body,
        ("version", "split", "captured"),
        ((version, split, around(captured)) for split, version, _, captured in found),
    )


def _captured(
    results: SearchResults | GridResults,
) -> Iterator[tuple[str, str, str, Interval]]:
    """(split, version, its kind, captured), where it is known."""
    if isinstance(results, SearchResults):
        for version in ("parent", "winner"):
            for split, captured in zip(SPLITS, results.captured.of(version), strict=True):
                if captured is not None:
                    yield split, version, version, captured
    else:
        yield from _of_grid(results)
    for split in SPLITS:
        for name, captured in getattr(results.controls, split).items():
            if captured is not None:
                yield split, f"{name} alone", "control", captured


def _of_grid(results: GridResults) -> Iterator[tuple[str, str, str, Interval]]:
    kinds = {0: "parent", results.winner: "winner"}
    for setting in results.settings:
        kind = kinds.get(setting.number)
        if kind is not None and setting.captured is not None:
            yield "training", kind, kind, setting.captured
    for arm in results.confirmation.arms if results.confirmation else ():
        kind = kinds.get(arm.number)
        if kind is not None and arm.captured is not None:
            yield "confirmation", kind, kind, arm.captured
