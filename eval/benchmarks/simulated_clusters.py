"""Made-up clusters in which selectors pick with a skill that is known.

A cluster has candidates with utilities drawn from N(0, 1), or ratings from 1 to 5 cut from such.
A selector scores a candidate by skill * u + sqrt(1 - skill^2) * noise, so that its skill is the
correlation of its scores with the utilities, and picks the k best scored. All selectors of a
cluster share a part of the noise: two prompts err alike. With 14 candidates, 3 picks, half of the
noise shared and a skill of 0.4, picks capture 0.39, and d has a standard deviation of 0.21.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt

from selectllm.core.arrays import Floats, Ints
from selectllm.core.types import Cluster, Decision
from selectllm.evaluation.comparison.arm_results import ArmResult, arm_result_of
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.baseline import Baseline, Entry
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign, RunInputs
from selectllm.evaluation.suite_entries import Gate
from selectllm.stats.paired import Paired
from selectllm.stats.power import threshold
from selectllm.utility.utility import Utility

RATINGS = (1.0, 5.0)
BLOCK = 100_000  # clusters in memory at once
GRID = np.linspace(0.2, 0.8, 13)
PILOT = 500_000  # clusters from which skills are read


@dataclass(frozen=True, slots=True)
class Lab:
    """How clusters are made up. `shared`: the part of the noise's variance that is common."""

    size: int = 14
    picks: int = 3
    shared: float = 0.5
    rated: bool = False


@dataclass(frozen=True)
class Clusters:
    """`utilities`: shape (n, size), ascending. `picked`: per selector its columns, ascending."""

    lab: Lab
    utilities: npt.NDArray[np.float32]
    picked: tuple[Ints, ...]

    def __len__(self) -> int:
        return len(self.utilities)

    @property
    def lowest(self) -> Floats:
        """U_, the sum of the worst picks."""
        lowest: Floats = self.utilities[:, : self.lab.picks].sum(axis=1, dtype=np.float64)
        return lowest

    @cached_property
    def span(self) -> Floats:
        """U* - U_."""
        best = self.utilities[:, -self.lab.picks :].sum(axis=1, dtype=np.float64)
        span: Floats = best - self.lowest
        return span

    @property
    def totals(self) -> Floats:
        """U(S) of every selector, shape (selectors, n)."""
        sums = [
            np.take_along_axis(self.utilities, columns, 1).sum(axis=1, dtype=np.float64)
            for columns in self.picked
        ]
        return np.array(sums)

    @property
    def chance(self) -> Floats:
        """r, the range capture that random picks expect."""
        means = self.utilities.mean(axis=1, dtype=np.float64)
        chance: Floats = (self.lab.picks * means - self.lowest) / self.span
        return chance

    @property
    def unlike(self) -> Ints:
        """The number of items that exactly one of the first two selectors picked."""
        a, b = self.picked[:2]
        both = (a[:, :, None] == b[:, None, :]).sum(axis=(1, 2))
        unlike: Ints = 2 * (self.lab.picks - both)
        return unlike


def draw(lab: Lab, skills: Sequence[float], n: int, rng: np.random.Generator) -> Clusters:
    """Clusters with a selector of each skill; those with one utility for all items are left out."""
    shape = (n, lab.size)
    latent = np.sort(rng.standard_normal(shape, dtype=np.float32), axis=1)
    common = rng.standard_normal(shape, dtype=np.float32) * np.float32(math.sqrt(lab.shared))
    own_part = np.float32(math.sqrt(1 - lab.shared))
    picked = []
    for skill in skills:
        noise = common + own_part * rng.standard_normal(shape, dtype=np.float32)
        scores = np.float32(skill) * latent + np.float32(math.sqrt(1 - skill**2)) * noise
        first = lab.size - lab.picks
        picked.append(np.sort(np.argpartition(scores, first, axis=1)[:, first:], axis=1))
    utilities = np.clip(np.round(3 + latent), *RATINGS) if lab.rated else latent
    told = utilities[:, 0] < utilities[:, -1]
    return Clusters(lab, utilities[told], tuple(columns[told] for columns in picked))


@dataclass(frozen=True)
class Trials:
    """Replicates of a comparison of two selectors, every array of shape (replicates, n).

    `a`, `b`: G of each. `chance`: r. `points`: U(S_b) - U(S_a). `unlike`: the number of items that
    exactly one of the two picked.
    """

    a: Floats
    b: Floats
    chance: Floats
    points: Floats
    unlike: Floats

    @classmethod
    def of(cls, clusters: Clusters) -> Trials:
        """One replicate, of all these clusters."""
        return cls(*_measured(clusters)[:, None])

    def __len__(self) -> int:
        return len(self.a)

    def paired(self, replicate: int, n: int) -> Paired:
        """Selector b against a in the first n clusters of a replicate."""
        d = self.b[replicate, :n] - self.a[replicate, :n]
        return Paired(d, 1 - self.chance[replicate, :n])

    @property
    def sd(self) -> float:
        """Standard deviation of d over clusters, in captured units."""
        return float(np.std(self.b - self.a) / np.mean(1 - self.chance))


