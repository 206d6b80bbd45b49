"""What `aa` found, as labelled sentences: how much a pair differs from itself."""

from __future__ import annotations

from collections.abc import Iterator

from selectllm.evaluation.comparison.schema import Noise
from selectllm.report.verdict_sentences import KAPPA, Fact, compared, utility
from selectllm.report.wording import around, number, percent


def noise_facts(noise: Noise) -> list[Fact]:
    """The noise floor, the false alarms that it causes, and what can be detected above it."""
    parts = (_noise_floor, _false_alarms, _detectable, _clusters, utility)
    return [fact for part in parts for fact in part(noise)]


def brief_noise(noise: Noise) -> list[Fact]:
    """The noise floor, the false alarms, what can be detected, the clusters and the utility."""
    told = ("noise floor", "false alarms", "detectable", "clusters", "utility")
    return [fact for fact in noise_facts(noise) if fact[0] in told]


def _noise_floor(noise: Noise) -> Iterator[Fact]:
    found = noise.difference
    if found is not None:
        yield (
            "noise floor",
            f"the pair differs from itself by {found.estimate:+.3f} captured, interval of "
            f"{percent(1 - noise.alpha)} from {found.low:+.3f} to {found.high:+.3f}",
        )
    if noise.sd is not None:
        yield "sd(d)", f"{noise.sd:.3f} captured: the spread of that difference over clusters"
    if noise.consistency is not None:
        kappa = around(noise.consistency)
        yield "consistency", f"kappa of its own picks over {noise.by} {kappa}: {KAPPA}"


def _false_alarms(noise: Noise) -> Iterator[Fact]:
    alarms = noise.false_alarms
    drawn = f"in {noise.resamples:,} resamples in which nothing changed"
    told = [
        f"{what} {percent(share)}"
        for share, what in (
            (alarms.ab, "ab says better or worse in"),
            (alarms.regress, "regress says fail in"),
            (alarms.naive, "the rule 'the score must not drop' raises an alarm in"),
        )
        if share is not None
    ]
    if told:
        yield "false alarms", f"{drawn}, {'; '.join(told)}"


def _detectable(noise: Noise) -> Iterator[Fact]:
    smallest, margin = noise.detectable, noise.margin
    if smallest is None:
        if noise.difference is not None:
            yield "detectable", f"nothing: {compared(noise)} are too few to show any difference"
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


def _clusters(noise: Noise) -> Iterator[Fact]:
    text = f"{compared(noise)} compared"
    if noise.flat_clusters:
        text += f", {noise.flat_clusters:,} flat left out (one utility for all items)"
    yield "clusters", f"{text}; the pair scores differently in {noise.nonzero:,}"
