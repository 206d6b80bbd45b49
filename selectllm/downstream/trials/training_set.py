"""What students are trained on, so that selectors can be told from chance and from length. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from selectllm.core.codec import seeded_hash
from selectllm.core.errors import UsageError
from selectllm.core.types import Item
from selectllm.downstream.outcomes.training_sets import TrainingSet
from selectllm.downstream.student.adapter import items_sha256
from selectllm.downstream.trials.schema import DRAWN

Role = Literal["selector", "random", "matched", "block"]

RANDOM = "strategy:random"


@dataclass(frozen=True)
class TrialSet:
    """One set that a student is trained on.

    `role`: what a selector chose; a random draw of as many items; random items of about as many
    tokens; or a block of a pass over the pool. `arm`: the selector, DRAWN, or whose tokens a
    matched set has, or the pass. `seed`: of the selection, or the number of the draw.
    """

    arm: str
    role: Role
    seed: int
    items: tuple[Item, ...]

    @cached_property
    def sha256(self) -> str:
        """Of ids and texts in any order: sets with the same one are trained once."""
        return items_sha256(self.items)


def selectors_sets(made: Iterable[TrainingSet], budget: int) -> list[TrialSet]:
    """The sets of one budget; those of the strategy `random` count among the random ones.

    A selector that selects the same with several seeds has one set.
    """
    found: dict[tuple[str, str], TrialSet] = {}
    for each in made:
        if each.budget == budget:
            role: Role = "random" if each.arm == RANDOM else "selector"
            trial = TrialSet(each.arm, role, each.seed, each.items)
            found.setdefault((each.arm, trial.sha256), trial)
    return list(found.values())


def random_sets(items: Sequence[Item], size: int, count: int, seed: int = 0) -> list[TrialSet]:
    """`count` sets of `size` items, each drawn anew from all of `items`.

    The draws do not depend on `count`: more of them begin with the same. Raises UsageError if
    there are fewer items than `size`.
    """
    if size > len(items):
        raise UsageError(
            f"a random set of {size} items cannot be drawn, because there are only {len(items)}"
        )
    return [
        TrialSet(DRAWN, "random", draw, tuple(_shuffled(items, seed, f"draw {draw}")[:size]))
        for draw in range(count)
    ]


def matched_set(
    of: TrialSet, items: Sequence[Item], tokens: Mapping[str, int], seed: int = 0
) -> TrialSet:
    """Random items whose `tokens` (by id) add up to about as many as those of the set `of`.

    So many of a random order that one item more would be farther off: more items than `of` has
    where its items are long, fewer where they are short.
    """
    wanted = sum(tokens[item.id] for item in of.items)
    taken: list[Item] = []
    total = 0
    for item in _shuffled(items, seed, f"matched {of.arm} {of.seed}"):
        after = total + tokens[item.id]
        if taken and after - wanted > wanted - total:
            break
        taken.append(item)
        total = after
    return TrialSet(of.arm, "matched", of.seed, tuple(taken))


def _shuffled(items: Sequence[Item], seed: int, draw: str) -> list[Item]:
    return sorted(items, key=lambda item: (seeded_hash("trial", seed, draw, item.id), item.id))
