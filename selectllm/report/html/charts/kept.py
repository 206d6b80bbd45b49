"""Of a swap: how much of what the model in use gains is kept, against what has to be kept."""

from __future__ import annotations

from selectllm.evaluation.comparison.schema import Verdict
from selectllm.report.html.chart import BAD, GOOD, SOFT, Chart, axis, chart, named_rows, upright
from selectllm.report.wording import percent, spread


def kept(verdict: Verdict, nth: int) -> Chart | None:
    """The interval that decides a swap, in captured above what must be kept."""
    swap = verdict.swap
    if swap is None or swap.retention is None:
        return None
    found, demanded = swap.retention, percent(swap.retain)
    a, b = verdict.captured.a, verdict.captured.b
    share = "unknown"
    if a is not None and b is not None and a.estimate > 0:
        share = percent(b.estimate / a.estimate)
    enough = f"at least {demanded} is kept"
    value = {"name": f"{verdict.b}: {share} is kept", **found.to_json()}
    x = {"type": "quantitative", "axis": axis(f"captured, less {demanded} of the former")}
    color = {"value": GOOD if found.low > 0 else BAD if found.high < 0 else SOFT}
    body = named_rows(
        [value],
        upright(0, SOFT, (4, 3)),
        {
            "mark": {"type": "rule", "strokeWidth": 4},
            "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": color},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
            "encoding": {"x": {**x, "field": "estimate"}, "color": color},
        },
    )
    return chart(
        f"kept-{nth}",
        "How much is kept after the swap",
        f"What {verdict.b} captures, less {demanded} of what {verdict.a} captures, with its "
        f"interval. Right of the dashed line {enough}; the swap is safe if the whole interval is.",
        body,
        ("model", "share kept", f"captured above {demanded}", "interval"),
        [(verdict.b, share, f"{found.estimate:+.3f}", spread(found, 3))],
    )
