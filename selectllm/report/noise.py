"""What `aa` found, as labelled sentences: how much a pair differs from itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from selectllm.report.verdict_sentences import KAPPA, Fact, utility
from selectllm.report.wording import around, counted, number, percent


def noise_facts(noise: Mapping[str, Any]) -> list[Fact]:
    """The noise floor, the false alarms that it causes, and what can be detected above it."""
    parts = (_noise_floor, _false_alarms, _detectable, _clusters, utility)
    return [fact for part in parts for fact in part(noise)]


def _noise_floor(noise: Mapping[str, Any]) -> Iterator[Fact]:
    found = noise["difference"]
    if found is not None:
        yield (
            "noise floor",
            f"the pair differs from itself by {found['estimate']:+.3f} captured, interval of "
            f"{percent(1 - noise['alpha'])} from {found['low']:+.3f} to {found['high']:+.3f}",
        )
    if noise["sd"] is not None:
        yield "sd(d)", f"{noise['sd']:.3f} captured: the spread of that difference over clusters"
    if noise["consistency"] is not None:
        kappa = around(noise["consistency"])
        yield "consistency", f"kappa of its own picks over {noise['by']} {kappa}: {KAPPA}"


def _false_alarms(noise: Mapping[str, Any]) -> Iterator[Fact]:
    alarms = noise["false_alarms"]
    drawn = f"in {noise['resamples']:,} resamples in which nothing changed"
    told = [
        f"{what} {percent(alarms[rule])}"
        for rule, what in (
            ("ab", "ab says better or worse in"),
            ("regress", "regress says fail in"),
            ("naive", "the rule 'the score must not drop' raises an alarm in"),
        )
        if alarms[rule] is not None
    ]
    if told:
        yield "false alarms", f"{drawn}, {'; '.join(told)}"


def _detectable(noise: Mapping[str, Any]) -> Iterator[Fact]:
    smallest, margin = noise["detectable"], noise["margin"]
    if smallest is None:
        return
    text = (
        f"were this noise all, a difference of {number(smallest, 3)} captured or more would be "
        "found with 80 % power; two prompts also differ by what they are, so it takes more"
    )
    if margin is not None:
        beyond = "above the margin" if smallest > margin else "within the margin"
        text += f"; that is {beyond} of {margin:.3g}"
        text += ": more clusters are needed to tell such a loss" if smallest > margin else ""
    yield "detectable", text


def _clusters(noise: Mapping[str, Any]) -> Iterator[Fact]:
    text = f"{counted(noise['clusters'], 'cluster')} compared"
    if noise["flat_clusters"]:
        text += f", {noise['flat_clusters']:,} flat left out (one utility for all items)"
    yield "clusters", f"{text}; the pair scores differently in {noise['nonzero']:,}"
