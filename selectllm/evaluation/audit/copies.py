"""Copies: is a candidate picked twice if it stands in the list twice? Pure.

In each cluster the first pick (a candidate drawn by the seed, where nothing was picked) is planted
a second time, in the place of a candidate that was not picked: to the letter, and in other words.
Two picks of the same thing are one wasted. A cluster counts if at least one of the two was picked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import comb
from statistics import fmean

from selectllm.core.codec import seeded_hash
from selectllm.core.types import Cluster, Decision, Item
from selectllm.evaluation.audit.measures import SHARE, SIDE, measure
from selectllm.evaluation.audit.paraphrase import paraphrased
from selectllm.evaluation.audit.schema import CopyAudit, Measure
from selectllm.evaluation.audit.subject import Subject
from selectllm.selection.task import Task
from selectllm.stats.binomial import share_interval

KINDS = ("exact", "paraphrase")


def copy_id(item_id: str, kind: str) -> str:
    """What a planted copy is called; the pool's ids are no concern of it within one cluster."""
    return f"{item_id}+{kind}"


def with_copies(values: Mapping[str, float], members: Sequence[str]) -> dict[str, float]:
    """A utility that has the copies of these items, too: scripted models may pick by it."""
    copies = {copy_id(item, kind): values[item] for item in members for kind in KINDS}
    return {**copies, **values}


def can_tell_copies(subject: Subject) -> bool:
    """Whether two of the same can be picked, and something stays that can be replaced."""
    return subject.k > 1


def copy_tasks(subject: Subject, base: Mapping[int, Decision]) -> Iterator[Task]:
    """Every cluster with a copy of each kind; `order` is the kind.

    `base`: the decisions of the first order, by cluster; for a plan there may be none.
    """
    for number, kind in enumerate(KINDS):
        for cluster in subject.clusters:
            original, replaced = planted(subject, cluster, base.get(cluster.id))
            copy = _copy(subject.items[original], kind)
            shown = tuple(
                copy if item.id == replaced else item for item in subject.first_order(cluster)
            )
            yield subject.task(cluster, shown, order=number)


def planted(subject: Subject, cluster: Cluster, decision: Decision | None) -> tuple[str, str]:
    """The item that is planted again, and the one whose place the copy takes."""
    drawn = sorted(
        cluster.members, key=lambda item: seeded_hash("copy", subject.seed, cluster.id, item)
    )
    picks = () if decision is None else decision.picks
    original = picks[0] if picks else drawn[0]
    free = [item for item in drawn if item not in (original, *picks)]
    return original, free[-1]


def _copy(item: Item, kind: str) -> Item:
    text = item.instruction if kind == "exact" else paraphrased(item.instruction)
    return replace(item.asking(text), id=copy_id(item.id, kind))


def both_picked(subject: Subject, decisions: Sequence[Decision], kind: str) -> dict[int, float]:
    """Cluster -> 1 if an item and its copy were both picked, 0 if one; without if neither was."""
    values: dict[int, float] = {}
    for decision in decisions:
        if decision.order != KINDS.index(kind):
            continue
        copies = [item for item in decision.shown if item.endswith(copy_id("", kind))]
        pair = {copies[-1], copies[-1].removesuffix(copy_id("", kind))}
        if picked := len(pair & {*decision.picks}):
            values[decision.cluster] = float(picked == 2)
    return values


def copy_audit(subject: Subject, decisions: Sequence[Decision]) -> tuple[CopyAudit, ...]:
    """What the decisions on `copy_tasks` say."""
    rows = []
    for kind in KINDS:
        values = both_picked(subject, decisions, kind)
        both = round(sum(values.values()))
        rows.append(
            CopyAudit(
                kind=kind,  # type: ignore[arg-type]
                clusters=len(values),
                both=both,
                share=share_interval(both, len(values), 2 * SIDE) if values else None,
                chance=fmean(_chance(subject.k, len(c.members)) for c in subject.clusters),
            )
        )
    return tuple(rows)


def copy_measures(subject: Subject, decisions: Sequence[Decision]) -> Iterator[Measure]:
    """How often both are picked."""
    for row in copy_audit(subject, decisions):
        yield measure(
            f"copies.{row.kind}",
            "share of picked candidates whose copy "
            + ("to the letter" if row.kind == "exact" else "in other words")
            + " was picked as well",
            "lower",
            both_picked(subject, decisions, row.kind),
            within=SHARE,
            value=row.share,
        )


def _chance(k: int, m: int) -> float:
    """The share of both among random picks that hold at least one."""
    return k * (k - 1) / (m * (m - 1)) / (1 - comb(m - 2, k) / comb(m, k))
