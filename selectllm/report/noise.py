"""What `aa` found, as labelled sentences: how much a pair differs from itself."""

from __future__ import annotations

from collections.abc import Iterator

from selectllm.evaluation.comparison.schema import Noise
from selectllm.report.verdict_basis import KAPPA, compared, utility
from selectllm.report.wording import Fact, around, number, percent


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
            f"The pair differs from itself by {found.estimate:+.3f} captured (interval of "
            f"{percent(1 - noise.alpha)} from {found.low:+.3f} to {found.high:+.3f}).",
        )
    if noise.sd is not None:
        yield (
            "sd(d)",
            f"From cluster to cluster that difference varies by {noise.sd:.3f} captured (standard "
            "deviation).",
        )
    if noise.consistency is not None:
        kappa = around(noise.consistency)
        yield "consistency", f"Over {noise.by}, the kappa of its own picks is {kappa}. {KAPPA}."


def _false_alarms(noise: Noise) -> Iterator[Fact]:
    alarms = noise.false_alarms
    drawn = f"In {noise.resamples:,} resamples in which nothing changed"
    told = [
        f"{what} in {percent(share)}"
        for share, what in (
            (alarms.ab, "ab says better or worse"),
            (alarms.regress, "regress says fail"),
            (alarms.naive, "the rule 'the score must not drop' raises an alarm"),
        )
        if share is not None
    ]
    if told:
        listed = " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))
        yield "false alarms", f"{drawn}, {listed}."


def _detectable(noise: Noise) -> Iterator[Fact]:
    smallest, margin = noise.detectable, noise.margin
    if smallest is None:
        if noise.difference is not None:
            yield "detectable", f"Nothing can be detected: {compared(noise)} are too few."
        return
    text = (
        f"If there were no other noise, a difference of {number(smallest, 3)} captured or more "
        "would be found in 80 of 100 comparisons. Two prompts also differ in what they ask, so it "
        "takes more."
    )
    if margin is not None and smallest > margin:
        text += f" The margin is {margin:.3g}: to notice so small a loss, use more clusters."
    elif margin is not None:
        text += f" That is within the margin of {margin:.3g}."
    yield "detectable", text


def _clusters(noise: Noise) -> Iterator[Fact]:
    text = f"{compared(noise)} were compared."
    if noise.flat_clusters:
        text += (
            f" {noise.flat_clusters:,} were left out, because all their items have the same value."
        )
    yield "clusters", f"{text} The pair scores differently in {noise.nonzero:,}."
