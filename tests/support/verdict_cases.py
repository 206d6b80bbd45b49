"""Runs for the tests of verdicts, made from arrays: utilities by cluster and item, and picks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from selectllm.core.arrays import Floats
from selectllm.core.types import Cluster, Decision, Status
from selectllm.evaluation.comparison.ab import ab
from selectllm.evaluation.comparison.arm_results import ArmResult, arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign, RunInputs
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.suite_entries import Gate
from selectllm.stats.interval import Interval
from selectllm.stats.paired import Paired
from selectllm.utility.utility import Utility

Picks = Sequence[Sequence[int]]
"""By cluster, the columns picked."""

A, B, C = (Arm(f"p@{version}", "m") for version in (1, 2, 3))
AB = ComparisonDesign("ab", (A, B))
CLOSE: Mapping[str, Any] = {"rel": 1e-9, "abs": 1e-12}
EVEN = 0.5  # G of random picks in clusters whose utilities lie evenly


def item_id(cluster: int, column: int) -> str:
    """The items of cluster 3 are 003-0, 003-1, ..."""
    return f"{cluster:03}-{column}"


def evidence_from(utilities: npt.ArrayLike, k: int, /, **changes: Any) -> RunInputs:
    """A run on utilities of shape (n clusters, items), k picks each; an `ab` unless changed."""
    values = np.asarray(utilities, dtype=np.float64)
    ids = [
        [item_id(row, column) for column in range(values.shape[1])] for row in range(len(values))
    ]
    by_id = dict(zip(np.ravel(ids).tolist(), values.ravel().tolist(), strict=True))
    made = RunInputs(
        suite="made-up",
        picks=k,
        orders=1,
        clusters=tuple(Cluster(row, tuple(members)) for row, members in enumerate(ids)),
        utilities=(Utility("u", "ratings", "human", by_id),),
        pairs=tuple((arm.prompt or "", arm.model or "") for arm in (A, B, C)),
        prompts={"p@1": "1" * 64, "p@2": "2" * 64, "p@3": "3" * 64},
        specs={"m": {"id": "mock/m"}},
        strategies=(),
        gate=Gate(),
        comparison=AB,
    )
    return replace(made, **changes)


def decision(
    cluster: Cluster,
    picks: Iterable[str],
    *,
    arm: Arm = A,
    order: int = 0,
    repeat: int = 0,
    status: Status = "ok",
) -> Decision:
    return Decision(
        cluster=cluster.id,
        order=order,
        repeat=repeat,
        round=0,
        shown=cluster.members,
        picks=tuple(picks),
        status=status,
        prompt=arm.prompt,
        model=arm.model,
    )


def apart(count: int, n: int) -> set[int]:
    """So many of n clusters, equally spaced."""
    return {position * n // count for position in range(count)}


def decisions_of(inputs: RunInputs, arm: Arm, picks: Picks, silent: int = 0) -> list[Decision]:
    """An arm's decisions on all clusters; in `silent` of them, far apart, no reply was valid."""
    without = apart(silent, len(inputs.clusters))
    return [
        decision(cluster, (), arm=arm, status="invalid")
        if row in without
        else decision(cluster, [cluster.members[column] for column in picks[row]], arm=arm)
        for row, cluster in enumerate(inputs.clusters)
    ]


@dataclass(frozen=True)
class Case:
    """A run's evidence with the decisions of its arms."""

    inputs: RunInputs
    decisions: tuple[Decision, ...]

    @classmethod
    def of(cls, utilities: npt.ArrayLike, /, *picks: Picks, **changes: Any) -> Case:
        """The arms A, B, C with their picks, as many as are given."""
        inputs = evidence_from(utilities, len(picks[0][0]), **changes)
        made = [decisions_of(inputs, *each) for each in zip((A, B, C), picks, strict=False)]
        return cls(inputs, tuple(each for arm in made for each in arm))

    @property
    def arm_results(self) -> dict[Arm, ArmResult]:
        return arm_results(self.inputs, self.decisions)

    def where(self, **changes: Any) -> Case:
        """The same decisions with other evidence."""
        return replace(self, inputs=replace(self.inputs, **changes))

    def first(self, clusters: int) -> Case:
        """What it was when only its first clusters had been asked."""
        part = self.inputs.first(clusters)
        return Case(part, tuple(d for d in self.decisions if d.cluster in set(part.order)))


def verdict_of(case: Case) -> Verdict:
    """What `ab` says of the second arm."""
    return ab(case.inputs, case.arm_results)[0]


def skilled(utilities: Floats, skill: float, k: int, seed: int) -> Picks:
    """The k best by scores that are the utilities (sd about 1) plus noise; 1 is the best picks."""
    noise = np.random.default_rng(seed).normal(size=utilities.shape)
    scores = skill * utilities + np.sqrt(1 - skill**2) * noise
    picked: Picks = np.argsort(-scores, axis=1, kind="stable")[:, :k].tolist()
    return picked


def simulated(n: int, *skills: float, seed: int = 0, **changes: Any) -> Case:
    """`n` clusters of 6 normal utilities, 2 picks, and an arm of each skill."""
    utilities = np.random.default_rng(seed).normal(size=(n, 6))
    picks = [skilled(utilities, skill, 2, 1000 * seed + arm) for arm, skill in enumerate(skills, 1)]
    return Case.of(utilities, *picks, **changes)


def even(n: int) -> Floats:
    """Clusters of utilities 0, 1, 2, 3, 4: of one pick G is its utility / 4, and r is EVEN."""
    return np.tile(np.arange(5.0), (n, 1))


def differences(values: npt.ArrayLike, headroom: float = 1.0, **changes: Any) -> Paired:
    """Paired differences whose clusters all leave the same headroom."""
    d = np.asarray(values, dtype=np.float64)
    return Paired(d, np.full(len(d), headroom), **changes)


def ends(interval: Interval | None) -> tuple[float, float, float]:
    """Estimate, low, high of an interval that must be there."""
    assert interval is not None
    return interval.estimate, interval.low, interval.high
