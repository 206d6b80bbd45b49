"""The heat map: captured by prompt and model with intervals, and the controls on the same scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

from selectllm.evaluation.runs.schema import RunResults, RunUtility
from selectllm.report.wording import ceiling, named, rate, usd
from selectllm.stats.interval import Interval

SHADES = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """A captured figure. `shade`: a class of the style: p0 to p5 above 0, m0 to m5 below it.

    `sure`: whether the interval leaves 0 out. `beside`: what else is to be known of the pair.
    """

    estimate: str
    interval: str
    shade: str
    sure: bool
    beside: str = ""


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A prompt with a cell for every model (None: not in the run), or a control with one cell."""

    name: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """What of one utility was captured. `trust`: how far the utility itself can be trusted."""

    utility: str
    trust: str
    models: tuple[str, ...]
    prompts: tuple[MatrixRow, ...]
    controls: tuple[MatrixRow, ...]


def matrices(results: RunResults, deciding: str | None) -> tuple[Matrix, ...]:
    """One for every utility, the one that decides first."""
    ordered = sorted(results.utilities, key=lambda utility: utility.name != deciding)
    return tuple(_matrix(results, utility) for utility in ordered)


def _matrix(results: RunResults, utility: RunUtility) -> Matrix:
    pairs = {(pair.prompt, pair.model): pair for pair in results.pairs}
    models = tuple(dict.fromkeys(model for _, model in pairs))
    rows = []
    for prompt in dict.fromkeys(prompt for prompt, _ in pairs):
        cells = []
        for model in models:
            pair = pairs.get((prompt, model))
            beside = (
                ""
                if pair is None
                else f"valid {rate(pair.valid_rate)}, {_cost(pair.replay_cost_usd)}"
            )
            cells.append(
                None if pair is None else _cell(pair.agreement[utility.name].captured, beside)
            )
        rows.append(MatrixRow(prompt, tuple(cells)))
    controls = [
        MatrixRow("random", (_given(0),)),
        *(
            MatrixRow(each.strategy, (_cell(each.agreement[utility.name].captured),))
            for each in results.strategies
            if each.strategy != "random"
        ),
        MatrixRow("best possible", (_given(1),)),
    ]
    trust = f"{named(utility)}; ceiling {ceiling(utility)}"
    return Matrix(utility.name, trust, models, tuple(rows), tuple(controls))


def _cost(value: float | None) -> str:
    return "not priced" if value is None else f"{usd(value)} USD"


def _cell(captured: Interval | None, beside: str = "") -> Cell:
    if captured is None:
        return Cell("-", "unknown", "p0", False, beside)
    bounded = max(-1.0, min(1.0, captured.estimate))
    shade = f"{'p' if bounded >= 0 else 'm'}{round(abs(bounded) * SHADES)}"
    sure = captured.low > 0 or captured.high < 0
    interval = f"{captured.low:z.2f} to {captured.high:z.2f}"
    return Cell(f"{captured.estimate:z.2f}", interval, shade, sure, beside)


def _given(captured: float) -> Cell:
    cell = _cell(Interval(captured, captured, captured))
    return replace(cell, interval="by definition", sure=True)
