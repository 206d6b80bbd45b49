"""How the pairs of two runs differ: the change in captured of each, with its interval."""

from __future__ import annotations

from typing import Any

from selectllm.evaluation.two_runs.schema import RunsCompared
from selectllm.report.html.chart import ACCENT, SOFT, Chart, axis, chart, named_rows, upright
from selectllm.report.two_runs import one_pair
from selectllm.report.wording import spread


def by_pair(compared: RunsCompared) -> Chart | None:
    """The pair that lost most first; in one colour, since none of it is a verdict."""
    values = [
        {"name": one_pair(each), **each.difference.to_json()}
        for each in compared.compared
        if each.difference is not None
    ]
    if not values:
        return None
    title = f"captured in {compared.b.name} minus captured in {compared.a.name}"
    x: dict[str, Any] = {"field": "low", "type": "quantitative", "axis": axis(title)}
    estimate = {"field": "estimate", "type": "quantitative"}
    body = named_rows(
        values,
        upright(0, SOFT),
        {
            "mark": {"type": "rule", "strokeWidth": 3, "color": ACCENT},
            "encoding": {"x": x, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1, "color": ACCENT},
            "encoding": {"x": estimate},
        },
    )
    return chart(
        "by-pair",
        "How each pair changed",
        f"The change in captured from {compared.a.name} to {compared.b.name} of every pair, over "
        "the clusters that both runs asked, with 95 % intervals. Below 0: it picked worse in "
        f"{compared.b.name}. The intervals describe each pair alone; they give no verdict.",
        body,
        ("pair", "change", "95 % interval", "clusters worse", "better", "equal"),
        (
            (
                one_pair(each),
                f"{each.difference.estimate:+.3f}",
                spread(each.difference, 3),
                str(each.worse),
                str(each.better),
                str(each.equal),
            )
            for each in compared.compared
            if each.difference is not None
        ),
    )
