"""Successive halving: which settings of a prompt are asked on how many clusters. Pure.

All settings are asked on a few clusters; the better half of them goes on to more, and so on, until
few enough are left to be confirmed. The default one goes on beside them, since it is what the
others are held against. What each round may cost is the same, so that the fewer settings are left,
the better each is known. Who goes on is decided by captured on all clusters asked so far; among
equals by how little a setting changes.

Karnin, Koren and Somekh, Almost optimal exploration in multi-armed bandits (ICML 2013); Jamieson
and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization (AISTATS
2016). Theirs ends with one arm; ours with FINALISTS, since the confirmation decides.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from selectllm.core.codec import seeded_hash
from selectllm.core.errors import UsageError

FINALISTS = 3
"""Settings that are left in the end, beside the default one."""
DEFAULT = 0
"""The number of the setting in which every variable has its default."""
LEAST = 5
"""Clusters on which every setting is asked in round one, however small the budget."""
DIGITS = 9  # captured that differs by less is the same but for rounding
USUAL = 10
"""As many at least unless told otherwise: effects are estimated on them."""


@dataclass(frozen=True, slots=True)
class SearchRound:
    """`settings`: how many are asked. `clusters`: how many each is asked on that are new to it."""

    settings: int
    clusters: int

    @property
    def decisions(self) -> int:
        """What the round takes."""
        return self.settings * self.clusters


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rounds of a search, known before it begins."""

    rounds: tuple[SearchRound, ...]

    @property
    def decisions(self) -> int:
        """What all rounds take."""
        return sum(each.decisions for each in self.rounds)

    @property
    def kept(self) -> tuple[int, ...]:
        """How many settings are left after each round, the default one not counted."""
        later = [each.settings - 1 for each in self.rounds[1:]]
        return *later, min(FINALISTS, self.rounds[-1].settings - 1)


def default_budget(settings: int, clusters: int) -> int:
    """Decisions of a search unless told otherwise.

    The least that lets halving end on all `clusters`, with USUAL of them in round one.
    """
    sizes = _sizes(settings, cut=2)
    share = settings * USUAL  # of each round
    while sum(share // size for size in sizes) < clusters:
        share += 1
    return share * len(sizes)


def schedule(settings: int, clusters: int, budget: int) -> Schedule:
    """The rounds in which `settings` are searched on `clusters` with at most `budget` decisions.

    With a small budget there are fewer rounds, and more settings are dropped at once. With a large
    one the search ends when all clusters are asked. Raises UsageError if the budget is too small
    for the first round, and ValueError for fewer than LEAST clusters.
    """
    if clusters < LEAST:
        raise ValueError(f"need {LEAST} clusters or more, got {clusters}")
    if budget < settings * LEAST:
        raise UsageError(
            f"--budget {budget}: one round of all {settings} settings takes {settings * LEAST} "
            f"decisions, {LEAST} clusters each. Allow {settings * LEAST} or more, or declare fewer "
            "values of the prompt's variables"
        )
    cuts = (_sizes(settings, cut) for cut in itertools.count(2))
    sizes = next(found for found in cuts if budget // (len(found) * settings) >= LEAST)
    return Schedule(tuple(_rounds(sizes, clusters, budget)))


def _sizes(settings: int, cut: int) -> list[int]:
    """Settings in each round, if one of every `cut` goes on, and the default one beside them."""
    sizes = [settings - 1]
    while (size := max(FINALISTS, -(-sizes[-1] // cut))) < sizes[-1] and size > FINALISTS:
        sizes.append(size)
    return [size + 1 for size in sizes]


def _rounds(sizes: Sequence[int], clusters: int, budget: int) -> Iterator[SearchRound]:
    """The rounds, an equal share of the budget each, until all clusters are asked."""
    for number, size in enumerate(sizes):
        share = budget // (len(sizes) - number)
        made = SearchRound(size, min(share // size, clusters))
        if made.clusters == 0:
            return
        yield made
        budget -= made.decisions
        clusters -= made.clusters


def ranked(captured: Mapping[int, float], changes: Sequence[int], seed: int) -> list[int]:
    """The settings (by number) but the default, best first.

    `captured`: on the same clusters. `changes`: of each setting, how many variables have another
    value than by default. Among those that captured the same, to DIGITS decimals, the fewest
    changes come first, then the order is drawn by `seed`.
    """

    def place(number: int) -> tuple[float, int, int]:
        drawn = seeded_hash("grid", seed, number)
        return -round(captured[number], DIGITS), changes[number], drawn

    return sorted(captured.keys() - {DEFAULT}, key=place)
