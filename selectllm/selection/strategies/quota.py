"""How many picks each group gets, and any strategy held to such a quota. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import numpy as np

from selectllm.core.arrays import Ints
from selectllm.core.codec import seeded_hash
from selectllm.core.names import listed
from selectllm.core.shown import counted
from selectllm.selection.strategies.candidates import Candidates
from selectllm.selection.strategies.columns import value_of
from selectllm.selection.strategies.strategy import Strategy


def apportion(
    weights: Sequence[float], sizes: Sequence[int], n: int, ties: Sequence[int]
) -> tuple[int, ...]:
    """How many of n each group gets: in proportion to its weight, never more than its size.

    By largest remainders (Hamilton's method): n times the group's share of all weights, rounded
    down, and one more for the groups with the largest remainders; equal remainders go by `ties`,
    lowest first. A group whose share is its size or more gives all it has, and the rest is divided
    among the others by the same rule. `weights`: above 0. Needs 0 <= n <= sum of sizes.
    """
    shares = [0] * len(sizes)
    open_groups = [group for group, size in enumerate(sizes) if size]
    left = n
    while True:
        total = sum((Fraction(weights[group]) for group in open_groups), Fraction(0))
        quota = {group: left * Fraction(weights[group]) / total for group in open_groups}
        full = [group for group in open_groups if quota[group] >= sizes[group]]
        if not full:
            break
        for group in full:
            shares[group] = sizes[group]
            left -= sizes[group]
        open_groups = [group for group in open_groups if group not in full]
    for group in open_groups:
        shares[group] = int(quota[group])
    rest = left - sum(shares[group] for group in open_groups)
    remainders = sorted(open_groups, key=lambda g: (shares[g] - quota[g], ties[g]))
    for group in remainders[:rest]:
        shares[group] += 1
    return tuple(shares)


@dataclass(frozen=True, slots=True)
class Quota:
    """The groups of some candidates by a column. `members`: positions, by the group's name."""

    members: Mapping[str, Ints]

    @classmethod
    def of(cls, candidates: Candidates, column: str) -> Quota:
        """The groups in the order of their names."""
        names = np.array([value_of(item, column) for item in candidates.items], dtype=object)
        return cls({name: np.flatnonzero(names == name) for name in sorted(set(names.tolist()))})

    def shares(self, weights: Sequence[float], n: int, seed: int) -> Mapping[str, int]:
        """How many of n each group gets by `apportion`; ties by hash(seed, name)."""
        ties = [seeded_hash("quota", seed, name) for name in self.members]
        sizes = [len(positions) for positions in self.members.values()]
        return dict(zip(self.members, apportion(weights, sizes, n, ties), strict=True))

    def proportional(self, n: int, seed: int) -> Mapping[str, int]:
        """In proportion to how many candidates each group has."""
        return self.shares([len(positions) for positions in self.members.values()], n, seed)

    def equal(self, n: int, seed: int) -> Mapping[str, int]:
        """The same for every group, as far as it has as many."""
        return self.shares([1] * len(self.members), n, seed)


def per_column(strategy: Strategy, column: str, name: str, *, equal: bool = False) -> Strategy:
    """`strategy` inside each group of items that share a value of `column`, called `name`.

    The number of picks is divided by `apportion`: in proportion to the sizes of the groups, or the
    same for each. Picks of the groups alternate, so that the first few are divided alike.
    """
    divide = Quota.equal if equal else Quota.proportional

    def pick(candidates: Candidates, n: int) -> list[int]:
        quota = Quota.of(candidates, column)
        shares = divide(quota, n, candidates.seed)
        picks: list[tuple[float, int, int]] = []
        for number, (group, positions) in enumerate(quota.members.items()):
            if share := shares[group]:
                inside = strategy.choose(candidates.only(positions), share)
                picks += [
                    ((at + 0.5) / share, number, int(positions[position]))
                    for at, position in enumerate(inside)
                ]
        return [position for _, _, position in sorted(picks)]

    return replace(
        strategy,
        name=name,
        pick=pick,
        ranks=False,
        analytic=False,
        descending=False,
        ascending=False,
        columns=(*strategy.columns, column),
        told=partial(_told, column, divide),
    )


Divide = Callable[[Quota, int, int], Mapping[str, int]]
"""(quota, n, seed) -> how many of n each group gets."""


def _told(column: str, divide: Divide, candidates: Candidates, n: int) -> Sequence[str]:
    """Which groups are too small for what others would expect of them."""
    quota = Quota.of(candidates, column)
    shares = divide(quota, n, candidates.seed)
    most = max(shares.values())
    none = [group for group, share in shares.items() if not share]
    short = [
        group
        for group, share in shares.items()
        if divide is Quota.equal and share == len(quota.members[group]) < most
    ]
    told = []
    if none:
        get = "gets" if len(none) == 1 else "get"
        told.append(
            f"Of {len(shares)} groups by {column}, {len(none)} {get} none of the "
            f"{counted(n, 'pick')}: {listed(none)}. A larger budget gives them some."
        )
    if short:
        told.append(
            f"Of {len(shares)} groups by {column}, {len(short)} have fewer items than an equal "
            f"share, so all of theirs are picked and the others give more: {listed(short)}."
        )
    return told
