"""Replies: are they valid, refused, too long or too short, and do they repeat? Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from selectllm.core.types import Decision
from selectllm.evaluation.audit.measures import CORRELATION, SHARE, mean_of, measure
from selectllm.evaluation.audit.order import grouped
from selectllm.evaluation.audit.schema import Measure, ParsingAudit
from selectllm.evaluation.audit.subject import Subject
from selectllm.evaluation.metrics.consistency import repeat_overlaps
from selectllm.selection.task import Task

VALID = ("ok", "repaired")


def repeat_tasks(subject: Subject) -> Iterator[Task]:
    """Every cluster in its first order, again; the first reply is the order probe's."""
    for repeat in range(1, subject.settings.repeats):
        for cluster in subject.clusters:
            yield subject.task(cluster, subject.first_order(cluster), repeat=repeat)


def parsing_audit(
    subject: Subject,
    decisions: Sequence[Decision],
    base: Mapping[int, Decision],
    repeats: Sequence[Decision],
) -> ParsingAudit:
    """What the replies of the order probe are like, and how the `repeats` of its first repeat."""
    statuses = Counter(decision.status for decision in decisions)
    problems = Counter(word for decision in decisions for word in decision.problems)
    over = sum("extra" in decision.problems for decision in decisions)
    under = sum(d.status == "partial" or "short" in d.problems for d in decisions)
    same = [reply_of(decision) == reply_of(base[decision.cluster]) for decision in repeats]
    return ParsingAudit(
        decisions=len(decisions),
        valid_rate=fmean(d.status in VALID for d in decisions) if decisions else None,
        status_counts=dict(sorted(statuses.items())),
        problem_counts=dict(sorted(problems.items())),
        refused=statuses["refused"],
        over_picking=over,
        under_picking=under,
        temperature=subject.selector.spec.temperature,
        repeats=1 + len({decision.repeat for decision in repeats}),
        repeat_consistency=mean_of(_repeats(subject, base, repeats), CORRELATION),
        same_reply=fmean(same) if same else None,
    )


def parsing_measures(
    subject: Subject,
    decisions: Sequence[Decision],
    base: Mapping[int, Decision],
    repeats: Sequence[Decision],
) -> Iterator[Measure]:
    """How often replies can be used, and how alike repeats are."""
    yield measure(
        "parsing.valid",
        "share of decisions with all the picks that were asked for",
        "higher",
        _shares(decisions, VALID),
        within=SHARE,
    )
    yield measure(
        "parsing.at-once",
        "share of decisions whose first reply was valid as it stands",
        "higher",
        _shares(decisions, ("ok",)),
        within=SHARE,
    )
    if repeats:
        yield measure(
            "parsing.repeats",
            "kappa of the picks of replies to the same question: 1 = always the same",
            "higher",
            _repeats(subject, base, repeats),
            within=CORRELATION,
        )


def reply_of(decision: Decision) -> str | None:
    """The text of the first reply; None where nothing was asked."""
    return decision.replies[0].reply if decision.replies else None


def _shares(decisions: Sequence[Decision], statuses: Sequence[str]) -> dict[int, float]:
    return {c: fmean(d.status in statuses for d in ds) for c, ds in grouped(decisions).items()}


def _repeats(
    subject: Subject, base: Mapping[int, Decision], repeats: Sequence[Decision]
) -> dict[int, float]:
    firsts = [base[cluster] for cluster in {decision.cluster for decision in repeats}]
    return repeat_overlaps([*firsts, *repeats], subject.k)
