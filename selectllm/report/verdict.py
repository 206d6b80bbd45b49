"""A verdict on a terminal: the word first, then why, the figures behind it, and what stands beside.

`aa` has no verdict; what it found of the noise is shown the same way.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.core.verdict_words import KIND_WORDS, POLARITY
from selectllm.evaluation.comparison.schema import Noise, Verdict
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.noise import brief_noise, noise_facts
from selectllm.report.verdict_sentences import brief, figures, lead, worse_than_random
from selectllm.report.wording import (
    count,
    estimate,
    named,
    number,
    spread,
    subject,
    usd,
)

STYLES = {"good": "bold green", "bad": "bold red", "open": "bold yellow"}


def render_verdict(verdict: Verdict) -> RenderableType:
    """One comparison, as results.json holds it."""
    parts: list[RenderableType] = [headline(verdict), Text()]
    parts.append(labelled([*lead(verdict), *figures(verdict)]))
    for each in (_swap_table, _looks_table, _beside_table):
        made = each(verdict)
        if made is not None:
            parts += [Text(), made]
    return Group(*parts)


def in_brief(verdict: Verdict) -> RenderableType:
    """The word, what is to be known beside it, and the five lines that tell most."""
    return Group(headline(verdict), Text(), labelled(brief(verdict)), Text())


def headline(verdict: Verdict) -> Text:
    """`BETTER  criteria@1 + gpt against short@1 + gpt`.

    And, after a colon, which of them is worse than random picks.
    """
    word = Text(verdict.word.upper(), style=STYLES[POLARITY[verdict.word]])
    parts: list[str | Text] = [word, "  ", Text(subject(verdict), style="bold")]
    if worse := worse_than_random(verdict):
        parts += [": ", Text(worse, style=STYLES["bad"])]
    return Text.assemble(*parts)


def render_noise(noise: Noise, *, details: bool = True) -> RenderableType:
    """What `aa` found; without `details` the five lines that tell most."""
    head = f"{noise.pair} against itself, with other {noise.by}"
    return Group(
        Text.assemble(Text("NOISE FLOOR", style="bold"), "  ", Text(head, style="bold")),
        Text(),
        labelled(noise_facts(noise) if details else brief_noise(noise)),
    )


def _swap_table(verdict: Verdict) -> Table | None:
    """What the swap costs and saves."""
    swap = verdict.swap
    if swap is None:
        return None
    made = table(
        "consistency across orders, and what 1,000 selected items take",
        "consistency: 0 = no more than random picks, 1 = the same picks. USD: 'not "
        "priced' does not mean free. seconds: the time of all calls, one after the "
        "other.",
        ["arm"],
        ["consistency", "USD", "seconds"],
    )
    consistency, paid, took = swap.order_consistency, swap.usd_per_1000, swap.seconds_per_1000
    before, after = KIND_WORDS[verdict.kind].arms
    a = estimate(consistency.a), usd(paid.a), number(took.a, 1)
    b = estimate(consistency.b), usd(paid.b), number(took.b, 1)
    add_row(made, f"{before}: {verdict.a}", *a)
    add_row(made, f"{after}: {verdict.b}", *b)
    return made


def _looks_table(verdict: Verdict) -> Table | None:
    """A sequential design's looks, with the interval that held at each."""
    looks = verdict.design.looks
    if not looks:
        return None
    caption = "the interval at each look holds for all looks together"
    made = table("looks", caption, [], ["clusters", "interval of the difference"])
    for look in looks:
        add_row(made, count(look.clusters), spread(look, 3))
    return made


def _beside_table(verdict: Verdict) -> Table | None:
    """Other utilities and controls: shown, never asked."""
    if not verdict.others and not verdict.controls:
        return None
    made = table(
        "for information: these figures do not affect the verdict",
        "difference: measured by another utility. captured: what a control captures of "
        "the deciding utility.",
        ["what"],
        ["figure", "estimate", "interval"],
    )
    for other in verdict.others:
        found = other.difference
        value = "-" if found is None else f"{found.estimate:+.3f}"
        name = f"utility {named(other)}"
        add_row(made, name, "difference", value, spread(found, 3))
    for control in verdict.controls:
        captured = control.captured
        name = f"control {control.strategy}"
        add_row(made, name, "captured", estimate(captured), spread(captured))
    return made
