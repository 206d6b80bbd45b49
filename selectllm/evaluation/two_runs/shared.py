"""The clusters that two runs have in common, by what is in them. Pure.

A cluster is the same where both runs showed the same items, whatever its number and the order in
which it was shown; what the items are called is not enough where the pools differ.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from selectllm.core.errors import UsageError
from selectllm.core.types import Cluster, Decision
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.utility.utility import Utility

Members = frozenset[str]


@dataclass(frozen=True)
class RunSide:
    """One of two runs. `inputs`: of the clusters that were asked.

    `name`: what it is called. `folder`: how a command would name it.
    """

    name: str
    folder: str
    inputs: RunInputs
    decisions: Sequence[Decision]


@dataclass(frozen=True)
class SharedClusters:
    """Two runs cut down to the clusters that both asked.

    Both sides have them in the order, under the numbers and with the groups of the second run,
    and one utility at most, that of `deciding`. `numbers`: those of the first run by those of
    the second. `all_a`, `all_b`: how many clusters each run asked.
    """

    a: RunSide
    b: RunSide
    numbers: Mapping[int, int]
    all_a: int
    all_b: int
    deciding: Utility | None
    notes: tuple[str, ...] = ()


def shared_clusters(
    a: RunSide, b: RunSide, same_items: Collection[str] | None = None
) -> SharedClusters:
    """What two runs have in common. `same_items`: ids that mean one thing in both; None: all do.

    Raises UsageError for runs without a cluster in common, and for different numbers of picks.
    """
    if a.inputs.picks != b.inputs.picks:
        raise UsageError(
            f"the runs cannot be compared: {a.name} picks {a.inputs.picks} of each cluster and "
            f"{b.name} {b.inputs.picks}. Run one of the suites again with the same picks"
        )
    ours: dict[Members, Cluster] = {
        frozenset(cluster.members): cluster for cluster in a.inputs.clusters
    }
    theirs = [
        cluster
        for cluster in b.inputs.clusters
        if (members := frozenset(cluster.members)) in ours
        and (same_items is None or members <= set(same_items))
    ]
    if not theirs:
        raise UsageError(_nothing_shared(a, b))
    numbers = {cluster.id: ours[frozenset(cluster.members)].id for cluster in theirs}
    items = [member for cluster in theirs for member in cluster.members]
    utility, notes = _deciding(a.inputs, b.inputs, items)
    inverse = {number: cluster for cluster, number in numbers.items()}
    return SharedClusters(
        a=_cut(a, theirs, utility, inverse),
        b=_cut(b, theirs, utility, {cluster: cluster for cluster in numbers}),
        numbers=numbers,
        all_a=len(a.inputs.clusters),
        all_b=len(b.inputs.clusters),
        deciding=utility,
        notes=notes,
    )


def _nothing_shared(a: RunSide, b: RunSide) -> str:
    asked_a, asked_b = (f"{len(each.inputs.clusters):,}" for each in (a, b))
    return (
        f"the runs have no cluster in common: {a.name} asked {asked_a} and {b.name} {asked_b}, and "
        "no two of them hold the same items. To see both runs on one page, uncompared, add: "
        "--each --html -o FILE"
    )


def _deciding(
    a: RunInputs, b: RunInputs, items: Sequence[str]
) -> tuple[Utility | None, tuple[str, ...]]:
    """The one utility that measures the picks of both runs, and what is to be said of it.

    The second run's that decides there, else the first run's; either covers the shared `items`.
    """
    for inputs, other in ((b, a), (a, b)):
        ordered = sorted(inputs.covering, key=lambda utility: utility is not inputs.headline)
        if ordered:
            return ordered[0].of(items), _of_other(ordered[0], other, items)
    return None, ()


def _of_other(utility: Utility, other: RunInputs, items: Sequence[str]) -> tuple[str, ...]:
    """What the other run's values of the utility are to these."""
    same = next((each for each in other.covering if each.name == utility.name), None)
    if same is None:
        return (f"Only one of the runs has {utility.name}; it measures the picks of both.",)
    if any(same.values[item] != utility.values[item] for item in items):
        return (
            f"{utility.name} has other values in the first run. The picks of both are measured by "
            "the values of the second.",
        )
    return ()


def _cut(
    side: RunSide,
    clusters: Sequence[Cluster],
    utility: Utility | None,
    numbers: Mapping[int, int],
) -> RunSide:
    """The side in these clusters alone. `numbers`: their new numbers by its own."""
    inputs = replace(
        side.inputs,
        clusters=tuple(clusters),
        utilities=() if utility is None else (utility,),
        gate=side.inputs.gate.model_copy(update={"utility": None}),
        comparison=None,
        baseline=None,
    )
    decisions = tuple(
        replace(decision, cluster=numbers[decision.cluster])
        for decision in side.decisions
        if decision.cluster in numbers
    )
    return replace(side, inputs=inputs, decisions=decisions)
