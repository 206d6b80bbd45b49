"""Are long items picked more often? Pick rate by length, of every pair."""

from __future__ import annotations

from selectllm.report.html.chart import SERIES, Chart, axis, chart
from selectllm.report.html.evidence import RunEvidence


def lengths(evidence: RunEvidence) -> Chart | None:
    """The share of shown items that were picked, by their length, of the first pairs."""
    models = {arm.name for arm in evidence.arms if arm.strategy is None}
    picking = dict.fromkeys(each.arm for each in evidence.lengths if each.arm in models)
    pairs = list(picking)[: len(SERIES)]
    found = [each for each in evidence.lengths if each.arm in pairs]
    if len({each.low for each in found}) < 2:
        return None
    bins = sorted({(each.low, each.high) for each in found})
    names = {low: f"{low:,} to {high:,}" for low, high in bins}
    values = [
        {"arm": each.arm, "length": names[each.low], "rate": each.picked / each.shown}
        for each in found
    ]
    color = {
        "field": "arm",
        "type": "nominal",
        "sort": pairs,
        "scale": {"domain": pairs, "range": list(SERIES[: len(pairs)])},
        "legend": {"title": None, "symbolType": "stroke"},
    }
    body = {
        "height": 220,
        "data": {"values": values},
        "mark": {"type": "line", "point": {"filled": True, "size": 50}},
        "encoding": {
            "x": {
                "field": "length",
                "type": "ordinal",
                "sort": list(names.values()),
                "axis": axis("characters of instruction and input", labelAngle=-35),
            },
            "y": {
                "field": "rate",
                "type": "quantitative",
                "axis": axis("share that was picked", format=".0%"),
            },
            "color": color,
            "strokeDash": {**color, "scale": {"domain": pairs}},
        },
    }
    rates = {(each.arm, each.low): f"{each.picked / each.shown:.0%}" for each in found}
    return chart(
        "lengths",
        "Are long items picked more often?",
        "The share of the shown items that each pair picked, by the length of the item. A line "
        "that rises says that long items are preferred.",
        body,
        ("pair", *names.values()),
        ((arm, *(rates.get((arm, low), "-") for low in names)) for arm in pairs),
    )
