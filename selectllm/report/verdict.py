"""A verdict on a terminal: the word first, then why, the figures behind it, and what stands beside.

`aa` has no verdict; what it found of the noise is shown the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.core.verdict_words import KIND_WORDS, POLARITY
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.noise import noise_facts
from selectllm.report.verdict_sentences import figures, lead
from selectllm.report.wording import (
    Verdict,
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
    """One comparison, as results.json holds it (schema: the definition `verdict`)."""
    parts: list[RenderableType] = [headline(verdict), Text()]
    parts.append(labelled([*lead(verdict), *figures(verdict)]))
    for each in (_swap_table, _looks_table, _beside_table):
        made = each(verdict)
        if made is not None:
            parts += [Text(), made]
    return Group(*parts)


def headline(verdict: Verdict) -> Text:
    """`BETTER  criteria@1 + gpt against short@1 + gpt`."""
    word = Text(verdict["word"].upper(), style=STYLES[POLARITY[verdict["word"]]])
    return Text.assemble(word, "  ", Text(subject(verdict), style="bold"))


def render_noise(noise: Mapping[str, Any]) -> RenderableType:
    """What `aa` found (schema: the definition `noise`)."""
    head = f"{noise['pair']} against itself, with other {noise['by']}"
    return Group(
        Text.assemble(Text("NOISE FLOOR", style="bold"), "  ", Text(head, style="bold")),
        Text(),
        labelled(noise_facts(noise)),
    )


def _swap_table(verdict: Verdict) -> Table | None:
    """What the swap costs and saves."""
    swap = verdict["swap"]
    if swap is None:
        return None
    made = table(
        "consistency over orders, and what 1,000 selected items take",
        "consistency: 0 = as random picks overlap, 1 = the same picks; not priced is not free",
        ["arm"],
        ["consistency", "USD", "seconds"],
    )
    for side, called in zip(("a", "b"), KIND_WORDS[verdict["kind"]].arms, strict=True):
        add_row(
            made,
            f"{called}: {verdict[side]}",
            estimate(swap["order_consistency"][side]),
            usd(swap["usd_per_1000"][side]),
            number(swap["seconds_per_1000"][side], 1),
        )
    return made


def _looks_table(verdict: Verdict) -> Table | None:
    """A sequential design's looks, with the interval that held at each."""
    looks = verdict["design"]["looks"]
    if not looks:
        return None
    caption = "the interval at each look holds for all looks together"
    made = table("looks", caption, [], ["clusters", "interval of the difference"])
    for look in looks:
        add_row(made, count(look["clusters"]), spread(look, 3))
    return made


def _beside_table(verdict: Verdict) -> Table | None:
    """Other utilities and controls: shown, never asked."""
    if not verdict["others"] and not verdict["controls"]:
        return None
    made = table(
        "beside the verdict; these decide nothing",
        "difference: under another utility; captured: by a control, under the one that decides",
        ["what"],
        ["figure", "estimate", "interval"],
    )
    for other in verdict["others"]:
        found = other["difference"]
        value = "-" if found is None else f"{found['estimate']:+.3f}"
        name = f"utility {named({'rater': None, **other, 'name': other['utility']})}"
        add_row(made, name, "difference", value, spread(found, 3))
    for control in verdict["controls"]:
        captured = control["captured"]
        name = f"control {control['strategy']}"
        add_row(made, name, "captured", estimate(captured), spread(captured))
    return made
