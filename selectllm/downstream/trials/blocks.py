"""Values of single items from students trained on blocks of the pool. Pure.

Every pass divides the whole pool at random into blocks of about the same size, so that each item
is trained on as often as any other. An item's value is the mean gain of its blocks less that of
their passes: what it adds on average to random others (the semivalue of Wang and Jia 2023, Data
Banzhaf, AISTATS, on sets of one size, from every training at once). One pass says little of one
item, and the reliability says how little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from selectllm.core.choices import Aggregation
from selectllm.core.codec import seeded_hash
from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.downstream.trials.gains import Gains
from selectllm.downstream.trials.training_set import TrialSet
from selectllm.utility.annotation.rater_agreement import mean_ratings, reliability
from selectllm.utility.utility import Utility


def blocks(items: Sequence[Item], size: int, passes: int, seed: int = 0) -> list[TrialSet]:
    """The blocks of every pass, `size` items each or one less; the arm is the pass.

    Raises UsageError unless there are at least two blocks in a pass.
    """
    count = -(-len(items) // size)
    if count < 2:
        raise UsageError(
            f"blocks of {size} items are too large for {len(items)} items, because at least "
            f"two blocks are needed. Use at most {len(items) // 2}"
        )
    return [
        TrialSet(f"pass {number}", "block", at, tuple(shuffled[at::count]))
        for number in range(passes)
        for shuffled in [
            sorted(items, key=lambda i: (seeded_hash("block", seed, number, i.id), i.id))
        ]
        for at in range(count)
    ]


def block_values(found: Sequence[Gains], by: Aggregation, *, name: str, student: str) -> Utility:
    """The value of every item, in nats above the mean of its passes; higher is better.

    `found`: the gains on all blocks. `student`: what it is called. The reliability is ICC(1, k),
    with passes as raters (utility/annotation/rater_agreement.py); None for a single pass.
    """
    gains: dict[str, list[float]] = {}
    for each in found:
        gains.setdefault(each.of.arm, []).append(each.value(by))
    mean = {arm: float(np.mean(values)) for arm, values in gains.items()}
    by_item: dict[str, dict[str, float]] = {}
    for each in found:
        above = each.value(by) - mean[each.of.arm]
        for item in each.of.items:
            by_item.setdefault(item.id, {})[each.of.arm] = above
    ratings: Mapping[str, Mapping[str, float]] = by_item
    return Utility(
        name=name,
        source="student",
        kind="outcome",
        values=mean_ratings(ratings),
        rater=f"{student}, {len(mean)} passes",
        reliability=reliability(ratings),
    )
