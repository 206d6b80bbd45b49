"""The plan of a suite's sets on a terminal: what each selector will ask, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.core.names import STRATEGY
from selectllm.evaluation.planning.schema import destinations_told
from selectllm.evaluation.planning.sets_schema import SetRound, SetsPlanResults
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.plan import COLUMNS, TAKEN, calls_ahead
from selectllm.report.wording import Fact, count, counted, explained, usd


def render_sets_plan(plan: SetsPlanResults) -> RenderableType:
    """The totals, each selector that asks a model, and what is taken for granted."""
    head = f"{plan.suite}: plan for sets. Nothing was sent."
    parts: list[RenderableType] = [Text(head, style="bold"), Text(), labelled(_totals(plan))]
    if plan.asking:
        parts += [Text(), _table(plan), Text(), labelled(_rounds(plan))]
    if plan.assumptions:
        parts += [Text(), Text(TAKEN, style="bold")]
        parts.append(labelled(("-", text) for text in plan.assumptions))
    return Group(*parts)


def _totals(plan: SetsPlanResults) -> Iterator[Fact]:
    yield from _sets(plan)
    yield "privacy", destinations_told(plan.destinations)


def _sets(plan: SetsPlanResults) -> Iterator[Fact]:
    total, seeds = plan.total, plan.seeds
    selectors = {each.selector for each in plan.asking} | {*plan.unasked}
    factors = [
        counted(len(selectors), "selector"),
        counted(len(plan.budgets), "budget"),
        counted(len(seeds), "seed"),
    ]
    made = len(selectors) * len(plan.budgets) * len(seeds)
    yield (
        "sets",
        f"{' x '.join(factors)} make {counted(made, 'set')}, from a pool of "
        f"{counted(plan.items, 'item')}.",
    )
    yield "calls", calls_ahead(total)
    if total.too_long:
        yield (
            "too long",
            f"About {counted(total.too_long, 'prompt')} would be longer than the model's context. "
            "Such a prompt is never sent, and its picks are filled at random. Make clusters.size "
            "smaller.",
        )
    if total.usd is None:
        lacking = sorted({each.selector for each in plan.asking if each.usd is None})
        yield (
            "USD",
            f"The price of {', '.join(lacking)} is not known. Write it into the suite, as price: "
            "{input, output} of the model.",
        )
    else:
        yield "USD", f"You can expect to pay {usd(total.usd)}, and at most {usd(total.usd_most)}."
    hours = total.hours
    text = f"{hours:.2f}" if hours >= 0.01 or hours == 0 else "below 0.01"
    yield "hours", f"{text}, with {counted(plan.concurrency, 'call')} at the same time."
    if plan.unasked:
        yield "no calls", f"These ask no model: {', '.join(_name(each) for each in plan.unasked)}."
    for each in plan.left_out:
        yield "left out", f"{_name(each.selector)}: {each.reason}"


def _table(plan: SetsPlanResults) -> Table:
    over = counted(len(plan.seeds), "seed")
    columns = ["budget", "calls", "tokens in", "out", "USD", "most"]
    made = table(
        f"what will be sent, over {over}",
        f"{explained(columns, COLUMNS)}\nA strategy measures the items once for all its sets.",
        ["selector"],
        columns,
    )
    for each in plan.asking:
        about = "~" if each.tokens_by == "estimate" and each.tokens_in else ""
        add_row(
            made,
            _name(each.selector),
            "all" if each.budget is None else count(each.budget),
            count(each.calls),
            about + count(each.tokens_in),
            count(each.tokens_out),
            usd(each.usd),
            usd(each.usd_most),
        )
    return made


def _rounds(plan: SetsPlanResults) -> Iterator[Fact]:
    """The rounds of every budget: they are the same for all pairs."""
    told: dict[int, tuple[SetRound, ...]] = {}
    for each in plan.asking:
        if each.budget is not None:
            told.setdefault(each.budget, each.rounds)
    for budget, rounds in told.items():
        yield f"budget {budget:,}", ", then ".join(_round(each) for each in rounds)


def _round(found: SetRound) -> str:
    clusters, size, picks = found.clusters, found.size, found.picks
    if picks >= size:
        return f"{counted(clusters, 'cluster')} that are taken whole, without asking"
    return (
        f"{counted(clusters, 'cluster')} of about {counted(size, 'item')}, with at least "
        f"{counted(picks, 'pick')} from each"
    )


def _name(selector: str) -> str:
    return selector.removeprefix(STRATEGY)
