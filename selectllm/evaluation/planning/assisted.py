"""How many ratings people still have to give where a judge helps them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from selectllm.evaluation.planning.pilot import Pilot
from selectllm.evaluation.planning.reach import POWER
from selectllm.evaluation.planning.schema import (
    AssistedBill,
    CorrelationSource,
    PlannedPower,
    PlannedSpread,
    RatingsBill,
)
from selectllm.evaluation.runs.run import Run
from selectllm.stats.assisted import AssistedPaired, random_correlation, rated_needed
from selectllm.stats.power import clusters_needed
from selectllm.utility.utility import Utility

ASSUMED = 0.5
"""Correlation of the judge's d with people's, where nobody has measured it."""


def assisted_bill(
    run: Run,
    pilot: Pilot | None,
    spread: PlannedSpread,
    power: PlannedPower,
    *,
    raters: int,
    rating_cost: float | None,
) -> AssistedBill | None:
    """What people have to rate to find the margin; None without a judge, and with groups.

    Of clusters in groups, what the judge takes off their common error is not foretold.
    """
    human, judge = run.headline, run.inputs.judge
    if human is None or judge is None or run.inputs.groups is not None:
        return None
    clusters = [c.members for c in run.clusters if len(c.members) > run.suite.picks]
    correlation, source = _correlation(run, pilot, clusters, human, judge)
    rated = sum(all(member in human.values for member in members) for members in clusters)

    def alone(sd: float) -> int:
        extreme = 1 / spread.scale
        return clusters_needed(
            power.margin, sd, power.alpha, power=POWER, sides=power.sides, extreme=extreme
        )

    wanted = rated_needed(alone, spread.sd, correlation, len(clusters))
    size = sum(map(len, clusters)) / len(clusters)
    left = math.ceil(max(0, (len(clusters) if wanted is None else wanted) - rated) * size)
    bill = RatingsBill(
        items=left,
        ratings=left * raters,
        usd=None if rating_cost is None else left * raters * rating_cost,
    )
    return AssistedBill(
        **dict(bill),
        judge=judge.name,
        correlation=correlation,
        source=source,
        rated=rated,
        wanted=wanted,
        alone=alone(spread.sd),
        judged=len(clusters),
    )


def _correlation(
    run: Run,
    pilot: Pilot | None,
    clusters: Sequence[Sequence[str]],
    human: Utility,
    judge: Utility,
) -> tuple[float, CorrelationSource]:
    """As in the pilot, else of random picks in the clusters that people rated, else assumed."""
    paired = None if pilot is None else pilot.paired()
    if isinstance(paired, AssistedPaired) and paired.mean.correlation is not None:
        return paired.mean.correlation, "pilot"
    rated = [members for members in clusters if all(m in human.values for m in members)]
    both = (
        tuple(np.array([utility.values[m] for m in members]) for utility in (human, judge))
        for members in rated
    )
    found = random_correlation(((ours, theirs) for ours, theirs in both), run.suite.picks)
    return (ASSUMED, "assumption") if found is None else (found, "random picks")
