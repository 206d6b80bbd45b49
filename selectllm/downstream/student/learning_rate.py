"""The learning rate, chosen on a dev split so that the test items have no say in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from selectllm.core.errors import UsageError
from selectllm.core.types import Item, Progress
from selectllm.data.leakage import check_no_leak
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.failures import LossNotFinite
from selectllm.downstream.student.network import Student
from selectllm.downstream.student.score import ResponseLoss, score
from selectllm.downstream.student.training import train

GRID = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)


@dataclass(frozen=True, slots=True)
class RateChoice:
    """The learning rate with the lowest token-weighted dev loss; the lower rate among equals.

    `losses`: on the dev items by rate, lowest rate first; None where training diverged. `base`:
    before any training. `edge`: the end of the grid at which the best rate lies: a better one may
    lie beyond, so widen the grid. None inside it.
    """

    rate: float
    losses: Mapping[float, ResponseLoss | None]
    base: ResponseLoss
    edge: Literal["lowest", "highest"] | None

    @property
    def helps(self) -> bool:
        """Whether training at the chosen rate beats no training, on the dev items."""
        best = self.losses[self.rate]
        return best is not None and best.token_weighted < self.base.token_weighted


def rate_folder(folder: Path, rate: float) -> Path:
    """Where `choose_learning_rate` keeps the training at a rate."""
    return folder / f"rate-{rate:g}"


def choose_learning_rate(
    student: Student,
    items: Sequence[Item],
    dev: Sequence[Item],
    config: StudentConfig,
    folder: Path,
    *,
    grid: Sequence[float] = GRID,
    progress: Progress | None = None,
) -> RateChoice:
    """Train on `items` once per rate of `grid`, with the config's seed, and score `dev`.

    Keep test items out of both. Trainings are kept in `folder`, one subfolder a rate, and are not
    repeated. `progress(done, total)` counts rates.

    Raises UsageError for an empty grid and for dev items that are also in `items`, LossNotFinite
    if every training diverged, and what `train` and `score` raise.
    """
    rates = sorted(set(grid))
    if not rates:
        raise UsageError("student: the grid holds no learning rates. Give at least two")
    check_no_leak(dev, items)
    base = score(student, dev, config)
    losses: dict[float, ResponseLoss | None] = {}
    for rate in rates:
        tried = replace(config, learning_rate=rate)
        losses[rate] = _dev_loss(student, items, dev, tried, rate_folder(folder, rate))
        if progress is not None:
            progress(len(losses), len(rates))
    best = _best(losses)
    edge: Literal["lowest", "highest"] | None = None
    if best in (rates[0], rates[-1]):
        edge = "highest" if best == rates[-1] else "lowest"
    return RateChoice(best, losses, base, edge)


def _dev_loss(
    student: Student,
    items: Sequence[Item],
    dev: Sequence[Item],
    config: StudentConfig,
    folder: Path,
) -> ResponseLoss | None:
    """None if training diverged."""
    try:
        train(student, items, config, folder)
        return score(student, dev, config, folder)
    except LossNotFinite:
        return None


def _best(losses: Mapping[float, ResponseLoss | None]) -> float:
    known = {rate: loss.token_weighted for rate, loss in losses.items() if loss is not None}
    if not known:
        raise LossNotFinite(
            f"student: training diverged at every learning rate of {sorted(losses)}. Try lower ones"
        )
    return min(known, key=lambda rate: (known[rate], rate))
