"""Picks beside the pool: how long they are, what they are about, where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selectllm.report.html.chart import ACCENT, OPEN, SERIES, Chart, axis, chart, named_rows
from selectllm.selection.schema import ClusterSpread, PickedLengths, PickedTopic, SelectionSummary

POOL, PICKS = "the pool", "the picks"


def picks_charts(summary: SelectionSummary) -> Iterator[Chart | None]:
    """The charts of a selection, in the order of its page."""
    yield _lengths(summary.lengths)
    yield _topics(summary.topics)
    yield _clusters(summary.clusters)


def _lengths(lengths: tuple[PickedLengths, ...]) -> Chart | None:
    """A histogram of shares; of the picks alone where the pool is not there."""
    if len(lengths) < 2:
        return None
    picks = sum(each.picks for each in lengths)
    pool = sum(each.pool or 0 for each in lengths)
    names = [_span(each) for each in lengths]
    values = []
    for name, each in zip(names, lengths, strict=True):
        if pool:
            values.append({"length": name, "of": POOL, "share": (each.pool or 0) / pool})
        values.append({"length": name, "of": PICKS, "share": each.picks / picks if picks else 0.0})
    told = [POOL, PICKS] if pool else [PICKS]
    rows = (
        (name, *([_share(each.pool or 0, pool)] if pool else []), _share(each.picks, picks))
        for name, each in zip(names, lengths, strict=True)
    )
    beside = "the share of the pool and that of the picks" if pool else "the share of the picks"
    return chart(
        "lengths",
        "Are the picks longer than the pool?" if pool else "How long are the picks?",
        f"For each length, {beside} with that many characters.",
        _bars(values, names, told),
        ("characters", *told),
        rows,
    )


def _bars(
    values: Sequence[Mapping[str, object]], names: Sequence[str], told: Sequence[str]
) -> dict[str, Any]:
    """Bars beside each other, one of each length for each of `told`."""
    colors = [OPEN, SERIES[0]][-len(told) :]
    return {
        "height": 220,
        "data": {"values": list(values)},
        "mark": {"type": "bar"},
        "encoding": {
            "x": {
                "field": "length",
                "type": "ordinal",
                "sort": list(names),
                "axis": axis("characters of instruction and input", labelAngle=-35),
            },
            "xOffset": {"field": "of", "type": "nominal", "sort": list(told)},
            "y": {"field": "share", "type": "quantitative", "axis": axis("share", format=".0%")},
            "color": {
                "field": "of",
                "type": "nominal",
                "sort": list(told),
                "scale": {"domain": list(told), "range": colors},
                "legend": {"title": None},
            },
        },
    }


def _span(each: PickedLengths) -> str:
    if each.high is None:
        return f"{each.low:,} and more"
    return f"{each.low:,} to {each.high:,}"


def _share(count: int, of: int) -> str:
    return f"{count / of:.1%} ({count:,})" if of else "-"


def _topics(topics: tuple[PickedTopic, ...]) -> Chart | None:
    """The share of each topic, in the pool and among the picks."""
    if len(topics) < 2:
        return None
    pool, picks = (sum(getattr(each, name) for each in topics) for name in ("pool", "picks"))
    values = [
        {
            "name": f"{number}. {each.example}",
            "pool": each.pool / pool,
            "picks": each.picks / picks if picks else 0.0,
        }
        for number, each in enumerate(topics, start=1)
    ]
    x = {"type": "quantitative", "axis": axis("share", format=".0%"), "scale": {"zero": True}}
    body = named_rows(
        values,
        {
            "mark": {"type": "rule", "strokeWidth": 2, "color": OPEN},
            "encoding": {"x": {**x, "field": "pool"}, "x2": {"field": "picks"}},
        },
        {
            "mark": {"type": "point", "shape": "diamond", "size": 90, "filled": False},
            "encoding": {"x": {**x, "field": "pool"}, "color": {"value": OPEN}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 100, "opacity": 1},
            "encoding": {"x": {**x, "field": "picks"}, "color": {"value": ACCENT}},
        },
    )
    return chart(
        "topics",
        "Are the picks about what the pool is about?",
        "The pool is divided into topics by the vectors of its items; each topic is named after "
        "its most central item. Hollow diamonds: the share of the pool. Dots: the share of the "
        "picks.",
        body,
        ("topic, named after its most central item", POOL, PICKS),
        (
            (str(value["name"]), _share(each.pool, pool), _share(each.picks, picks))
            for value, each in zip(values, topics, strict=True)
        ),
    )


def _clusters(spread: ClusterSpread | None) -> Chart | None:
    """How many clusters gave how many picks."""
    if spread is None or len(spread.picks) < 2:
        return None
    values = [{"picks": str(each.picks), "clusters": each.clusters} for each in spread.picks]
    body = {
        "height": 200,
        "data": {"values": values},
        "mark": {"type": "bar", "color": SERIES[0]},
        "encoding": {
            "x": {
                "field": "picks",
                "type": "ordinal",
                "sort": [value["picks"] for value in values],
                "axis": axis("picks from one cluster", labelAngle=0),
            },
            "y": {"field": "clusters", "type": "quantitative", "axis": axis("clusters")},
        },
    }
    return chart(
        "clusters",
        "How many picks come from one cluster?",
        f"The number of clusters from which that many picks came. {spread.reached:,} of "
        f"{spread.clusters:,} clusters gave at least one.",
        body,
        ("picks from one cluster", "clusters"),
        ((str(each.picks), f"{each.clusters:,}") for each in spread.picks),
    )
