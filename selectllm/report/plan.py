"""A plan on a terminal: what it will take, what it can show, and what it takes for granted."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.evaluation.planning.schema import (
    AssistedBill,
    Outlay,
    PairAsking,
    PlannedClusters,
    PlanResults,
    RatingsBill,
    destinations_told,
)
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.wording import (
    SD,
    Fact,
    count,
    counted,
    explained,
    named,
    number,
    percent,
    usd,
)

SPREADS = {
    "pilot": "It was measured between the arms of the pilot.",
    "random picks": "It is that of two random pickers on this utility.",
    "assumption": "It is assumed, because neither ratings nor a pilot show it.",
}
"""Where the spread of the differences is from."""
COLUMNS = {
    "budget": "the number of items in a set",
    "calls": "the number of calls that will be sent",
    "known": "the number of replies that are recorded or cached already",
    "tokens in": "the tokens of the prompts. ~ marks an estimate, because the model's tokenizer is "
    "not at hand",
    "out": "the tokens of the replies",
    "USD": "what you can expect to pay",
    "most": "what you pay at most, if every reply is as long as allowed and every question is "
    "asked again",
}
"""What the columns of a plan say."""
TAKEN = "These figures assume:"


def render_plan(plan: PlanResults) -> RenderableType:
    """The costs first, then what they buy, then what was assumed."""
    head = f"{plan.suite}: plan for {plan.for_}. Nothing was sent."
    parts: list[RenderableType] = [Text(head, style="bold"), Text()]
    parts.append(labelled(_takes(plan)))
    if plan.pairs or plan.strategies:
        parts += [Text(), _pairs_table(plan)]
    parts += [Text(), labelled(_shows(plan))]
    if plan.assumptions:
        parts += [Text(), Text(TAKEN, style="bold")]
        parts += [labelled(("-", text) for text in plan.assumptions)]
    return Group(*parts)


def _takes(plan: PlanResults) -> Iterator[Fact]:
    """What is needed: clusters, calls, money, time, ratings."""
    for part in (_clusters, _calls, _money, _budgets, _time, _privacy, _ratings):
        yield from part(plan)


def _shows(plan: PlanResults) -> Iterator[Fact]:
    """What can come of it."""
    for part in (_spread, _power, _retention, _reach):
        yield from part(plan)
    if plan.sequential:
        yield "sequential", plan.sequential


def _clusters(plan: PlanResults) -> Iterator[Fact]:
    found, utility = plan.clusters, plan.utility
    text = f"The model is asked about {found.asked:,} of the {counted(found.pool, 'cluster')} that "
    text += "the pool has."
    if utility:
        many = f"{found.counted:,}" if found.flat else "All"
        text += f" {many} of them count by {named(utility)}"
        if found.flat:
            text += f"; in {found.flat:,} all items have the same value, so they show nothing"
        text += "."
    if found.whole:
        text += f" {found.whole:,} more are picked whole, without asking."
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
    items = f", and strategies ask about {counted(measured, 'item')}" if measured else ""
    yield (
        "calls",
        f"{' x '.join(factors)} make {counted(pairs, 'decision')}{items}. {total.known:,} of the "
        f"replies are recorded or cached and cost nothing. {calls_ahead(total)}",
    )
    if total.too_long:
        yield (
            "too long",
            f"{counted(total.too_long, 'prompt')} would be longer than the model's context. Such a "
            "prompt is never sent and counts as invalid. Make clusters.size smaller.",
        )


def calls_ahead(total: Outlay) -> str:
    """How many calls will be sent, and how many at most."""
    told = f"{counted(total.calls, 'call')} will be sent"
    if total.further:
        return (
            f"{told}. Adaptive votes may take up to {counted(total.further, 'ballot')} beyond "
            f"their first ones, and all calls come to {total.calls_most:,} at most if replies have "
            "to be asked for again."
        )
    return f"{told}, or at most {total.calls_most:,} if replies have to be asked for again."


def _money(plan: PlanResults) -> Iterator[Fact]:
    total, prices = plan.total, plan.price_table
    if total.usd is None:
        free = [f"{p.prompt} + {p.model}" for p in _asking(plan) if p.usd is None]
        text = f"The price of {', '.join(free)} is not known. Write it into the suite, as "
        text += "price: {input, output} of the model."
    else:
        text = (
            f"You can expect to pay {usd(total.usd)}, and at most {usd(total.usd_most)} if every "
        )
        text += "reply takes max_tokens and every question is asked again as often as the suite "
        text += "allows."
    yield "USD", text
    if prices is not None:
        newest = prices.newest_model or "unknown"
        yield (
            "prices",
            f"They come from the table in litellm {prices.version}. The table has no date; the "
            f"newest dated model in it is of {newest}.",
        )


def _time(plan: PlanResults) -> Iterator[Fact]:
    hours = plan.total.hours
    text = f"{hours:.2f}" if hours >= 0.01 or hours == 0 else "below 0.01"
    yield "hours", f"{text}, with {counted(plan.concurrency, 'call')} at the same time."


def _budgets(plan: PlanResults) -> Iterator[Fact]:
    for each in plan.shared_budgets:
        yield "budget", each.told(plan.total.usd)


def _privacy(plan: PlanResults) -> Iterator[Fact]:
    yield "privacy", destinations_told(plan.destinations)


def _ratings(plan: PlanResults) -> Iterator[Fact]:
    needed = plan.ratings
    if not needed.items:
        yield "ratings", "None are needed: every item of the counted clusters has its value."
        return
    whole = _bill(needed, needed.raters)
    yield "ratings", f"{whole} are needed to know the value of every item in the clusters."
    differing = needed.differing
    if differing is not None:
        source = "as many as in the pilot"
        if differing.source != "pilot":
            source = "at most, if the arms agree no less than by chance"
        yield (
            "",
            f"{_bill(differing, needed.raters)} ({source}) are enough if you rate only the items "
            "that one of two arms picked and the other did not, with ab --differing.",
        )
    if needed.assisted is not None:
        yield _assisted(needed.assisted, needed.raters)


def _assisted(needed: AssistedBill, raters: int) -> Fact:
    """What people are left to rate beside a judge."""
    judge = f"{needed.judge} (correlation {needed.correlation:+.2f})"
    alone = f"without it they would rate {needed.alone:,}"
    if needed.wanted is None:
        return (
            "judge",
            f"With {judge}, not even people rating all {counted(needed.judged, 'cluster')} would "
            f"find the margin with 80 % power ({alone}). Ask more clusters.",
        )
    text = (
        f"With {judge}, people rate {needed.wanted:,} of {counted(needed.judged, 'cluster')} to "
        f"find the margin with 80 % power; {alone}. They have rated {needed.rated:,}"
    )
    if not needed.items:
        return "judge", f"{text}, and that is enough."
    known = " --rated RATINGS" if needed.rated else ""
    ask = f"selectllm utility ask SUITE --sample {needed.wanted}{known} -o sheet.csv"
    return "judge", f"{text}, which leaves {_bill(needed, raters)}. To ask for them, run: {ask}"


def _bill(needed: RatingsBill, raters: int) -> str:
    text = f"{counted(needed.items, 'item')} x {counted(raters, 'rater')} = "
    text += counted(needed.ratings, "rating")
    return text if needed.usd is None else f"{text}, {usd(needed.usd)} USD"


def _asking(plan: PlanResults) -> list[PairAsking]:
    """What asks a model: the pairs, then strategies that measure items by one."""
    return [*plan.pairs, *plan.strategies]


def _pairs_table(plan: PlanResults) -> Table:
    """What each pair takes."""
    columns = ["calls", "known", "tokens in", "out", "USD", "most"]
    made = table("what will be sent", explained(columns, COLUMNS), ["selector"], columns)
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
    yield "sd(d)", f"{spread.sd:.3f} is the {SD}. {SPREADS[spread.source]}"


def _power(plan: PlanResults) -> Iterator[Fact]:
    power, found = plan.power, plan.clusters
    level = f"{'two' if power.sides == 2 else 'one'}-sided {percent(power.alpha)}"
    there = counted(found.counted, "counted cluster") + _in(found.groups)
    if power.detectable is None:
        yield "detectable", f"Nothing can be detected: {there} are too few."
    else:
        yield (
            "detectable",
            f"A difference of {number(power.detectable, 3)} captured or more will be found in 80 "
            f"of 100 such comparisons ({level}, {there}).",
        )
    if found.groups is not None:
        yield (
            "groups",
            f"A verdict is based on the {counted(found.groups, 'group')}, not on the clusters in "
            "them. A few groups say little, however many clusters each of them "
            f"has{_uneven(found)}.",
        )
    if plan.for_ == "swap":
        return
    needed = f"{counted(power.for_margin, 'counted cluster')}{_in(power.groups_for_margin)}"
    if plan.for_ == "regress":
        text = (
            f"With a margin of {power.margin:g} captured, {needed} let a prompt of equal quality "
        )
        text += "pass"
    else:
        text = f"A difference of {power.margin:g} captured is found with {needed}"
    if power.for_equal is not None:
        text += f", and equal arms are shown to be equivalent with {power.for_equal:,}"
    yield "margin", f"{text}, in 80 of 100 comparisons."


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
    yield "in use", f"The model to be replaced captures {number(swap.captured)} {source}."
    safe = "that a model of equal quality is safe"
    for row in swap.retain:
        needs = f"No number of clusters shows {safe}."
        if row.clusters is not None:
            clusters = counted(row.clusters, "counted cluster")
            needs = f"{clusters} show {safe}, in 80 of 100 comparisons."
        yield f"retain {percent(row.retain)}", needs


def _reach(plan: PlanResults) -> Iterator[Fact]:
    """Whether the suite can say pass (equivalent, safe) at all."""
    found, counts, word = plan.reach, plan.clusters, plan.for_
    if found is None:
        return
    if word == "swap":
        case = f"Even if both models were equally good in every cluster, `{found.word}` needs"
    else:
        case = f"Even if the arms scored the same in every cluster, `{found.word}` needs"
    same = " (identical picks in all clusters pass outright)" if word == "regress" else ""
    more = "cluster" if found.groups is None else "group"
    need = (
        f"{case} {counted(found.least, 'counted cluster')}{_in(found.groups)}{same}, so that one "
        f"more {more} with the worst possible result would not change the verdict."
    )
    if found.possible:
        yield "reach", f"The verdict `{found.word}` is possible. {need}"
        return
    here = f"{counts.counted:,}{_in(counts.groups)}"
    yield "OUT OF REACH", f"{need} This suite has {here}. {_remedy(plan)}."


def _remedy(plan: PlanResults) -> str:
    """What brings a word within reach."""
    found, pool = plan.reach, plan.clusters.pool
    if found is not None and found.groups is not None:
        return "Raise clusters.limit, or add items of other groups"
    asked = None if found is None else found.asked
    if asked is not None and asked <= pool:
        return f"Raise clusters.limit to {asked:,} or more; the pool has {pool:,}"
    return f"The pool has only {pool:,}. Add items, or make clusters.size smaller"
