"""What each probe of an audit found, as tables and sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import RenderableType

from selectllm.evaluation.audit.schema import (
    AuditResults,
    CopyAudit,
    DriftAudit,
    DriftSide,
    HijackAudit,
    LabelVariant,
    LengthAudit,
    OrderAudit,
    ParsingAudit,
)
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.wording import (
    UNKNOWN,
    around,
    count,
    counted,
    estimate,
    number,
    p_alone,
    p_value,
    rate,
    signed,
    spread,
    usd,
)
from selectllm.stats.interval import Interval

Fact = tuple[str, str]
OTHER_PROMPTS = "How other prompts withstand the same texts"
SHOWN = 0.05
"""The most that an adjusted p may be for a difference that is told as one."""


def probe_parts(found: AuditResults) -> Iterator[RenderableType]:
    """The parts of an audit's report, in the order in which they were asked."""
    if found.order is not None:
        yield from _order(found.order)
    if found.labels:
        yield _labels(found.labels)
    if found.length is not None:
        yield from _length(found.length)
    if found.copies:
        yield labelled(_copies(found.copies))
    if found.hijack is not None:
        yield from _hijack(found.hijack, found.prompt)
    if found.parsing is not None:
        yield labelled(_parsing(found.parsing))
    if found.drift is not None:
        yield labelled(_drift(found.drift))


def told(interval: Interval | None) -> str:
    """`0.30 (0.22 to 0.38)`; `-` where there is none."""
    return UNKNOWN if interval is None else around(interval)


def _order(found: OrderAudit) -> Iterator[RenderableType]:
    test = "not tested" if found.slots.p is None else p_value(found.slots.p)
    yield labelled(
        [
            (
                "order",
                f"Over {counted(found.orders, 'order')}, the kappa of a cluster's picks is "
                f"{told(found.consistency)}: 1 = the order never matters, 0 = the picks agree no "
                "more than random ones.",
            ),
            (
                "slots",
                f"The influence of the slot is {told(found.slot_bias)}: 0 = none, 1 = the same "
                f"slots are always picked. Test that all slots are picked equally often: {test}.",
            ),
        ]
    )
    made = table(
        "Picks by slot",
        "slot: the place in the list. rate: how often the candidate in that place is picked.",
        ["slot"],
        ["picks", "expected", "rate", "interval"],
    )
    for each in found.curve:
        picks, expected = found.slots.counts[each.slot - 1], found.slots.expected[each.slot - 1]
        cells = (count(picks), number(expected, 1), estimate(each.rate), spread(each.rate))
        add_row(made, str(each.slot), *cells)
    yield made
    made = table(
        "What a vote over several orders gains",
        "consistency: the kappa of two such votes on different orders, if enough orders were "
        "asked. The other columns: what one vote on every cluster takes.",
        ["orders"],
        ["captured", "interval", "consistency", "calls", "tokens in", "tokens out", "USD"],
    )
    for step in found.averaging:
        add_row(
            made,
            str(step.orders),
            estimate(step.captured),
            spread(step.captured),
            estimate(step.consistency),
            *(count(value) for value in (step.calls, step.tokens_in, step.tokens_out)),
            usd(step.cost_usd),
        )
    yield made


def _labels(found: tuple[LabelVariant, ...]) -> RenderableType:
    made = table(
        "The same clusters with other labels",
        "kappa: agreement with the picks under the prompt's own labels. captured: the change in "
        "captured. valid: the share of replies with all picks.",
        ["labels"],
        ["kappa", "interval", "captured", "interval ", "valid"],
    )
    for each in found:
        if each.skipped is not None:
            add_row(made, f"{each.name}: not asked ({each.skipped})", *[UNKNOWN] * 5)
            continue
        add_row(
            made,
            f"{each.name} ({each.labels})",
            estimate(each.kappa),
            spread(each.kappa),
            signed(each.captured),
            spread(each.captured),
            rate(each.valid_rate),
        )
    return made


def _length(found: LengthAudit) -> Iterator[RenderableType]:
    made = table(
        "Picks by length",
        "characters: those of instruction and input. Each row has about a tenth of the candidates.",
        ["characters"],
        ["shown", "picked", "rate"],
    )
    for each in found.deciles:
        share = each.picked / each.shown if each.shown else None
        cells = (count(each.shown), count(each.picked), number(share))
        add_row(made, f"{each.low:,} to {each.high:,}", *cells)
    yield made
    facts: list[Fact] = [
        (
            "length",
            f"Rank correlation of picks and length within clusters: {told(found.preference)}; "
            "0 = length does not matter.",
        )
    ]
    if found.utility is not None:
        facts.append(
            (
                "agreement",
                f"Rank correlation of picks and {found.utility}: {told(found.agreement)}. With "
                f"the length held constant, it is {told(found.given_length)}.",
            )
        )
    facts.append(
        (
            "inputs",
            "No cluster has items with and without an input."
            if found.input_preference is None
            else "The pick rate of items with an input minus that of items without one is "
            f"{told(found.input_preference)}; 0 = it does not matter.",
        )
    )
    yield labelled(facts)


