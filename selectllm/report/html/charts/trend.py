"""How a prompt with a model went from run to run: captured with its interval, by date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selectllm.report.html.chart import INK, SERIES, SHAPES, SOFT, Chart, axis, chart, zero_line
from selectllm.report.wording import number, rate, spread, usd
from selectllm.stats.interval import Interval

FEW = 20  # points that have their version written above


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """A pair in one run. `when`: ISO 8601. `clusters`: names what it was measured on.

    Figures of different clusters, or of other values of the utility, are not joined by a line.
    """

    run: str
    when: str
    version: str
    clusters: str
    captured: Interval | None
    valid_rate: float | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """A prompt (without its version) with a model, in all runs of a suite; the oldest first."""

    suite: str
    prompt: str
    model: str
    utility: str
    points: tuple[TrendPoint, ...]

    @property
    def name(self) -> str:
        """`criteria + gpt`."""
        return f"{self.prompt} + {self.model}"


def trend_chart(trend: Trend) -> Chart | None:
    """Captured with 95 % intervals by date; None if no run has any."""
    values = [_value(point) for point in trend.points if point.captured is not None]
    if not values:
        return None
    series = list(dict.fromkeys(value["clusters"] for value in values))
    x = {"field": "when", "type": "temporal", "axis": axis("written", **_ticks(values))}
    y = {"field": "estimate", "type": "quantitative", "axis": axis("captured")}
    color = {
        "field": "clusters",
        "type": "nominal",
        "scale": {"domain": series, "range": _repeated(SERIES, len(series))},
        "legend": {"title": None} if len(series) > 1 else None,
    }
    shape = {**color, "scale": {"domain": series, "range": _repeated(SHAPES, len(series))}}
    interval = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": color}
    layers: list[dict[str, Any]] = [
        zero_line(SOFT),
        {"mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.7}, "encoding": interval},
        {"mark": {"type": "line"}, "encoding": {"x": x, "y": y, "color": color}},
        {
            "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
            "encoding": {"x": x, "y": y, "color": color, "shape": shape},
        },
    ]
    if len(values) <= FEW and len({value["version"] for value in values}) > 1:
        mark = {"type": "text", "align": "left", "dx": 8, "dy": -6, "color": INK}
        text = {"field": "version", "type": "nominal"}
        layers.append({"mark": mark, "encoding": {"x": x, "y": y, "text": text}})
    joined = (
        "A line joins runs of the same clusters and ratings; others are not comparable."
        if len(series) > 1
        else "All of them are of the same clusters and ratings."
    )
    return chart(
        "trend",
        f"{trend.name}: captured by run",
        f"Captured of {trend.utility} with 95 % intervals, by the date on which the results were "
        f"written. 0 stands for random picks, 1 for the best possible. {joined}",
        {"height": 280, "data": {"values": values}, "layer": layers},
        ("run", "written", "version", "clusters", "captured", "95 % interval", "valid", "USD"),
        map(_row, trend.points),
    )


def _ticks(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Dates by themselves do for runs of several days; of one day each tick needs its time."""
    if len({value["when"][:10] for value in values}) > 1:
        return {}
    return {"values": [value["when"] for value in values], "format": "%d %b %H:%M"}


def _repeated(among: Sequence[str], count: int) -> list[str]:
    return [among[number % len(among)] for number in range(count)]


def _value(point: TrendPoint) -> dict[str, Any]:
    assert point.captured is not None
    told = {"when": point.when, "version": point.version, "clusters": point.clusters}
    return {**told, "run": point.run, **point.captured.to_json()}


def _row(point: TrendPoint) -> tuple[str, ...]:
    captured = point.captured
    return (
        point.run,
        point.when.replace("T", " ")[:16],
        point.version,
        point.clusters,
        number(None if captured is None else captured.estimate),
        spread(captured),
        rate(point.valid_rate),
        usd(point.cost_usd),
    )
