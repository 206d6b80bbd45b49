"""A strategy of the user's own, `module:attr`: its mistakes become our errors."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from selectllm.core.errors import UsageError
from selectllm.core.plugins import Port, calling, find
from selectllm.selection.scorers.own import OwnScorer
from selectllm.selection.strategies.candidates import Candidates
from selectllm.selection.strategies.strategy import Pick, Score, Strategy


def own_strategy(name: str, known: Mapping[str, Strategy | None], base: Path | None) -> Strategy:
    """The strategy of the user's own that `name` refers to, under that name.

    `known`: what else it could have meant. Its `pick` is held to what a pick is, whatever it gives.
    Raises UsageError for what cannot be used.
    """
    port: Port[Strategy] = Port(
        what="strategy",
        kind="Strategy",
        contract="selectllm.Strategy",
        is_one=lambda one: isinstance(one, Strategy),
        known={form: strategy for form, strategy in known.items() if strategy is not None},
        forms=tuple(form for form, strategy in known.items() if strategy is None),
    )
    plugin = find(port, name, base)
    strategy = plugin.object
    scorer = strategy.scorer
    return replace(
        strategy,
        name=name,
        pick=_held(name, strategy.pick),
        score=strategy.score and _held_score(name, strategy.score),
        analytic=False,
        scorer=None if scorer is None else OwnScorer(name, scorer, plugin.code_sha256),
        code_sha256=plugin.code_sha256,
    )


def held(strategy: Strategy) -> Strategy:
    """A Strategy object of the user's, whose `pick` and `score` are held to what they are."""
    return replace(
        strategy,
        pick=_held(strategy.name, strategy.pick),
        score=strategy.score and _held_score(strategy.name, strategy.score),
    )


def _held(name: str, pick: Pick) -> Pick:
    """`pick`, or a UsageError for what is no pick of n different candidates."""

    def picked(candidates: Candidates, n: int) -> list[int]:
        with calling(f"strategy {name}"):
            positions = [operator.index(position) for position in pick(candidates, n)]
        last = len(candidates.items) - 1
        if len(positions) != n or len({*positions}) < n or not {*positions} <= {*range(last + 1)}:
            raise UsageError(
                f"strategy {name}: pick gave {positions[:10]!r}. Of {last + 1} candidates it picks "
                f"{n} different positions from 0 to {last}"
            )
        return positions

    return picked


def _held_score(name: str, score: Score) -> Score:
    """`score`, or a UsageError for what is no finite number for each candidate."""

    def scored(candidates: Candidates) -> list[float]:
        with calling(f"strategy {name}"):
            numbers = [float(number) for number in score(candidates)]
        if len(numbers) != len(candidates.items) or not all(map(math.isfinite, numbers)):
            raise UsageError(
                f"strategy {name}: score gave {numbers[:10]!r}. It gives a finite number for each "
                f"of {len(candidates.items)} candidates"
            )
        return numbers

    return scored
