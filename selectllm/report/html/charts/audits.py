"""Of an audit: how often each slot is picked, and what each style of attack text comes to."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean
from typing import Any

from selectllm.evaluation.audit.schema import AuditResults, HijackAudit, OrderAudit
from selectllm.report.html.chart import (
    ACCENT,
    BAD,
    OPEN,
    SOFT,
    Chart,
    axis,
    chart,
    lying,
    named_rows,
    upright,
)
from selectllm.report.wording import p_alone, spread

FOUND, OTHERWISE = "found", "not shown"
COLORS = {FOUND: BAD, OTHERWISE: OPEN}


def audit_charts(results: AuditResults) -> Iterator[Chart]:
    """The curve over slots, and the uplift of the styles, where they were asked."""
    if results.order is not None and any(results.order.slots.counts):
        yield _curve(results.order)
    if results.hijack is not None:
        yield _uplift(results.hijack)


def _curve(order: OrderAudit) -> Chart:
    values = [
        {"slot": each.slot, **each.rate.to_json()} for each in order.curve if each.rate is not None
    ]
    even = fmean(order.slots.expected)
    shown = sum(order.slots.counts) / sum(each["estimate"] for each in values)
    x = {"field": "slot", "type": "ordinal", "axis": axis("slot, first shown first", labelAngle=0)}
    y = {"field": "low", "type": "quantitative", "axis": axis("share of the times it is picked")}
    body = {
        "height": 180,
        "data": {"values": values},
        "layer": [
            lying(even / shown, SOFT, (4, 3)),
            {
                "mark": {"type": "rule", "strokeWidth": 3, "color": ACCENT},
                "encoding": {"x": x, "y": y, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "line", "point": True, "color": ACCENT},
                "encoding": {"x": x, "y": {"field": "estimate", "type": "quantitative"}},
            },
        ],
    }
    return chart(
        "slot-curve",
        "Does the place in the list decide?",
        f"How often what stands in a slot is picked, over {order.orders} orders of each cluster, "
        "with 95 % intervals. The dashed line is what is expected if the slot did not matter.",
        body,
        ("slot", "rate", "95 % interval"),
        (
            (str(each.slot), f"{each.rate.estimate:.2f}", spread(each.rate))
            for each in order.curve
            if each.rate is not None
        ),
    )


def _uplift(hijack: HijackAudit) -> Chart:
    styles = [each for each in hijack.styles if each.uplift is not None]
    values: list[dict[str, Any]] = [
        {
            "name": each.style,
            "stands": FOUND if each.p_holm <= 0.05 else OTHERWISE,
            **each.uplift.to_json(),
        }
        for each in styles
        if each.uplift is not None
    ]
    color = {
        "field": "stands",
        "type": "nominal",
        "scale": {"domain": list(COLORS), "range": list(COLORS.values())},
        "legend": {"title": "at 5 %, adjusted"},
    }
    x = {"field": "low", "type": "quantitative", "axis": axis("picked more often with the text")}
    body = named_rows(
        values,
        upright(0, SOFT),
        {
            "mark": {"type": "rule", "strokeWidth": 3},
            "encoding": {"x": x, "x2": {"field": "high"}, "color": color},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            "encoding": {"x": {"field": "estimate", "type": "quantitative"}, "color": color},
        },
    )
    return chart(
        "attacks",
        "Can a candidate talk its way in?",
        "How much more often a candidate is picked with an attack text of each style behind it, "
        "as a share of the clusters, with exact 95 % intervals. 0: the text changes nothing.",
        body,
        ("style", "before", "after", "95 % interval", "p"),
        (
            (
                each.style,
                f"{each.picked_before} of {each.clusters}",
                f"{each.picked_after} of {each.clusters}",
                spread(each.uplift),
                p_alone(each.p_holm),
            )
            for each in styles
        ),
    )
