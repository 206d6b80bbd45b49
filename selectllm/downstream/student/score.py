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
    """Items with more than `above` and up to `up_to` response tokens (None: any number).

    The losses are as in `ResponseLoss`, None for a band without items.
    """

    above: int
    up_to: int | None
    items: int
    token_weighted: float | None
    per_item: float | None


@dataclass(frozen=True, slots=True, eq=False)
class ResponseLoss:
    """What the responses of some items cost a student; lower is better.

    `nats` (n_items,): negative log-likelihood of each response after its prompt, summed over its
    tokens, its end token among them. `tokens` (n_items,): how many those are. `cut`: what did not
    fit and was not scored.
    """

    ids: tuple[str, ...]
    nats: Floats
    tokens: Counts
    cut: Cut

    @property
    def token_weighted(self) -> float:
        """Mean over all response tokens, in nats: long responses count more."""
        return float(self.nats.sum() / self.tokens.sum())

    @property
    def per_item(self) -> float:
        """Mean over items of their mean over tokens, in nats: a short response counts as much.

        It ranks training sets unlike the mean over tokens does; name one before you look.
        """
        return float((self.nats / self.tokens).mean())

    def bands(self, edges: Sequence[int]) -> tuple[Band, ...]:
        """The losses by length of the response, shortest first; `edges` as `length_edges` gives.

        Take the edges of one test set for everything that is compared on it.
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
    """The numbers of response tokens that part a test set into bands of about as many items."""
    shares = np.arange(1, bands) / bands
    return tuple(int(edge) for edge in np.quantile(tokens, shares, method="inverted_cdf"))


def score(
    student: Student,
    items: Sequence[Item],
    config: StudentConfig,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> ResponseLoss:
    """The loss of each item's response, as training saw it: same template, same `max_length`.

    `folder`: a student that `train` made with this config, whatever its seed, rate and epochs;
    None is the base model. In fast mode what the first blocks make of the items is kept, so that
    only the first scoring of a test set costs a whole pass. `progress(done, total)` counts tokens.

    Raises UsageError for items without a response, RunError if the folder does not fit, ModelError
    if memory runs out, LossNotFinite for a broken student.
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
