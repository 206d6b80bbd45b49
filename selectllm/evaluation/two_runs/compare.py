"""Which pairs of two runs belong together, and how they differ, cluster by cluster. Pure.

The estimate and its interval are those of `ab` (stats/paired.py), but they describe: the runs were
made one by one and looked at, and nothing is corrected for how many pairs are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from selectllm.core.types import Decision
from selectllm.evaluation.comparison.arm_results import ArmResult, arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.two_runs.schema import (
    ClusterDifference,
    ComparedRun,
    PairedSides,
    RunsCompared,
    SideFigures,
)
from selectllm.evaluation.two_runs.shared import RunSide, SharedClusters
from selectllm.stats.paired import SAME, paired

Pair = tuple[str, str]


def compare_runs(shared: SharedClusters) -> RunsCompared:
    """Every pair of the first run beside its counterparts in the second, the worst change first."""
    by_a, by_b = (arm_results(side.inputs, side.decisions) for side in (shared.a, shared.b))
    together = list(counterparts(shared.a.inputs.pairs, shared.b.inputs.pairs))
    compared = [_paired(shared, by_a[Arm(*a)], by_b[Arm(*b)], a, b) for a, b in together]
    compared.sort(key=lambda each: each.difference.estimate if each.difference else 0.0)
    utility = shared.deciding
    return RunsCompared(
        a=_run(shared.a, shared.all_a, shared, {a for a, _ in together}),
        b=_run(shared.b, shared.all_b, shared, {b for _, b in together}),
        clusters=len(shared.numbers),
        picks=shared.b.inputs.picks,
        utility=None if utility is None else utility.summary(),
        compared=tuple(compared),
        notes=shared.notes,
    )


def counterparts(a: Sequence[Pair], b: Sequence[Pair]) -> Iterator[tuple[Pair, Pair]]:
    """Which pairs (prompt, model) of two runs are held against each other.

    Equal ones; then those of one prompt name and model, whatever the version, in the order of the
    runs. Of what is left, those that share the prompt's name or the model; where none do, all.
    """
    left_a, left_b = list(a), list(b)
    for same in (lambda pair: pair, lambda pair: (_name(pair[0]), pair[1])):
        for this in list(left_a):
            that = next((each for each in left_b if same(each) == same(this)), None)
            if that is not None:
                left_a.remove(this)
                left_b.remove(that)
                yield this, that
    crossed = [(this, that) for this in left_a for that in left_b]
    alike = [
        (this, that)
        for this, that in crossed
        if _name(this[0]) == _name(that[0]) or this[1] == that[1]
    ]
    yield from alike or crossed


def _name(prompt: str) -> str:
    """A prompt's reference without its version."""
    return prompt.rpartition("@")[0] or prompt


def _run(side: RunSide, asked: int, shared: SharedClusters, together: set[Pair]) -> ComparedRun:
    return ComparedRun(
        name=side.name,
        folder=side.folder,
        suite=side.inputs.suite,
        clusters=asked,
        left_out=asked - len(shared.numbers),
        alone=tuple(Arm(*pair).name for pair in side.inputs.pairs if pair not in together),
    )


def _paired(
    shared: SharedClusters, a: ArmResult, b: ArmResult, pair_a: Pair, pair_b: Pair
) -> PairedSides:
    differences, interval = _differences(shared, a, b), None
    inputs = shared.b.inputs
    if shared.deciding is not None:
        gain_a, measured = a.measured[shared.deciding.name].gain, b.measured[shared.deciding.name]
        chance = {each: measured.chance[each] for each in differences}
        found = paired(gain_a, measured.gain, chance, inputs.order, inputs.groups)
        estimate = None if found is None else found.estimate()
        interval = None if estimate is None else estimate.interval()
    return PairedSides(
        a=_figures(shared, a, pair_a),
        b=_figures(shared, b, pair_b),
        difference=interval,
        better=sum(each > SAME for each in differences.values()),
        worse=sum(each < -SAME for each in differences.values()),
        equal=sum(abs(each) <= SAME for each in differences.values()),
        clusters=tuple(_clusters(shared, a, b, differences)),
    )


def _differences(shared: SharedClusters, a: ArmResult, b: ArmResult) -> dict[int, float]:
    """G of b minus G of a by cluster, where both have one."""
    if shared.deciding is None:
        return {}
    ours, theirs = (side.measured[shared.deciding.name].gain for side in (a, b))
    return {cluster: theirs[cluster] - ours[cluster] for cluster in theirs if cluster in ours}


def _figures(shared: SharedClusters, side: ArmResult, pair: Pair) -> SideFigures:
    utility = shared.deciding
    return SideFigures(
        prompt=pair[0],
        model=pair[1],
        decisions=len(side.decisions),
        captured=None if utility is None else side.measured[utility.name].captured,
        valid_rate=side.valid_rate,
        cost_usd=side.cost_usd,
    )


def _clusters(
    shared: SharedClusters, a: ArmResult, b: ArmResult, differences: Mapping[int, float]
) -> list[ClusterDifference]:
    """Every shared cluster: the worst change first, then where the picks differ, then by number."""
    picked_a, picked_b = _picked(a.decisions), _picked(b.decisions)
    rows = [
        ClusterDifference(
            a=shared.numbers[cluster.id],
            b=cluster.id,
            group=cluster.group,
            same_picks=picked_a.get(cluster.id) == picked_b.get(cluster.id),
            difference=differences.get(cluster.id),
        )
        for cluster in shared.b.inputs.clusters
    ]
    return sorted(rows, key=lambda row: (row.difference or 0.0, row.same_picks, row.b))


def _picked(decisions: Sequence[Decision]) -> dict[int, list[list[str]]]:
    """What was picked of each cluster, order by order, whatever the order within a reply."""
    picked: dict[int, list[list[str]]] = defaultdict(list)
    for decision in sorted(decisions, key=lambda each: (each.order, each.repeat)):
        picked[decision.cluster].append(sorted(decision.picks))
    return dict(picked)