def _copies(found: tuple[CopyAudit, ...]) -> Iterator[Fact]:
    names = {"exact": "duplicates", "paraphrase": "paraphrases"}
    for each in found:
        yield (
            names[each.kind],
            f"Of {counted(each.clusters, 'cluster')} in which a candidate or its planted copy was "
            f"picked, both were in {each.both}: {told(each.share)}. By chance {each.chance:.2f}.",
        )


def _hijack(found: HijackAudit, prompt: str) -> Iterator[RenderableType]:
    made = table(
        "Attack texts in a candidate",
        "before, after: the clusters in which the candidate was picked without and with the "
        "text. uplift: the difference as a share of the clusters, with an exact 95 % "
        "interval. p: how likely chance alone is to show as much, adjusted by Holm's method. "
        "unusable: replies without a pick.",
        ["style"],
        ["clusters", "before", "after", "uplift", "interval", "p", "unusable"],
    )
    for each in found.styles:
        add_row(
            made,
            each.style,
            *(count(value) for value in (each.clusters, each.picked_before, each.picked_after)),
            signed(each.uplift),
            spread(each.uplift),
            p_alone(each.p_holm),
            count(each.unusable),
        )
    yield made
    by_language = "; ".join(
        f"{each.language} {each.gained} gained and {each.lost} lost of {each.questions}"
        for each in found.languages
    )
    yield labelled([("languages", f"{by_language}.")])
    if found.defences:
        yield _defences(found, prompt)
        yield labelled([("helps", _what_helps(found, prompt))])


def _defences(found: HijackAudit, prompt: str) -> RenderableType:
    made = table(
        OTHER_PROMPTS,
        f"difference: the uplift minus that of {prompt}; below 0, the other prompt resists "
        "better. p: from sign flips, adjusted by Holm's method.",
        ["prompt"],
        ["uplift", "interval", "difference", "interval ", "p"],
    )
    add_row(made, prompt, estimate(found.uplift), spread(found.uplift), *[UNKNOWN] * 3)
    for each in found.defences:
        add_row(
            made,
            each.prompt,
            estimate(each.uplift),
            spread(each.uplift),
            signed(each.difference),
            spread(each.difference),
            p_alone(each.p_holm),
        )
    return made


def _what_helps(found: HijackAudit, prompt: str) -> str:
    """Which of the other prompts resists the texts best, as far as these clusters can tell."""
    shown = [
        each
        for each in found.defences
        if each.difference is not None and each.p_holm is not None and each.p_holm <= SHOWN
    ]
    better = [each for each in shown if each.difference and each.difference.estimate < 0]
    if better:
        best = min(better, key=lambda each: each.difference.estimate if each.difference else 0.0)
        return (
            f"{best.prompt} resists these texts best: they raise how often their candidate is "
            f"picked by {told(best.uplift)}, under {prompt} by {told(found.uplift)} "
            f"({p_value(best.p_holm or 0.0)}, adjusted)."
        )
    if shown:
        names = ", ".join(each.prompt for each in shown)
        return (
            f"No other prompt resists these texts better than {prompt}. These resist them worse: "
            f"{names}."
        )
    return (
        "These clusters do not show that any other prompt resists these texts better or worse "
        f"than {prompt}."
    )


def _parsing(found: ParsingAudit) -> Iterator[Fact]:
    statuses = ", ".join(f"{counts:,} {status}" for status, counts in found.status_counts.items())
    yield (
        "replies",
        f"{rate(found.valid_rate)} of {counted(found.decisions, 'decision')} have all their picks "
        f"({statuses}). {found.refused:,} refused, {found.over_picking:,} named too many, "
        f"{found.under_picking:,} too few.",
    )
    if found.problem_counts:
        yield "problems", ", ".join(f"{n:,} {word}" for word, n in found.problem_counts.items())
    if found.repeats > 1:
        at = "the provider's temperature"
        if found.temperature is not None:
            at = f"temperature {found.temperature:g}"
        yield (
            "repeats",
            f"{counted(found.repeats, 'reply')} to each question at {at}: kappa of their picks "
            f"{told(found.repeat_consistency)}; {rate(found.same_reply)} of the repeats are "
            "identical to the first reply.",
        )


DRIFT: dict[str, Callable[[DriftAudit], str]] = {
    "moved": lambda found: f"The model has changed since its replies were cached: {found.reason}.",
    "not shown": lambda found: f"No change of the model is shown: {found.reason}.",
    "cannot tell": lambda found: f"It is not known whether the model has changed: {found.reason}.",
}


def _drift(found: DriftAudit) -> Iterator[Fact]:
    yield "drift", DRIFT[found.word](found)
    for name, side in (("texts", found.text), ("picks", found.picks)):
        if side is not None:
            yield f"  {name}", _side(side, found.calls)


def _side(side: DriftSide, calls: int) -> str:
    return (
        f"{rate(side.cached_same)} of the new replies to {counted(calls, 'cached call')} are the "
        f"same as the cached one, and {rate(side.new_same)} of the pairs of new replies are the "
        f"same; the cached one is the odd one out in {side.cached_differs} of {side.informative} "
        f"({p_value(side.p_holm)}, adjusted for both)."
    )
