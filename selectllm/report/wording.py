"""Numbers, names and words that every report shares; text only, nothing here needs a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from selectllm.core.shown import counted as counted
from selectllm.evaluation.comparison.schema import OtherUtility, Verdict
from selectllm.stats.interval import Interval
from selectllm.utility.schema import UtilityOrigin, UtilitySummary


class Bounded(Protocol):
    """What has two ends, each of which may be missing."""

    @property
    def low(self) -> float | None:
        """The lower one."""

    @property
    def high(self) -> float | None:
        """The upper one."""


Fact = tuple[str, str]
"""A label, and what is said under it."""
UNVALIDATED = "unvalidated"
# Over what a reliability says that values repeat, by the source of the utility.
REPEATS = {
    "knn": "split-half over test items",
    "pairwise": "split-half over judgements",
    "import": "over raters",
    "student": "over passes",
}
UNKNOWN = "-"
MEASURES = {
    "captured": "share of the possible gain over random picks: 0 = random picks, 1 = the best "
    "possible",
    "interval": "of captured, with 95 % confidence",
    "hit": "share of the picks that are among the best items of their cluster",
    "kappa": "hit, corrected for chance: 0 = random picks, 1 = the best possible",
    "nuc": "captured, with each cluster weighted by how much there is to gain in it",
    "auc": "probability that a picked item is better than one that was not picked: 0.5 = random "
    "picks",
    "ndcg": "how well the whole order puts the best items first: 1 = the best possible",
    "tau": "how well the whole order agrees with the utility: 0 = by chance, 1 = the same order",
}
"""Columns that say how picks agree with a utility; docs/words.md has the same words."""
SD = "standard deviation, from cluster to cluster, of the difference d between two arms in captured"
"""What sd(d) is."""


def explained(columns: Iterable[str], meanings: Mapping[str, str] = MEASURES) -> str:
    """A caption that says what each of `columns` means."""
    return "\n".join(f"{name}: {meanings[name]}." for name in columns)


def subject(verdict: Verdict) -> str:
    """`criteria@2 + gpt against criteria@1 + gpt`: what is judged, then the reference."""
    return f"{verdict.b} against {verdict.a}"


def named(utility: UtilitySummary | OtherUtility) -> str:
    """`rating (kind: model, rated by gpt; unvalidated)`: how a utility is called everywhere."""
    by = f", rated by {utility.rater}" if utility.rater else ""
    stands = standing(utility)
    beside = f"; {stands}" if stands else ""
    return f"{utility.name} (kind: {utility.kind}{by}{beside})"


def standing(utility: UtilityOrigin) -> str | None:
    """`unvalidated`, or by what it is validated.

    What has not been validated is not validated, whether or not somebody tried. None for outcomes
    that nobody tried: the others are held to them.
    """
    found = utility.validation
    if found is None and utility.kind == "outcome":
        return None
    if found is None or found.status != "validated":
        return UNVALIDATED
    score = UNKNOWN if found.lds is None else f"LDS {found.lds:.2f}"
    p = UNKNOWN if found.p is None else p_value(found.p)
    return f"{score}, {p}, {counted(found.subsets, 'subset')}"


def ceiling(utility: UtilityOrigin) -> str:
    """`0.87 (reliability 0.76, split-half over test items)`: no agreement can be expected above."""
    highest = utility.ceiling
    if highest is None:
        return "unknown (no reliability)"
    over = REPEATS.get(utility.source or "")
    repeats = f"reliability {utility.reliability:.2f}" + (f", {over}" if over else "")
    return f"{highest:.2f} ({repeats})"


def length_alone(longest: float | None) -> str:
    """`longest alone captures 0.31`: what length by itself is worth."""
    if longest is None:
        return "the run does not show what longest alone captures"
    return f"longest alone captures {longest:z.2f}"


def in_words(captured: Interval | None, clusters: int | None = None) -> str:
    """What an interval of captured says about random picks; `clusters`: how many it comes from."""
    if captured is None:
        return "too few clusters to say anything"
    if captured.low > 0:
        return "better than random picks"
    if captured.high < 0:
        return "worse than random picks"
    if clusters == 1:
        return "this one cluster does not show that the picks are better than random"
    these = "these clusters" if clusters is None else f"these {clusters} clusters"
    return f"{these} do not show that the picks are better than random"


def number(value: float | None, digits: int = 2) -> str:
    """A plain number; `-` where there is none."""
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def estimate(interval: Interval | None) -> str:
    """The estimate of an interval; `-` where there is none."""
    return UNKNOWN if interval is None else number(interval.estimate)


def signed(interval: Interval | None) -> str:
    """The estimate with its sign; `-` where there is none."""
    return UNKNOWN if interval is None else f"{interval.estimate:+.2f}"


def spread(interval: Bounded | None, digits: int = 2) -> str:
    """`+0.03 to +0.21`; `-` where an end is missing."""
    if interval is None:
        return UNKNOWN
    low, high = interval.low, interval.high
    if low is None or high is None:
        return UNKNOWN
    return f"{low:+.{digits}f} to {high:+.{digits}f}"


def around(interval: Interval) -> str:
    """`0.30 (0.22 to 0.38)`: an estimate of which above 0 is nothing special."""
    return f"{interval.estimate:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def count(value: int | None) -> str:
    """A count with thousands set apart; `-` where there is none."""
    return UNKNOWN if value is None else f"{value:,}"


def percent(share: float) -> str:
    """`95 %`, to three digits at most."""
    return f"{100 * share:.3g} %"


def rate(share: float | None) -> str:
    """A share as a whole percentage; `-` where there is none."""
    return UNKNOWN if share is None else f"{share:.0%}"


def usd(value: float | None) -> str:
    """US dollars without the unit: cents, or hundredths of cents below ten cents."""
    if value is None:
        return "not priced"
    return f"{value:,.2f}" if value == 0 or value >= 0.1 else f"{value:.4f}"


def p_value(value: float) -> str:
    """`p = 0.012`, `p < 0.001`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def p_alone(value: float | None) -> str:
    """`0.012`, `< 0.001`: for a column that says what it is."""
    return UNKNOWN if value is None else p_value(value).removeprefix("p ").removeprefix("= ")
