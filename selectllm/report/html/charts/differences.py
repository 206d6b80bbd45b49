"""How two arms differ cluster by cluster, and where a sequential design stopped."""

from __future__ import annotations

from collections import Counter
from typing import Any

from selectllm.evaluation.comparison.schema import Verdict
from selectllm.report.html.chart import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    OPEN,
    SOFT,
    Chart,
    axis,
    chart,
    zero_line,
)
from selectllm.report.html.evidence import RunEvidence

STEPS = 10  # bins of differences in each direction


def differences(name_a: str, name_b: str, evidence: RunEvidence, nth: int) -> Chart | None:
    """How many clusters went better and worse for arm b than for arm a, and by how much."""
    names = [arm.name for arm in evidence.arms]
    if name_a not in names or name_b not in names:
        return None
    a, b = names.index(name_a), names.index(name_b)
    pairs = [(cluster.lost[a], cluster.lost[b]) for cluster in evidence.clusters]
    found = [before - after for before, after in pairs if before is not None and after is not None]
    if not found:
        return None
    counts = Counter(round(STEPS * each) for each in found)
    values = [
        {"at": at / STEPS, "clusters": counts[at], "went": _went(at)}
        for at in range(-STEPS, STEPS + 1)
    ]
    body: dict[str, Any] = {
        "height": 200,
        "data": {"values": values},
        "mark": {"type": "bar"},
        "encoding": {
            "x": {
                "field": "at",
                "type": "ordinal",
                "axis": axis("worse for B < 0 < better for B", labelAngle=0, format="+.1f"),
            },
            "y": {"field": "clusters", "type": "quantitative", "axis": axis("clusters")},
            "color": {
                "field": "went",
                "type": "nominal",
                "scale": {"domain": ["worse", "equal", "better"], "range": [BAD, OPEN, GOOD]},
                "legend": None,
            },
        },
    }
    return chart(
        f"differences-{nth}",
        "Cluster by cluster: who picked better",
        f"In how many clusters {name_b} (B) picked better or worse than {name_a} (A), by the "
        "share of the cluster's range of utility. Bars at 0 are clusters without a difference.",
        body,
        ("difference", "clusters"),
        ((f"{value['at']:+.1f}", str(value["clusters"])) for value in values if value["clusters"]),
    )


def _went(at: int) -> str:
    return "better" if at > 0 else "worse" if at < 0 else "equal"


def looks(verdict: Verdict, nth: int) -> Chart | None:
    """The difference at each look of a sequential design, and the boundary that it had to cross."""
    seen = [
        {
            "clusters": look.clusters,
            "difference": (look.low + look.high) / 2,
            "above": (look.high - look.low) / 2,
            "below": (look.low - look.high) / 2,
        }
        for look in verdict.design.looks
        if look.low is not None and look.high is not None
    ]
    if not seen:
        return None
    x = {
        "field": "clusters",
        "type": "quantitative",
        "axis": axis("counted clusters"),
        "scale": {"zero": False},
    }
    stopped, cap = seen[-1]["clusters"], verdict.design.cap
    boundary = [_line(x, name) for name in ("above", "below")]
    body = {
        "height": 220,
        "data": {"values": seen},
        "layer": [
            zero_line(SOFT),
            *boundary,
            {
                "mark": {
                    "type": "line",
                    "color": ACCENT,
                    "point": {"filled": True, "size": 70, "color": ACCENT},
                },
                "encoding": {
                    "x": x,
                    "y": {
                        "field": "difference",
                        "type": "quantitative",
                        "axis": axis("difference"),
                    },
                },
            },
        ],
    }
    at_most = "" if cap is None else f" At most {cap} clusters would have been asked."
    return chart(
        f"looks-{nth}",
        "When it was decided",
        f"The difference of {verdict.b} from {verdict.a} at each look (line with points), between "
        "the boundaries of the sequential design (dashed): beyond one of them the comparison is "
        f"decided. It stopped at {stopped} counted clusters.{at_most}",
        body,
        ("counted clusters", "difference", "boundary"),
        (
            (str(each["clusters"]), f"{each['difference']:+.3f}", f"{each['above']:.3f}")
            for each in seen
        ),
    )


def _line(x: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        "mark": {
            "type": "line",
            "strokeDash": [5, 3],
            "color": INK,
            "point": {"size": 20, "color": INK},
        },
        "encoding": {"x": x, "y": {"field": name, "type": "quantitative"}},
    }
