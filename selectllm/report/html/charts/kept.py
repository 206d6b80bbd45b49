"""Of a swap: the share of what the model in use gains that is kept, against what has to be kept."""

from __future__ import annotations

from dataclasses import dataclass

from selectllm.evaluation.comparison.schema import Swap, Verdict
from selectllm.report.html.chart import BAD, GOOD, SOFT, Chart, axis, chart, named_rows, upright
from selectllm.report.wording import percent, spread
from selectllm.stats.interval import Interval


@dataclass(frozen=True, slots=True)
class _Scale:
    """On which scale the tested interval is drawn: shares, or captured where there are none."""

    interval: Interval
    demanded: float
    axis: str
    format: str
    told: str


def kept(verdict: Verdict, nth: int) -> Chart | None:
    """The share that is kept, with the interval that decides the swap."""
    swap = verdict.swap
    if swap is None or swap.retention is None:
        return None
    tested, demanded = swap.retention, percent(swap.retain)
    scale = _scale(verdict, swap, tested)
    share = percent(scale.interval.estimate) if scale.demanded else _share(verdict)
    value = {"name": f"{verdict.b}: {share} is kept", **scale.interval.to_json()}
    x = {"type": "quantitative", "axis": axis(scale.axis, format=scale.format)}
    color = {"value": GOOD if tested.low > 0 else BAD if tested.high < 0 else SOFT}
    body = named_rows(
        [value],
        upright(scale.demanded, SOFT, (4, 3)),
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
        f"{scale.told} Right of the dashed line at least {demanded} is kept; the swap is safe if "
        "the whole interval is.",
        body,
        ("model", "share kept", "interval of the share", f"captured above {demanded}", "interval"),
        [(verdict.b, share, _shares(scale), f"{tested.estimate:+.3f}", spread(tested, 3))],
    )


def _scale(verdict: Verdict, swap: Swap, tested: Interval) -> _Scale:
    """Shares, where the model in use is shown to gain anything: nothing has no shares.

    What is tested is what b captures less `retain` of what a captures. Divided by the latter and
    moved by `retain` it is the share, and the interval lies above `retain` where it lay above 0.
    """
    former = swap.assay
    if former is None or former.low <= 0:
        return _Scale(
            tested,
            0.0,
            f"captured, less {percent(swap.retain)} of the old model's",
            "+.2f",
            f"What {verdict.b} captures, less {percent(swap.retain)} of what {verdict.a} "
            f"captures, with its interval. It is not shown as a share, because {verdict.a} is not "
            "shown to pick better than random.",
        )
    estimate, low, high = (
        swap.retain + end / former.estimate for end in (tested.estimate, tested.low, tested.high)
    )
    return _Scale(
        Interval(estimate, low, high),
        swap.retain,
        "share of the old model's captured that is kept",
        ".0%",
        f"The share of what {verdict.a} captures that {verdict.b} keeps, with the interval of the "
        f"test, in units of what {verdict.a} captures here.",
    )


def _shares(scale: _Scale) -> str:
    found = scale.interval
    return "-" if not scale.demanded else f"{percent(found.low)} to {percent(found.high)}"


def _share(verdict: Verdict) -> str:
    """Of the two estimates."""
    a, b = verdict.captured.a, verdict.captured.b
    if a is None or b is None or a.estimate <= 0:
        return "unknown"
    return percent(b.estimate / a.estimate)
