"""Of trained students: what each selector's sets gained, beside the cloud of random sets."""

from __future__ import annotations

from typing import Any

from selectllm.downstream.trials.schema import StudentsCompared
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

CLOUD = "random sets"


def students(results: StudentsCompared) -> Chart | None:
    """Gains by set: random sets as a cloud, selectors with the interval of their mean."""
    primary = results.primary
    values: list[dict[str, Any]] = []
    for each in results.sets:
        if each.role == "block":
            continue
        name = {"random": CLOUD, "matched": f"as many random tokens as {each.arm}"}.get(
            each.role, each.arm
        )
        role = "random" if each.role in ("random", "matched") else "selector"
        values.append({"name": name, "gain": each.gain.by(primary), "role": role})
    cloud = [value["gain"] for value in values if value["name"] == CLOUD]
    if not cloud:
        return None
    center = sum(cloud) / len(cloud)
    values.sort(key=lambda value: value["name"] != CLOUD)
    means = [
        {
            "name": arm.arm,
            "gain": arm.gain,
            "low": center + arm.over_random.low if arm.over_random.low is not None else arm.gain,
            "high": center + arm.over_random.high if arm.over_random.high is not None else arm.gain,
        }
        for arm in results.comparisons.by(primary).arms
    ]
    x: dict[str, Any] = {
        "type": "quantitative",
        "axis": axis("gain in nats"),
        "scale": {"zero": False},
    }
    names = list(dict.fromkeys(value["name"] for value in values))
    y = {"field": "name", "type": "nominal", "sort": names, "axis": None}
    color = {
        "field": "role",
        "type": "nominal",
        "scale": {"domain": ["random", "selector"], "range": [OPEN, ACCENT]},
        "legend": None,
    }
    body = named_rows(
        values,
        upright(center, SOFT, (4, 3)),
        {
            "data": {"values": means},
            "mark": {"type": "rule", "strokeWidth": 3, "color": INK},
            "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 0.75},
            "encoding": {"x": {**x, "field": "gain"}, "color": color},
        },
    )
    told = {name: [value["gain"] for value in values if value["name"] == name] for name in names}
    return chart(
        "gains",
        "Gains compared with random sets",
        "Each circle is a set that students were trained on, by what they gained. The dashed line "
        "is the mean of the random sets; the bars are 95 % intervals of each selector's gain "
        "against it.",
        body,
        ("selector", "sets", "lowest", "mean", "highest"),
        (
            (name, str(len(g)), f"{min(g):.3f}", f"{sum(g) / len(g):.3f}", f"{max(g):.3f}")
            for name, g in told.items()
        ),
    )
