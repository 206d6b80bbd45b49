"""What a student is trained with: one frozen record, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from selectllm.core.choices import LANGUAGE_MODEL
from selectllm.core.errors import UsageError

Mode = Literal["fast", "full"]

SHORTEST = 32  # tokens of an example, at least


@dataclass(frozen=True, slots=True)
class StudentConfig:
    """How a causal language model is fine-tuned, the same for every set that is compared.

    `model` is `local/NAME`, a folder, or NAME[@REVISION] on the hub. `mode` says what is trained:
    "full" adapts every block. "fast" runs all but the last `blocks` once for each item, keeps what
    comes out, and adapts the last ones. That is a real fine-tuning of a smaller adapter, and costs
    a quarter as much per token. `rank` and `alpha` are those of LoRA (Hu et al. 2021, arXiv
    2106.09685): the update is scaled by alpha / rank. `epochs` is the number of passes over the
    items, and `batch_size` the number of items in a step. `learning_rate` is the rate of the first
    step, from which it falls to 0 in a straight line. Choose it on a dev split with
    `choose_learning_rate`; the default is low: after 2 epochs of 40 short items of Dolly in fast
    mode, 4e-3 and 8e-3 had gained more. `max_length` is the number of tokens that an example may
    have (see `template`). `seed` decides the order of the items and how the adapter begins.

    Raises UsageError for a value out of range.
    """

    model: str = LANGUAGE_MODEL
    mode: Mode = "fast"
    rank: int = 8
    alpha: int = 16
    blocks: int = 4
    epochs: int = 2
    batch_size: int = 8
    learning_rate: float = 2e-3
    max_length: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise UsageError(
                f"student: `mode` must be fast or full, not {self.mode!r}", argument="mode"
            )
        lowest = {"rank": 1, "alpha": 1, "blocks": 1, "epochs": 1, "batch_size": 1}
        for name, least in (lowest | {"max_length": SHORTEST, "seed": 0}).items():
            if getattr(self, name) < least:
                raise UsageError(
                    f"student: `{name}` must be at least {least}, not {getattr(self, name)}",
                    argument=name,
                )
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(
                f"student: `learning_rate` must be a number above 0, not {self.learning_rate}",
                argument="learning_rate",
            )


NEW_TOKENS = 128


def check_new_tokens(new_tokens: int, config: StudentConfig) -> None:
    """Raise UsageError if answers of so many tokens leave less than 32 tokens for a prompt."""
    most = config.max_length - SHORTEST
    if not 1 <= new_tokens <= most:
        raise UsageError(
            f"student: new_tokens must be from 1 to {most}, not {new_tokens}. For more, "
            "raise max_length"
        )
