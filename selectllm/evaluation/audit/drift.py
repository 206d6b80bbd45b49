"""Drift: does the model behind the name still answer as it did when the cache was filled? Pure.

A cached call is asked twice more, as it was and past the cache. If the model is the same, the three
replies are exchangeable, whatever the temperature: where exactly two are equal, each of the three
is the odd one equally often. So among those calls the cached reply is the odd one in a third, by
chance; more of them are told by the exact upper tail of a binomial with that share. Where all three
are equal or all differ, a call says nothing. Texts and picks are compared apart, and the two
p-values adjusted after Holm.

At temperature 0 a provider that answers the same every time gives only calls in which all three are
equal, or the two new ones: four of the latter and none that speaks against it make p = .012.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean

from selectllm.core.types import Decision
from selectllm.evaluation.audit.parsing import reply_of
from selectllm.evaluation.audit.schema import DriftAudit, DriftSide
from selectllm.evaluation.audit.subject import Subject
from selectllm.selection.task import Task
from selectllm.stats.intervals import holm
from selectllm.stats.special import bdtrc

ALPHA = 0.05
ODD = 1 / 3
TIMES = 2
"""How often each call is asked again."""
FEWEST = 4
"""Calls from which on `moved` could come out: 3 ** -4, doubled for the two ways, is below ALPHA."""


def cached_before(base: Mapping[int, Decision], most: int) -> list[int]:
    """Clusters whose first-order replies were in the cache or a pack before, at most so many."""
    known = [
        cluster
        for cluster, decision in sorted(base.items())
        if decision.replies and all(attempt.cached for attempt in decision.replies)
    ]
    return known[:most]


def drift_tasks(subject: Subject, base: Mapping[int, Decision]) -> Iterator[Task]:
    """The cached calls, asked twice by `subject.anew`; `order` is which time."""
    again = {*cached_before(base, subject.settings.again)}
    for time in range(TIMES):
        for cluster in subject.clusters:
            if cluster.id in again and subject.anew is not None:
                shown = subject.first_order(cluster)
                yield subject.task(cluster, shown, order=time, selector=subject.anew)


def drift_audit(
    base: Mapping[int, Decision], decisions: Sequence[Decision], why_not: str | None = None
) -> DriftAudit:
    """What the new replies say beside the cached ones. `why_not`: why none was asked."""
    new: dict[int, list[Decision]] = {}
    for decision in sorted(decisions, key=lambda d: (d.cluster, d.order)):
        new.setdefault(decision.cluster, []).append(decision)
    triples = [(base[c], pair[0], pair[1]) for c, pair in new.items() if len(pair) == TIMES]
    if not triples:
        reason = why_not or "no reply was cached before this audit, so there is nothing to compare"
        return DriftAudit(calls=0, word="cannot tell", reason=reason, text=None, picks=None)
    text, picks = _side(triples, reply_of), _side(triples, lambda d: frozenset(d.picks))
    adjusted = holm([text.p, picks.p])
    text = text.model_copy(update={"p_holm": adjusted[0]})
    picks = picks.model_copy(update={"p_holm": adjusted[1]})
    return _ruled(len(triples), text, picks)


def _ruled(calls: int, text: DriftSide, picks: DriftSide) -> DriftAudit:
    if min(text.p_holm, picks.p_holm) <= ALPHA:
        what = "texts" if text.p_holm <= ALPHA else "picks"
        side = text if what == "texts" else picks
        word, reason = (
            "moved",
            f"of {side.informative} calls whose three {what} consist of two that agree and one "
            f"that differs, the cached one differs in {side.cached_differs}; by chance it would "
            "be a third",
        )
    elif calls < FEWEST:
        word, reason = (
            "cannot tell",
            f"{calls} of the calls were cached, and it takes at least {FEWEST} to show a change",
        )
    elif text.new_same == 0 and picks.informative == 0 and picks.new_same < 1:
        word, reason = "cannot tell", "no two replies are the same, so no change could show"
    else:
        word, reason = (
            "not shown",
            "new replies differ from the cached ones no more than from each other",
        )
    return DriftAudit(calls=calls, word=word, reason=reason, text=text, picks=picks)  # type: ignore[arg-type]


def _side(
    triples: Sequence[tuple[Decision, Decision, Decision]], of: Callable[[Decision], object]
) -> DriftSide:
    cached_same, new_same, informative, alone = [], [], 0, 0
    for old, first, second in triples:
        told = of(old), of(first), of(second)
        with_old = [told[0] == told[1], told[0] == told[2]]
        cached_same.append(fmean(with_old))
        new_same.append(told[1] == told[2])
        if len({*told}) == 2:
            informative += 1
            alone += told[1] == told[2]
    p = float(bdtrc(alone - 1, informative, ODD)) if alone else 1.0
    return DriftSide(
        cached_same=fmean(cached_same),
        new_same=fmean(new_same),
        informative=informative,
        cached_differs=alone,
        p=p,
        p_holm=p,
    )
