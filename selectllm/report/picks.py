"""A selection in words: how many of how many, how, at which cost, and beside the pool."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from selectllm.core.shown import capital
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.votes import places_told
from selectllm.report.wording import UNKNOWN, counted, number, usd
from selectllm.selection.schema import PickedLengths, SelectionSummary


def render_selection(summary: SelectionSummary) -> RenderableType:
    """What a terminal shows of a selection."""
    parts: list[RenderableType] = [Text(f"{headline(summary)}."), labelled(facts(summary))]
    if len(summary.lengths) > 1:
        parts.append(_lengths(summary.lengths))
    if summary.topics:
        made = table(
            "what the picks are about",
            "Topics are groups of the pool by its vectors, each named after its most central item.",
            ["topic"],
            ["pool", "picks"],
        )
        for each in summary.topics:
            add_row(made, each.example, f"{each.pool:,}", f"{each.picks:,}")
        parts.append(made)
    return Group(*parts)


def headline(summary: SelectionSummary) -> str:
    """Such as `20 of 180 items were selected by criteria@1 with gpt`."""
    of = "" if summary.pool_items is None else f" of {summary.pool_items:,}"
    verb = "was" if summary.selected == 1 and not of else "were"
    noun = "item" if (summary.pool_items or summary.selected) == 1 else "items"
    return f"{summary.selected:,}{of} {noun} {verb} selected{_by(summary)}"


def _by(summary: SelectionSummary) -> str:
    if summary.strategy is not None:
        return f" by the strategy {summary.strategy}"
    if summary.prompt is None:
        return ""
    return f" by {summary.prompt} with {summary.model}"


def facts(summary: SelectionSummary) -> Iterator[tuple[str, str]]:
    """Labels with a sentence each."""
    filled = f"{summary.filled:,} of {summary.selected:,}"
    none = "None of the picks was chosen at random."
    yield (
        "at random",
        f"{filled} picks only fill gaps and were chosen at random, because no usable answer "
        "selected an item there."
        if summary.filled
        else none,
    )
    if summary.whole:
        yield "whole", f"{summary.whole:,} picks were taken together with their whole cluster."
    if summary.vote is not None:
        yield "vote", f"Every cluster was decided by a vote: {summary.vote}."
    if summary.wins and any(summary.wins):
        yield "places", capital(places_told(summary.wins))
    if (spread := summary.clusters) is not None:
        how = f" (made by {spread.by})" if spread.by else ""
        rounds = f" that were left after {spread.rounds} rounds" if spread.rounds > 1 else ""
        of = f"{spread.reached:,} of {counted(spread.clusters, 'cluster')}{how}"
        yield "clusters", f"{of} gave picks{rounds}."
    if summary.calls:
        yield (
            "cost",
            f"{counted(summary.calls, 'reply').replace('replys', 'replies')} with "
            f"{summary.tokens_in:,} tokens in and {summary.tokens_out:,} out: {_usd(summary)}.",
        )
    if summary.likeness is not None:
        yield (
            "likeness",
            f"Two picks have a cosine of {number(summary.likeness.picks)} on average, two items of "
            f"the pool {number(summary.likeness.pool)}. Lower is more diverse.",
        )


def _usd(summary: SelectionSummary) -> str:
    return usd(summary.cost_usd) + ("" if summary.cost_usd is None else " USD")


def _lengths(lengths: tuple[PickedLengths, ...]) -> RenderableType:
    made = table(
        "length of the picks compared with the pool", "", ["characters"], ["pool", "picks"]
    )
    picks, pool = (sum(getattr(each, name) or 0 for each in lengths) for name in ("picks", "pool"))
    for each in lengths:
        span = f"{each.low:,} and more" if each.high is None else f"{each.low:,} to {each.high:,}"
        share = f"{(each.pool or 0) / pool:.0%}" if pool else UNKNOWN
        add_row(made, span, share, f"{each.picks / picks:.0%}" if picks else UNKNOWN)
    return made
