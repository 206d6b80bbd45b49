"""An audit on a terminal: the score card, the comparison with a recorded audit, and each probe."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.evaluation.audit.schema import (
    AuditComparison,
    AuditPlan,
    AuditResults,
    Measure,
    ProbeCost,
)
from selectllm.evaluation.planning.schema import Outlay
from selectllm.report.audit_probes import OTHER_PROMPTS, probe_parts
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.wording import (
    count,
    counted,
    estimate,
    number,
    p_alone,
    signed,
    spread,
    usd,
)

BETTER = {"higher": "higher", "lower": "lower", "zero": "near 0"}
SCORE_CARD, COMPARED = "Score card", "Compared with the recorded audit"
ENDED = {"worse": "WORSE", "held": "HELD", "cannot tell": "CANNOT TELL"}


def render_audit(found: AuditResults, *, details: bool = True) -> RenderableType:
    """What was found, most important first; without `details` none of the probes' tables."""
    parts: list[RenderableType] = [
        Text(f"{found.suite}: audit of {found.prompt} + {found.model}", style="bold"),
        Text(f"{counted(len(found.clusters), 'cluster')}, {counted(found.picks, 'pick')} each."),
        Text(),
    ]
    if found.comparison is not None:
        parts += [*_comparison(found.comparison), Text()]
    if not found.measured:
        parts += [Text(unmeasured(found)), Text()]
    if found.measures:
        parts += [_score_card(found.measures), Text()]
    for part in probe_parts(found):
        parts += [part, Text()] if details or _is_brief(part) else []
    parts += [_costs(found.costs)] if details else []
    parts += [Text(f"Note: {note}.") for note in found.notes]
    return Group(*parts)


def _is_brief(part: RenderableType) -> bool:
    """Whether a part is sentences, or the table that was asked for by naming other prompts."""
    if not isinstance(part, Table) or not part.show_header:
        return True
    return str(part.title) == OTHER_PROMPTS


def unmeasured(found: AuditResults) -> str:
    """What is said where no reply gave a pick."""
    statuses = {} if found.parsing is None else found.parsing.status_counts
    told = ", ".join(f"{counts} {status}" for status, counts in statuses.items())
    return (
        "Nothing could be measured, because no reply gave a single pick"
        + (f" ({told})" if told else "")
        + ". Look at the replies in order.decisions.jsonl of the audit's folder."
    )


def _score_card(measures: tuple[Measure, ...]) -> RenderableType:
    made = table(
        SCORE_CARD,
        "The interval has 95 % confidence. docs/audit.md explains each measure.",
        ["measure"],
        ["value", "interval", "clusters", "better"],
    )
    for each in measures:
        cells = (signed(each.value), spread(each.value), count(each.clusters), BETTER[each.better])
        add_row(made, each.name, *cells)
    return made


def _comparison(found: AuditComparison) -> Iterator[RenderableType]:
    yield labelled(
        [
            ("verdict", f"{ENDED[found.word]}: {found.reason}."),
            *(("note", f"{note}.") for note in found.notes),
        ]
    )
    if not found.measures:
        return
    made = table(
        COMPARED,
        "worsening: how much worse it is now (above 0 is worse), with its 95 % interval. p: how "
        "likely chance alone is to show as much, adjusted by Holm's method. If nothing has "
        f"changed, at most {found.alpha:.0%} of audits call any measure worse.",
        ["measure"],
        ["recorded", "now", "worsening", "interval", "clusters", "p", "word"],
    )
    for row in found.measures:
        add_row(
            made,
            row.name,
            number(row.before),
            number(row.now),
            signed(row.worsening),
            spread(row.worsening),
            count(row.clusters),
            p_alone(row.p_holm),
            row.word,
        )
    yield made


def _costs(costs: tuple[ProbeCost, ...]) -> RenderableType:
    made = table(
        "What the probes asked",
        "calls: all replies, including those from the cache. USD: what they cost when they were "
        "made.",
        ["probe"],
        ["decisions", "calls", "tokens in", "tokens out", "USD"],
    )
    for row in costs:
        counts = (row.decisions, row.calls, row.tokens_in, row.tokens_out)
        add_row(made, row.probe, *map(count, counts), usd(row.cost_usd))
    return made


def render_audit_plan(plan: AuditPlan) -> RenderableType:
    """What an audit will ask, probe by probe."""
    made = table(
        f"{plan.suite}: what an audit of {plan.prompt} + {plan.model} will ask "
        f"({counted(plan.clusters, 'cluster')})",
        "known: decisions whose replies are recorded or cached. The other figures are estimates "
        "for replies that keep to the format. at most: if every reply is as long, and is asked "
        "for again as often, as allowed.",
        ["probe"],
        ["decisions", "known", "calls", "tokens in", "tokens out", "USD", "USD at most", "minutes"],
    )
    for probe in plan.probes:
        add_row(made, probe.probe, count(probe.decisions), count(probe.known), *_sent(probe.outlay))
    decisions = sum(probe.decisions for probe in plan.probes)
    known = sum(probe.known for probe in plan.probes)
    add_row(made, "all", count(decisions), count(known), *_sent(plan.total))
    return Group(made, *(Text(f"Note: {note}.") for note in plan.notes))


def _sent(outlay: Outlay) -> list[str]:
    return [
        count(outlay.calls),
        count(outlay.tokens_in),
        count(outlay.tokens_out),
        usd(outlay.usd),
        usd(outlay.usd_most),
        f"{60 * outlay.hours:,.1f}",
    ]


def audit_in_one_line(found: AuditResults) -> str:
    """For lists of runs: the verdict, or the first measures."""
    what = f"audit of {found.prompt} + {found.model}"
    if found.comparison is not None:
        return f"{what}: {found.comparison.word}"
    if not found.measured:
        return f"{what}: no reply gave a pick"
    if found.order is not None and found.order.consistency is not None:
        return f"{what}: order consistency {estimate(found.order.consistency)}"
    return what
