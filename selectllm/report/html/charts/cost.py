"""What captured costs: every pair by its price, and those that none beats on both counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from selectllm.evaluation.runs.schema import PairFigures, RunResults
from selectllm.report.html.chart import ACCENT, SERIES, SHAPES, Chart, axis, chart
from selectllm.report.wording import usd

PRICED = "USD for 1,000 picks"
UNPRICED = "tokens for a decision"


@dataclass(frozen=True, slots=True)
class PricedPair:
    """A pair: what it pays, in one of the two units, and what it captured. `front`: see `cost`."""

    prompt: str
    model: str
    paid: float
    captured: float
    front: bool = False

    @property
    def name(self) -> str:
        """`prompt + model`."""
        return f"{self.prompt} + {self.model}"


def cost(results: RunResults, utility: str) -> Chart | None:
    """Price against captured of `utility`; the front: no pair captures more for less.

    In USD where every pair has a price above 0 or some have, else in tokens.
    """
    unit = PRICED if any(pair.replay_cost_usd for pair in results.pairs) else UNPRICED
    priced = list(_priced(results, utility, unit))
    if len(priced) < 2:
        return None
    priced.sort(key=lambda each: each.paid)
    values = [asdict(each) | {"name": each.name} for each in priced]
    x = {"field": "paid", "type": "quantitative", "axis": axis(unit, format="~s")}
    y = {
        "field": "captured",
        "type": "quantitative",
        "axis": axis("captured"),
        "scale": {"zero": False},
    }
    line = {"type": "line", "interpolate": "step-after", "color": ACCENT, "strokeDash": [4, 3]}
    body = {
        "height": 240,
        "data": {"values": values},
        "encoding": {"x": x, "y": y},
        "layer": [
            {"data": {"values": [value for value in values if value["front"]]}, "mark": line},
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 0.9},
                "encoding": {
                    "color": _told_apart("prompt", [each.prompt for each in priced], SERIES),
                    "shape": _told_apart("model", [each.model for each in priced], SHAPES),
                },
            },
        ],
    }
    note = "" if unit == PRICED else " Nothing here has a price, so tokens are shown instead."
    return chart(
        "cost",
        "What better picks cost",
        f"Each pair by {unit} and by captured of {utility}. The dashed line joins the Pareto "
        f"front: the pairs that no other pair beats at the same price or less.{note}",
        body,
        ("pair", unit, "captured", "front"),
        (
            (
                each.name,
                usd(each.paid) if unit == PRICED else f"{each.paid:,.0f}",
                f"{each.captured:.2f}",
                "on the front" if each.front else "beaten",
            )
            for each in priced
        ),
    )


def _told_apart(field: str, names: Iterable[str], marks: Sequence[str]) -> dict[str, Any]:
    domain = list(dict.fromkeys(names))
    scale = {"domain": domain, "range": [marks[n % len(marks)] for n in range(len(domain))]}
    return {"field": field, "type": "nominal", "scale": scale, "legend": {"title": None}}


def _priced(results: RunResults, utility: str, unit: str) -> Iterator[PricedPair]:
    found = []
    for pair in results.pairs:
        captured, paid = pair.agreement[utility].captured, _paid(pair, results.picks, unit)
        if captured is not None and paid is not None:
            found.append(PricedPair(pair.prompt, pair.model, paid, captured.estimate))
    for each in found:
        yield replace(each, front=not _is_beaten(each, found))


def _paid(pair: PairFigures, picks: int, unit: str) -> float | None:
    if not pair.decisions:
        return None
    if unit == PRICED:
        spent = pair.replay_cost_usd
        return None if spent is None else 1000 * spent / (pair.decisions * picks)
    if pair.tokens_in is None or pair.tokens_out is None:
        return None
    return (pair.tokens_in + pair.tokens_out) / pair.decisions


def _is_beaten(one: PricedPair, among: Sequence[PricedPair]) -> bool:
    return any(
        other.paid <= one.paid
        and other.captured >= one.captured
        and (other.paid, other.captured) != (one.paid, one.captured)
        for other in among
    )
