"""What a verdict rests on, as labelled sentences: clusters, ratings, arms, cost and the utility."""

from __future__ import annotations

from collections.abc import Iterator

from selectllm.evaluation.comparison.schema import DecidingUtility, Noise, Verdict
from selectllm.report.wording import (
    Fact,
    around,
    ceiling,
    counted,
    in_words,
    length_alone,
    named,
    percent,
    rate,
    usd,
)
from selectllm.stats.interval import Interval

KAPPA = "0 = no more than random picks, 1 = the same picks"


def compared(found: Verdict | Noise) -> str:
    """`120 clusters`, and of how many groups they are."""
    text = counted(found.clusters, "cluster")
    return text if found.groups is None else f"{text} in {counted(found.groups, 'group')}"


def clusters(verdict: Verdict) -> Iterator[Fact]:
    """What was compared, and in how much of it the arms differ."""
    text = f"{compared(verdict)} compared"
    if verdict.flat_clusters and verdict.assisted is not None:
        text += (
            f", {verdict.flat_clusters:,} of which are flat (the same rating for all items, "
            "so they count as 0)"
        )
    elif verdict.flat_clusters:
        text += f", without {verdict.flat_clusters:,} flat ones (the same utility for all items)"
    yield "clusters", f"{text}; the two arms score differently in {verdict.nonzero:,}"


def assisted(verdict: Verdict) -> Iterator[Fact]:
    """Which part of the ratings is people's, and what the judge is worth."""
    judge = verdict.assisted
    if judge is None:
        return
    yield (
        "ratings",
        f"people rated {judge.rated:,} of {counted(judge.judged, 'cluster')}, drawn at random; "
        f"{named(judge)} rated all of them and is corrected by what people say of the sample",
    )
    if judge.correlation is None:
        yield "judge", "it rates all sampled clusters alike, or people do, so it saves nothing"
        return
    saved = judge.saved or 0.0
    worth = (
        f"saves {percent(saved)} of the human ratings"
        if saved > 0
        else (
            "saves no human ratings (a useless judge makes verdicts harder to reach, but "
            "not less reliable)"
        )
    )
    yield (
        "judge",
        f"its differences have a correlation of {judge.correlation:+.2f} with people's "
        f"and get a weight of {judge.tuning:.2f} (0 = none, 1 = full); it {worth}",
    )


def design_told(verdict: Verdict) -> Iterator[Fact]:
    """Whether it looked in between, and what was asked and saved."""
    design = verdict.design
    text: str = design.kind
    if design.why:
        text += f": {design.why}"
    if design.looks:
        text += f"; looked {counted(len(design.looks), 'time')}"
        text += f", last at {counted(design.looks[-1].clusters, 'counted cluster')}"
        if design.cap is not None:
            text += f", at most {design.cap:,} would be asked"
    if design.calls is not None:
        text += f"; {counted(design.calls, 'call')}"
        text += f", {design.calls_saved:,} saved" if design.calls_saved else ""
    yield "design", text


def arms_told(verdict: Verdict) -> Iterator[Fact]:
    """What each arm is worth by itself."""
    if verdict.unit == "range":
        yield (
            "captured",
            "not reported, because only items that one arm picked and the other did not are rated",
        )
        return
    captured = verdict.captured
    yield "captured", f"{verdict.a}: {with_spread(captured.a)}"
    yield "captured", f"{verdict.b}: {with_spread(captured.b)}"


def valid_told(verdict: Verdict) -> Iterator[Fact]:
    """Shares of usable replies; a strategy makes none."""
    rates = {verdict.a: verdict.valid_rate.a, verdict.b: verdict.valid_rate.b}
    told = [f"{rate(share)} from {arm}" for arm, share in rates.items() if share is not None]
    if told:
        yield "valid replies", ", ".join(told)


def overlap_told(verdict: Verdict) -> Iterator[Fact]:
    """How far the two arms picked the same."""
    overlap = verdict.overlap
    if overlap is not None:
        yield "overlap", f"the kappa of the two arms' picks is {around(overlap)}: {KAPPA}"


def cost_told(verdict: Verdict) -> Iterator[Fact]:
    """swap: what 1,000 selected items cost; no price is not the same as free."""
    if verdict.swap is None:
        return
    paid = verdict.swap.usd_per_1000
    before, after = _dollars(paid.a), _dollars(paid.b)
    yield "cost", f"per 1,000 selected items {before} before the swap, {after} after it"


def _dollars(value: float | None) -> str:
    return "not priced (which does not mean free)" if value is None else f"{usd(value)} USD"


def utility(verdict: Verdict | Noise) -> Iterator[Fact]:
    """The utility that decides: its kind, rater and validation, and how far it can be trusted."""
    decides = verdict.utility
    if decides is None:
        yield "utility", "none, so the quality of the picks is not known"
        return
    yield "utility", f"{named(decides)} says how good the picks are"
    longest = decides.length if isinstance(decides, DecidingUtility) else None
    yield (
        "ceiling",
        f"{ceiling(decides)}; {length_alone(None if longest is None else longest.estimate)}",
    )


def with_spread(captured: Interval | None) -> str:
    """What was captured, with its interval, and what that means."""
    if captured is None:
        return f"an unknown share: {in_words(None)}"
    return f"{around(captured)}: {in_words(captured)}"
