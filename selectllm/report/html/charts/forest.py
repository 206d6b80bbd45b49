"""How sure: captured of every pair and control with its interval, between random and best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selectllm.evaluation.runs.schema import RunResults, RunUtility
from selectllm.report.html.chart import (
    BAD,
    GOOD,
    OPEN,
    SOFT,
    Chart,
    axis,
    chart,
    named_rows,
    upright,
)
from selectllm.report.wording import in_words, spread
from selectllm.stats.interval import Interval

RANDOM, BEST = "random picks", "best possible picks"
COLORS = {"above random": GOOD, "as random": OPEN, "below random": BAD}


def forest(results: RunResults, utility: RunUtility) -> Chart:
    """Captured of `utility`, with 95 % intervals."""
    values = list(_values(results, utility.name))
    color = {
        "field": "stands",
        "type": "nominal",
        "scale": {"domain": list(COLORS), "range": list(COLORS.values())},
        "legend": None,
    }
    x = {
        "field": "low",
        "type": "quantitative",
        "axis": axis("captured: 0 random, 1 best possible"),
    }
    shape = {"field": "kind", "type": "nominal", "legend": None}
    shapes = {"domain": ["pair", "control", "bound"], "range": ["circle", "diamond", "square"]}
    body = named_rows(
        values,
        upright(0, SOFT),
        upright(1, SOFT),
        *([upright(utility.ceiling, SOFT, (4, 3))] if utility.ceiling is not None else []),
        {
            "mark": {"type": "rule", "strokeWidth": 3},
            "encoding": {"x": x, "x2": {"field": "high"}, "color": color},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            "encoding": {
                "x": {"field": "estimate", "type": "quantitative"},
                "color": color,
                "shape": {**shape, "scale": shapes},
            },
        },
    )
    ceiling = (
        ""
        if utility.ceiling is None
        else f" The dashed line at {utility.ceiling:.2f} is the ceiling that the reliability of "
        f"{utility.name} sets."
    )
    return chart(
        "forest",
        "How certain: the intervals of pairs and controls",
        f"Captured of {utility.name} by each pair of prompt and model (circles) and each control "
        "(diamonds), with 95 % intervals. 0 stands for random picks, 1 for the best possible."
        f"{ceiling}",
        body,
        ("selector", "captured", "95 % interval", "in words"),
        (_row(value) for value in values),
    )


def _values(results: RunResults, utility: str) -> Iterator[dict[str, Any]]:
    for pair in results.pairs:
        yield from _value(f"{pair.prompt} + {pair.model}", "pair", pair.agreement, utility)
    for strategy in results.strategies:
        if strategy.strategy != "random":
            yield from _value(strategy.strategy, "control", strategy.agreement, utility)
    for name, at in ((RANDOM, 0), (BEST, 1)):
        ends = {"estimate": at, "low": at, "high": at}
        yield {"name": name, "kind": "bound", "stands": "as random", **ends}


def _value(
    name: str, kind: str, agreement: Mapping[str, Any], utility: str
) -> Iterator[dict[str, Any]]:
    captured: Interval | None = agreement[utility].captured
    if captured is not None:
        yield {"name": name, "kind": kind, "stands": _stands(captured), **captured.to_json()}


def _stands(captured: Interval) -> str:
    if captured.low > 0:
        return "above random"
    return "below random" if captured.high < 0 else "as random"


def _row(value: Mapping[str, Any]) -> tuple[str, ...]:
    if value["kind"] == "bound":
        return value["name"], f"{value['estimate']:.2f}", "-", "by definition"
    interval = Interval(value["estimate"], value["low"], value["high"])
    return value["name"], f"{interval.estimate:.2f}", spread(interval), in_words(interval)
