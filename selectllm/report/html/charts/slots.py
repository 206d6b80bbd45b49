"""Does the place in the list decide? Picks by slot, of all pairs and of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from selectllm.evaluation.runs.schema import RunResults
from selectllm.report.html.chart import ACCENT, INK, SOFT, Chart, axis, chart
from selectllm.report.wording import p_alone

ROW = 30  # pixels of a pair


def slot_charts(results: RunResults) -> Iterator[Chart]:
    """The histogram of all pairs together, and for several pairs one row each."""
    pairs = [pair for pair in results.pairs if sum(pair.slots.counts)]
    if not pairs:
        return
    yield _histogram(results)
    if len(pairs) > 1:
        yield _by_pair(results)


def _histogram(results: RunResults) -> Chart:
    slots = max(len(pair.slots.counts) for pair in results.pairs)
    values = [
        {
            "slot": slot + 1,
            "picks": sum(p.slots.counts[slot] for p in results.pairs if slot < len(p.slots.counts)),
            "expected": sum(
                p.slots.expected[slot] for p in results.pairs if slot < len(p.slots.expected)
            ),
        }
        for slot in range(slots)
    ]
    x = {"field": "slot", "type": "ordinal", "axis": axis("slot, first shown first", labelAngle=0)}
    tick = {"type": "tick", "color": INK, "thickness": 2, "strokeDash": [3, 2], "bandSize": 28}
    body = {
        "height": 180,
        "data": {"values": values},
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "bar", "color": ACCENT},
                "encoding": {
                    "y": {"field": "picks", "type": "quantitative", "axis": axis("picks")}
                },
            },
            {"mark": tick, "encoding": {"y": {"field": "expected", "type": "quantitative"}}},
        ],
    }
    return chart(
        "slots",
        "Does the place in the list decide?",
        "Picks of all pairs together by the slot in which an item was shown. The dashed marks are "
        "what would be expected if the slot did not matter.",
        body,
        ("slot", "picks", "expected"),
        ((str(v["slot"]), f"{v['picks']:,}", f"{v['expected']:.1f}") for v in values),
    )


def _by_pair(results: RunResults) -> Chart:
    values: list[dict[str, Any]] = [
        {
            "name": f"{pair.prompt} + {pair.model}",
            "slot": slot + 1,
            "picks": count,
            "ratio": count / expected if expected else 0,
        }
        for pair in results.pairs
        for slot, (count, expected) in enumerate(
            zip(pair.slots.counts, pair.slots.expected, strict=True)
        )
    ]
    names = list(dict.fromkeys(value["name"] for value in values))
    highest = max(2.0, *(value["ratio"] for value in values))
    x = {"field": "slot", "type": "ordinal", "axis": axis("slot", labelAngle=0, orient="bottom")}
    label = {"value": -3}
    body = {
        "height": 2 * ROW * len(names),
        "data": {"values": values},
        "encoding": {"y": {"field": "name", "type": "nominal", "sort": names, "axis": None}},
        "layer": [
            {
                "mark": {"type": "rect", "color": ACCENT, "height": ROW - 4, "yOffset": 12},
                "encoding": {
                    "x": x,
                    "opacity": {
                        "field": "ratio",
                        "type": "quantitative",
                        "scale": {"domain": [0, highest], "range": [0.02, 0.6]},
                        "legend": None,
                    },
                },
            },
            {
                "mark": {"type": "text", "dy": 12, "color": INK, "fontSize": 11},
                "encoding": {"x": x, "text": {"field": "picks"}},
            },
            {
                "transform": [{"filter": "datum.slot === 1"}],
                "mark": {"type": "text", "align": "left", "dy": -12, "color": SOFT},
                "encoding": {"x": label, "text": {"field": "name"}},
            },
        ],
    }
    return chart(
        "slots-by-pair",
        "Picks by slot, pair by pair",
        "Each row is a pair, each cell how many of its picks were shown in that slot; a stronger "
        "colour means more than would be expected.",
        body,
        ("pair", *(str(n + 1) for n in range(max(v["slot"] for v in values))), "p"),
        (
            (
                f"{p.prompt} + {p.model}",
                *(f"{count:,}" for count in p.slots.counts),
                p_alone(p.slots.p),
            )
            for p in results.pairs
        ),
    )
