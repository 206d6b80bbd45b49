"""Two arms by people's ratings of a sample of clusters, helped by a judge's of all. Pure.

A cluster whose items have all one utility decides nothing: it counts 0, in what is gained and in
what there was to gain, since which clusters people would find flat is not known of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.evaluation.comparison.arm_results import ArmResult
from selectllm.evaluation.comparison.rated_differences import Weights, paired_ratings
from selectllm.evaluation.comparison.rated_sample import again
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.comparison.schema import Assistance
from selectllm.evaluation.metrics.agreement import Agreement
from selectllm.stats.assisted import AssistedPaired
from selectllm.stats.paired import Paired

Value = Callable[[float, float, float], float]
"""What a cluster says, of what two arms gain there (G) and of what random picks do (r)."""


def difference(a: float, b: float, chance: float) -> float:
    """What the second arm gains more."""
    return b - a


def lift(a: float, b: float, chance: float) -> float:
    """What the first arm gains over random picks."""
    return a - chance


def assisted_gains(
    inputs: RunInputs,
    a: ArmResult,
    b: ArmResult,
    value: Value = difference,
) -> AssistedPaired | None:
    """`value` of the arms by cluster; None where people rated no cluster that tells anything."""
    judge = inputs.judge
    assert judge is not None
    assert a.sampled is not None
    assert b.sampled is not None
    chance = a.sampled.chance
    human = _values(a.sampled, b.sampled, value)
    return _assisted(
        inputs,
        human={cluster: human.get(cluster, 0.0) for cluster in inputs.sample},
        headroom={cluster: 1 - chance[cluster] if cluster in chance else 0.0 for cluster in human}
        | {cluster: 0.0 for cluster in inputs.sample if cluster not in human},
        judge=_values(a.measured[judge.name], b.measured[judge.name], value),
        limits=(-1.0, 1.0),
    )


def assisted_ratings(inputs: RunInputs, different: Weights) -> AssistedPaired | None:
    """The differences from ratings of the differing items alone: by people in the sample.

    Raises UtilityError if they, or the judge, miss differing items.
    """
    utility, judge, k = inputs.headline, inputs.judge, inputs.picks
    assert utility is not None
    assert judge is not None
    ours = {cluster: different[cluster] for cluster in inputs.sample if cluster in different}
    human = paired_ratings(ours, utility, k, list(ours), sample=again(utility.sample))
    theirs = paired_ratings(different, judge, k, list(different))
    if human is None or theirs is None:
        return None
    return _assisted(
        inputs,
        human=dict(zip(ours, human.values.tolist(), strict=True)),
        headroom=dict.fromkeys(ours, 1.0),
        judge=dict(zip(different, theirs.values.tolist(), strict=True)),
        limits=(-1.0, 1.0),
    )


def _values(a: Agreement, b: Agreement, value: Value) -> dict[int, float]:
    return {
        cluster: value(a.gain[cluster], b.gain[cluster], chance)
        for cluster, chance in a.chance.items()
    }


def _assisted(
    inputs: RunInputs,
    *,
    human: Mapping[int, float],
    headroom: Mapping[int, float],
    judge: Mapping[int, float],
    limits: tuple[float, float],
) -> AssistedPaired | None:
    """`human`, `headroom`: by sampled cluster. `judge`: by cluster, of those that it can tell."""
    clusters = [c.id for c in inputs.clusters if len(c.members) > inputs.picks]
    place = {cluster: position for position, cluster in enumerate(clusters)}
    sample, groups = list(human), inputs.groups
    if not sample or not any(headroom.values()):
        return None
    return AssistedPaired(
        values=_column(human, sample),
        headroom=_column(headroom, sample),
        groups=None if groups is None else tuple(groups[cluster] for cluster in sample),
        least=limits[0],
        most=limits[1],
        clusters=tuple(sample),
        judge=_column(judge, clusters),
        sample=np.array([place[cluster] for cluster in sample], dtype=np.intp),
        all_groups=None if groups is None else tuple(groups[cluster] for cluster in clusters),
    )


def _column(values: Mapping[int, float], clusters: list[int]) -> Floats:
    return np.array([values.get(cluster, 0.0) for cluster in clusters], dtype=np.float64)


def assistance(inputs: RunInputs, paired: Paired | None) -> Assistance | None:
    """What the judge did for a verdict; None where none assists."""
    judge = inputs.judge
    if judge is None or not isinstance(paired, AssistedPaired):
        return None
    mean = paired.mean
    return Assistance(
        **judge.summary().model_dump(),
        rated=len(mean.human),
        judged=len(mean.judge),
        correlation=mean.correlation,
        tuning=mean.mean_tuning,
        saved=mean.saved,
    )
