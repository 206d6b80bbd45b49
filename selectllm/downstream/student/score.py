"""How well a student predicts the responses of held-out items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from selectllm.core.arrays import Counts, Floats
from selectllm.core.types import Item, Progress
from selectllm.downstream.student.adapter import trained
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.failures import LossNotFinite, memory_errors
from selectllm.downstream.student.frozen_layers import Tally, running
from selectllm.downstream.student.network import Student
from selectllm.downstream.student.template import Cut, cut

BANDS = 3


@dataclass(frozen=True, slots=True)
class Band:
    """The items with more than `above` and at most `up_to` response tokens (None for no limit).

    The losses are those of `ResponseLoss`; they are None if the band has no items.
    """

    above: int
    up_to: int | None
    items: int
    token_weighted: float | None
    per_item: float | None


@dataclass(frozen=True, slots=True, eq=False)
class ResponseLoss:
    """The losses of a student on the responses of some items. Lower is better.

    `nats` (n_items,) holds the negative log-likelihood of each response after its prompt, summed
    over its tokens; the end token counts, too. `tokens` (n_items,) holds the number of these
    tokens. `cut` says what did not fit and was not scored.
    """

    ids: tuple[str, ...]
    nats: Floats
    tokens: Counts
    cut: Cut

    @property
    def token_weighted(self) -> float:
        """The mean over all response tokens, in nats. Long responses count more than short ones."""
        return float(self.nats.sum() / self.tokens.sum())

    @property
    def per_item(self) -> float:
        """The mean over the items of each item's mean over its tokens, in nats.

        A short response counts as much as a long one. This mean may rank training sets differently
        than the mean over all tokens does, so decide on one of them before you see the results.
        """
        return float((self.nats / self.tokens).mean())

    def bands(self, edges: Sequence[int]) -> tuple[Band, ...]:
        """The losses in bands of length, the shortest responses first.

        `edges` are those of `length_edges`. Use the same ones for everything that you compare on
        one test set.
        """
        limits = [0, *edges, None]
        return tuple(self._band(above or 0, up_to) for above, up_to in pairwise(limits))

    def _band(self, above: int, up_to: int | None) -> Band:
        inside = self.tokens > above
        if up_to is not None:
            inside &= self.tokens <= up_to
        if not inside.any():
            return Band(above, up_to, 0, None, None)
        nats, tokens = self.nats[inside], self.tokens[inside]
        mean = float((nats / tokens).mean())
        return Band(above, up_to, len(nats), float(nats.sum() / tokens.sum()), mean)


def length_edges(tokens: Counts, bands: int = BANDS) -> tuple[int, ...]:
    """The response lengths, in tokens, that divide a test set into bands of about equal size."""
    shares = np.arange(1, bands) / bands
    return tuple(int(edge) for edge in np.quantile(tokens, shares, method="inverted_cdf"))


def score(
    student: Student,
    items: Sequence[Item],
    config: StudentConfig,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> ResponseLoss:
    """Compute the loss of each item's response, with the template and `max_length` of training.

    `folder` holds a student that `train` made with this config (its seed, learning rate and epochs
    may differ); None scores the base model. In fast mode the output of the first blocks is kept, so
    that only the first scoring of a test set needs a whole pass. `progress(done, total)` hears how
    many tokens are scored.

    Raises UsageError for items without a response, RunError if the folder does not fit the config,
    ModelError if memory runs out, and LossNotFinite for a broken student.
    """
    examples = student.encode(items, config)
    tally = Tally(progress, sum(len(example.tokens) for example in examples))
    nats = []
    with memory_errors(config), trained(student, config, folder):
        import torch

        with running(student, config, examples, tally) as run, torch.inference_mode():
            for example in examples:
                nats.append(run(example).double().sum().item())
                tally.add(len(example.tokens))
    loss = ResponseLoss(
        tuple(example.id for example in examples),
        np.array(nats),
        np.array([len(example.response) for example in examples]),
        cut(examples),
    )
    _check_finite(loss, student)
    return loss


def _check_finite(loss: ResponseLoss, student: Student) -> None:
    bad = np.flatnonzero(~np.isfinite(loss.nats))
    if len(bad):
        raise LossNotFinite(
            f"student {student.identity}: the loss of item {loss.ids[bad[0]]!r} is "
            f"{loss.nats[bad[0]]}. Its weights are broken. Train again with a lower learning_rate"
        )
