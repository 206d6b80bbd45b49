"""From the decisions of all probes to what an audit found. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from selectllm.core.codec import sha256_json
from selectllm.core.types import Decision, empty
from selectllm.evaluation.audit.copies import can_tell_copies, copy_audit, copy_measures
from selectllm.evaluation.audit.drift import drift_audit
from selectllm.evaluation.audit.hijack import hijack_audit, hijack_measures
from selectllm.evaluation.audit.labels import label_audit, label_measures
from selectllm.evaluation.audit.length import length_audit, length_measures
from selectllm.evaluation.audit.order import order_audit, order_measures
from selectllm.evaluation.audit.parsing import parsing_audit, parsing_measures
from selectllm.evaluation.audit.schema import (
    AuditedCluster,
    AuditResults,
    DriftAudit,
    HijackAudit,
    Measure,
    ParsingAudit,
    ProbeCost,
)
from selectllm.evaluation.audit.subject import Subject


@dataclass(frozen=True, slots=True)
class AuditDecisions:
    """What was decided, by probe; a probe that was not asked is not in it.

    `rivals`: the decisions of rivals on the attacks, by prompt reference. `no_drift`: why no cached
    call was asked again.
    """

    decisions: Mapping[str, Sequence[Decision]]
    rivals: Mapping[str, Sequence[Decision]] = field(default_factory=empty)
    no_drift: str | None = None

    def of(self, probe: str) -> Sequence[Decision]:
        """Of a probe; none if it was not asked."""
        return self.decisions.get(probe, ())

    @property
    def base(self) -> dict[int, Decision]:
        """The decisions of the first order, by cluster, which the other probes start from."""
        return {d.cluster: d for d in self.of("order") if d.order == 0}


def audit_results(
    subject: Subject, asked: AuditDecisions, suite: str, pool_sha256: str
) -> AuditResults:
    """What an audit found, without a comparison."""
    wanted, orders = subject.settings.probes, asked.of("order")
    selector = subject.selector
    measured = any(decision.picks for decision in orders)
    told = wanted if measured else ()
    return AuditResults(
        suite=suite,
        prompt=selector.prompt.ref,
        prompt_sha256=selector.prompt.sha256,
        model=selector.spec.name,
        pool_sha256=pool_sha256,
        picks=subject.k,
        seed=subject.seed,
        clusters=tuple(
            AuditedCluster(id=c.id, sha256=sha256_json(list(c.members))) for c in subject.clusters
        ),
        measured=measured,
        measures=tuple(_measures(subject, asked, told)),
        order=order_audit(subject, orders) if "order" in told else None,
        labels=label_audit(subject, asked.base, asked.of("labels")) if "labels" in told else (),
        length=length_audit(subject, orders) if "length" in told else None,
        copies=copy_audit(subject, asked.of("copies")) if asked.of("copies") and measured else (),
        hijack=_hijack(subject, asked, told),
        parsing=_parsing(subject, asked),
        drift=_drift(asked, wanted),
        costs=tuple(_costs(asked)),
        comparison=None,
        notes=tuple(_notes(subject, wanted)),
    )


def _hijack(subject: Subject, asked: AuditDecisions, told: Sequence[str]) -> HijackAudit | None:
    if "hijack" not in told:
        return None
    return hijack_audit(subject, asked.base, asked.of("hijack"), asked.rivals)


def _parsing(subject: Subject, asked: AuditDecisions) -> ParsingAudit | None:
    if "parsing" not in subject.settings.probes:
        return None
    return parsing_audit(subject, asked.of("order"), asked.base, asked.of("parsing"))


def _drift(asked: AuditDecisions, wanted: Sequence[str]) -> DriftAudit | None:
    if "drift" not in wanted:
        return None
    return drift_audit(asked.base, asked.of("drift"), asked.no_drift)


def _measures(subject: Subject, asked: AuditDecisions, told: Sequence[str]) -> Iterator[Measure]:
    """The score card. Replies without a pick leave only how often they are valid."""
    orders, base = asked.of("order"), asked.base
    if "order" in told and subject.settings.orders > 1:
        yield from order_measures(subject, orders)
    if "labels" in told:
        yield from label_measures(subject, base, asked.of("labels"))
    if "length" in told:
        yield from length_measures(subject, orders)
    if "copies" in told and asked.of("copies"):
        yield from copy_measures(subject, asked.of("copies"))
    if "hijack" in told:
        yield from hijack_measures(subject, base, asked.of("hijack"))
    if "parsing" in subject.settings.probes:
        parsing = parsing_measures(subject, orders, base, asked.of("parsing"))
        yield from (each for each in parsing if told or each.name != "parsing.repeats")


def _costs(asked: AuditDecisions) -> Iterator[ProbeCost]:
    parts = dict(asked.decisions)
    if asked.rivals:
        parts["other prompts"] = [d for rival in asked.rivals.values() for d in rival]
    for probe, decisions in parts.items():
        replies = [attempt for decision in decisions for attempt in decision.replies]
        yield ProbeCost(
            probe=probe,
            decisions=len(decisions),
            calls=len(replies),
            tokens_in=_whole([reply.tokens_in for reply in replies]),
            tokens_out=_whole([reply.tokens_out for reply in replies]),
            cost_usd=_summed([reply.cost_usd for reply in replies]),
        )


def _whole(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _summed(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(sum(known)) if len(known) == len(values) else None


def _notes(subject: Subject, wanted: Sequence[str]) -> Iterator[str]:
    if "copies" in wanted and not can_tell_copies(subject):
        yield "copies: with one pick a cluster, a candidate and its copy cannot both be picked"
    if "order" in wanted and subject.settings.orders < 2:
        yield "order: one order says nothing about consistency. Ask for at least two"
    if "length" in wanted and subject.utility is None:
        yield "length: the suite has no utility, so there is no agreement to take length out of"
    if "parsing" in wanted and subject.settings.repeats > 1:
        if subject.selector.spec.temperature == 0:
            yield (
                "parsing: at temperature 0 the same reply is expected every time; any difference "
                "is noise of the provider"
            )
