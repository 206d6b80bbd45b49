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
    """The learning rate with the lowest loss per token on the dev items.

    If two rates are equally good, it is the lower one. `losses` holds the loss on the dev items at
    each rate, from the lowest rate on; None where training diverged. `base` is the loss before any
    training. `edge` names the end of the grid if the best rate lies there: try more rates then,
    because a better one may lie beyond. It is None otherwise.
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
    """Train on `items` once with each rate of `grid`, and score the dev items each time.

    All trainings use the config's seed. Keep test items out of `items` and out of `dev`. The
    trainings are kept in `folder`, in one subfolder for each rate, and are not repeated.
    `progress(done, total)` hears how many rates are done.

    Raises UsageError for an empty grid and for dev items that are also in `items`, LossNotFinite
    if every training diverged, and whatever `train` and `score` raise.
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