def trials(
    lab: Lab, skills: tuple[float, float], shape: tuple[int, int], rng: np.random.Generator
) -> Trials:
    """Replicates of two selectors. `shape`: (replicates, clusters in each)."""
    wanted = math.prod(shape)
    blocks: list[Floats] = []
    while (missing := wanted - sum(block.shape[1] for block in blocks)) > 0:
        blocks.append(_measured(draw(lab, skills, min(BLOCK, missing), rng)))
    return Trials(*np.concatenate(blocks, axis=1).reshape(5, *shape))


def _measured(clusters: Clusters) -> Floats:
    """The fields of Trials by cluster, shape (5, n)."""
    totals = clusters.totals
    gains = (totals - clusters.lowest) / clusters.span
    return np.stack([*gains, clusters.chance, totals[1] - totals[0], clusters.unlike])


def losing(trial: Trials, loss: float, mean: float, rng: np.random.Generator) -> Floats:
    """G of a selector that picks as `a` does, but for a few clusters in which it loses `loss` of G.

    They are drawn from those in which `a` has so much to lose, as many as lose `mean` on average.
    """
    able = trial.a >= loss
    share = mean / (loss * able.mean())
    return trial.a - loss * (able & (rng.random(able.shape) < share))


class Skills:
    """What a selector of a lab captures by its skill: a curve through GRID, from PILOT clusters."""

    def __init__(self, lab: Lab, rng: np.random.Generator) -> None:
        gained, headroom = np.zeros(len(GRID)), 0.0
        for _ in range(PILOT // BLOCK):
            clusters = draw(lab, GRID.tolist(), BLOCK, rng)
            gains = (clusters.totals - clusters.lowest) / clusters.span
            gained += (gains - clusters.chance).sum(axis=1)
            headroom += float((1 - clusters.chance).sum())
        self._curve = np.polynomial.Polynomial.fit(GRID, gained / headroom, deg=4)

    def captured(self, skill: float) -> float:
        """Expected captured of a skill within GRID."""
        return float(self._curve(skill))

    def skill(self, captured: float) -> float:
        """The skill that captures so much."""
        found = threshold(lambda skill: self.captured(skill) >= captured, GRID[0], GRID[-1])
        return found[1]


ARMS = (Arm("p@1", "m"), Arm("p@2", "m"))
NO_HASH = "0" * 64


def as_run(
    clusters: Clusters, comparison: ComparisonDesign, gate: Gate
) -> tuple[RunInputs, list[ArmResult]]:
    """The same clusters as a run, with the decisions of its two ARMS; it has a baseline of one."""
    names = [
        [f"{row}-{column}" for column in range(clusters.lab.size)] for row in range(len(clusters))
    ]
    members = tuple(Cluster(row, tuple(sorted(ids))) for row, ids in enumerate(names))
    values = zip(chain(*names), clusters.utilities.ravel().tolist(), strict=True)
    scale = RATINGS if clusters.lab.rated else None
    utility = Utility("u", "made-up", "human", dict(values), range=scale)
    made = [
        tuple(_decision(arm, names[row], row, columns) for row, columns in enumerate(picked))
        for arm, picked in zip(ARMS, clusters.picked, strict=True)
    ]
    entry = Entry(ARMS[0].prompt or "", NO_HASH, "m", {}, made[0], gain={})
    inputs = RunInputs(
        suite="made-up",
        picks=clusters.lab.picks,
        orders=1,
        clusters=members,
        utilities=(utility,),
        pairs=(("p@2", "m"),),
        prompts={"p@1": NO_HASH, "p@2": NO_HASH},
        specs={"m": {}},
        strategies=(),
        gate=gate,
        comparison=comparison,
        baseline=Baseline("made-up", "", {}, members, utility, (entry,)),
    )
    return inputs, [
        arm_result_of(inputs, arm.name, each) for arm, each in zip(ARMS, made, strict=True)
    ]


def first_of(
    inputs: RunInputs, sides: Sequence[ArmResult], asked: int
) -> tuple[RunInputs, Mapping[Arm, ArmResult]]:
    """A run of which only the first clusters were asked."""
    part = inputs.first(asked)
    kept = [[d for d in side.decisions if d.cluster < asked] for side in sides]
    return part, {
        arm: arm_result_of(part, arm.name, each) for arm, each in zip(ARMS, kept, strict=True)
    }


def _decision(arm: Arm, names: Sequence[str], cluster: int, columns: Ints) -> Decision:
    return Decision(
        cluster=cluster,
        order=0,
        repeat=0,
        round=0,
        shown=tuple(names),
        picks=tuple(names[column] for column in columns.tolist()),
        status="ok",
        prompt=arm.prompt,
        model=arm.model,
    )
