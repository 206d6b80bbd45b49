"""A plan on a terminal: what it will take, what it can show, and what it takes for granted."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.evaluation.planning.schema import (
    PairAsking,
    PlannedClusters,
    PlanResults,
    RatingsBill,
)
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.verdict_sentences import Fact
from selectllm.report.wording import SD, count, counted, named, number, percent, usd

SPREADS = {
    "pilot": "as between the pilot's arms",
    "random picks": "of two random pickers on this utility",
    "assumption": "assumed",
}


def render_plan(plan: PlanResults) -> RenderableType:
    """The costs first, then what they buy, then what was assumed."""
    head = f"{plan.suite}: plan for {plan.for_}; nothing was sent"
    parts: list[RenderableType] = [Text(head, style="bold"), Text()]
    parts.append(labelled(_takes(plan)))
    if plan.pairs or plan.strategies:
        parts += [Text(), _pairs_table(plan)]
    parts += [Text(), labelled(_shows(plan))]
    if plan.assumptions:
        parts += [Text(), Text("taken for granted", style="bold")]
        parts += [labelled(("-", text) for text in plan.assumptions)]
    return Group(*parts)


def _takes(plan: PlanResults) -> Iterator[Fact]:
    """What is needed: clusters, calls, money, time, ratings."""
    for part in (_clusters, _calls, _money, _time, _ratings):
        yield from part(plan)


def _shows(plan: PlanResults) -> Iterator[Fact]:
    """What can come of it."""
    for part in (_spread, _power, _retention, _reach):
        yield from part(plan)
    if plan.sequential:
        yield "sequential", plan.sequential


def _clusters(plan: PlanResults) -> Iterator[Fact]:
    found, utility = plan.clusters, plan.utility
    text = f"{counted(found.asked, 'cluster')} asked, of {found.pool:,} that the pool gives"
    if utility:
        text += f"; {found.counted:,} counted, {found.flat:,} flat by {named(utility)}"
    if found.whole:
        text += f"; {found.whole:,} more are picked whole and not asked"
    yield "clusters", text


def _calls(plan: PlanResults) -> Iterator[Fact]:
    total = plan.total
    factors = [
        counted(plan.clusters.asked, "cluster"),
        counted(plan.orders, "order"),
        counted(plan.repeats, "repeat"),
        counted(len(plan.pairs), "pair"),
    ]
    pairs = sum(pair.decisions for pair in plan.pairs)
    measured = total.decisions - pairs
    items = f", and {counted(measured, 'item')} that strategies ask about" if measured else ""
    yield (
        "calls",
        f"{' x '.join(factors)} = {pairs:,} decisions{items}; {total.known:,} are recorded or "
        f"cached and cost nothing; {total.calls:,} to send, {total.calls_most:,} at most "
        "with asking again",
    )
    if total.too_long:
        yield (
            "too long",
            f"{counted(total.too_long, 'prompt')} longer than the model's context: never sent, "
            "counted as invalid; make clusters.size smaller",
        )


def _money(plan: PlanResults) -> Iterator[Fact]:
    total, prices = plan.total, plan.price_table
    if total.usd is None:
        free = [f"{p.prompt} + {p.model}" for p in _asking(plan) if p.usd is None]
        text = f"not priced: {', '.join(free)}; give the model a price: {{input, output}}"
    else:
        text = f"{usd(total.usd)} expected, {usd(total.usd_most)} at most (every reply of "
        text += "max_tokens, every question asked again as often as the suite allows)"
    yield "USD", text
    if prices is not None:
        newest = prices.newest_model or "unknown"
        yield (
            "prices",
            f"of the table in litellm {prices.version}, which carries no date; the newest dated "
            f"model in it is of {newest}",
        )


def _time(plan: PlanResults) -> Iterator[Fact]:
    hours = plan.total.hours
    text = f"{hours:.2f}" if hours >= 0.01 or hours == 0 else "below 0.01"
    yield "hours", f"{text} with {counted(plan.concurrency, 'call')} in flight"


def _ratings(plan: PlanResults) -> Iterator[Fact]:
    needed = plan.ratings
    if not needed.items:
        yield "ratings", "none are needed: every item of the counted clusters has its value"
        return
    yield "ratings", f"{_bill(needed, needed.raters)} to know every item of the clusters"
    differing = needed.differing
    if differing is not None:
        source = "as in the pilot" if differing.source == "pilot" else "at most, if arms agree "
        source += "" if differing.source == "pilot" else "no less than by chance"
        yield (
            "",
            f"or {_bill(differing, needed.raters)} ({source}) if only the items that exactly "
            "one of two arms picked are rated: ab --differing",
        )


def _bill(needed: RatingsBill, raters: int) -> str:
    text = f"{counted(needed.items, 'item')} x {counted(raters, 'rater')} = "
    text += counted(needed.ratings, "rating")
    return text if needed.usd is None else f"{text}, {usd(needed.usd)} USD"


def _asking(plan: PlanResults) -> list[PairAsking]:
    """What asks a model: the pairs, then strategies that measure items by one."""
    return [*plan.pairs, *plan.strategies]


def _pairs_table(plan: PlanResults) -> Table:
    """What each pair takes."""
    made = table(
        "what will be sent",
        "calls: to be sent; known: replies that are recorded or cached; tokens in: of the "
        "prompts; "
        "out: of the replies; ~: an estimate, since the model's tokenizer is not at hand; USD: "
        "what "
        "is expected; most: if every reply were as long as allowed, and every question asked "
        "again",
        ["selector"],
        ["calls", "known", "tokens in", "out", "USD", "most"],
    )
    for pair in _asking(plan):
        about = "~" if pair.tokens_by == "estimate" and pair.tokens_in else ""
        add_row(
            made,
            f"{pair.prompt} + {pair.model}",
            count(pair.calls),
            count(pair.known),
            about + count(pair.tokens_in),
            count(pair.tokens_out),
            usd(pair.usd),
            usd(pair.usd_most),
        )
    return made


def _spread(plan: PlanResults) -> Iterator[Fact]:
    spread = plan.spread
    yield "sd(d)", f"{spread.sd:.3f}, {SPREADS[spread.source]}; {SD}"


def _power(plan: PlanResults) -> Iterator[Fact]:
    power, found = plan.power, plan.clusters
    level = f"{'two' if power.sides == 2 else 'one'}-sided {percent(power.alpha)}"
    there = counted(found.counted, "counted cluster") + _in(found.groups)
    if power.detectable is None:
        yield "detectable", f"nothing: {there} are too few to show any difference"
    else:
        yield (
            "detectable",
            f"a difference of {number(power.detectable, 3)} captured or more, with 80 % power "
            f"({level}, {there})",
        )
    if found.groups is not None:
        yield (
            "groups",
            f"verdicts go by the {counted(found.groups, 'group')}, not by the clusters in them: "
            f"few groups say little, however many clusters each has{_uneven(found)}",
        )
    if plan.for_ == "swap":
        return
    text = f"{power.margin:g} captured needs {power.for_margin:,} counted clusters"
    text += _in(power.groups_for_margin)
    text += " to pass at equal quality" if plan.for_ == "regress" else " to be found"
    if power.for_equal is not None:
        text += f", and {power.for_equal:,} to show equal arms equivalent"
    yield "margin", f"{text}, with 80 % power"


def _uneven(found: PlannedClusters) -> str:
    """What groups of unequal size cost, where it is much."""
    if not (found.groups and found.effective_groups):
        return ""
    if found.effective_groups > 0.9 * found.groups:
        return ""
    return (
        f". As they differ in size, they say only as much as {int(found.effective_groups)} "
        "groups of one size"
    )


def _in(groups: int | None) -> str:
    return "" if groups is None else f" in {counted(groups, 'group')}"


def _retention(plan: PlanResults) -> Iterator[Fact]:
    """swap: the clusters that a newcomer of equal quality needs to be called safe."""
    swap = plan.swap
    if swap is None:
        return
    source = "in the pilot" if swap.source == "pilot" else "by assumption"
    yield "in use", f"the model to be replaced captures {number(swap.captured)} {source}"
    for row in swap.retain:
        needs = "no number of clusters shows"
        if row.clusters is not None:
            needs = f"{counted(row.clusters, 'counted cluster')} show, with 80 % power,"
        yield f"retain {percent(row.retain)}", f"{needs} a model of equal quality to be safe"


def _reach(plan: PlanResults) -> Iterator[Fact]:
    """Whether the suite can say pass (equivalent, safe) at all."""
    found, counts, word = plan.reach, plan.clusters, plan.for_
    if found is None:
        return
    if word == "swap":
        case = f"even if both models were equally good in every cluster, `{found.word}` needs"
    else:
        case = f"even if every d were 0, `{found.word}` needs"
    same = " (identical picks in all clusters pass outright)" if word == "regress" else ""
    more = "cluster" if found.groups is None else "group"
    need = (
        f"{case} {found.least:,} counted clusters{_in(found.groups)}{same}, so that one more "
        f"{more} that goes as badly as it can would not change it"
    )
    if found.possible:
        yield "reach", f"`{found.word}` can be said: {need}"
        return
    here = f"{counts.counted:,}{_in(counts.groups)}"
    yield "OUT OF REACH", f"{need}. This suite has {here}; {_remedy(plan)}"


def _remedy(plan: PlanResults) -> str:
    """What brings a word within reach."""
    found, pool = plan.reach, plan.clusters.pool
    if found is not None and found.groups is not None:
        return "raise clusters.limit, or add items of other groups"
    asked = None if found is None else found.asked
    if asked is not None and asked <= pool:
        return f"raise clusters.limit to {asked:,} or more; the pool gives {pool:,}"
    return f"the pool gives {pool:,} at most: add items, or make clusters.size smaller"
