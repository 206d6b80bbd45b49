"""What a verdict says, as labelled sentences: the same ones on a terminal and elsewhere.

Nothing is left to a table alone. Estimates and figures are results.json's own; none is computed.
"""

from __future__ import annotations

from collections.abc import Iterator

from selectllm.core.shown import told_apart
from selectllm.core.verdict_words import KIND_WORDS, confidence
from selectllm.evaluation.comparison.schema import (
    Needed,
    SevereLosses,
    Verdict,
)
from selectllm.report.verdict_basis import (
    arms_told,
    assisted,
    clusters,
    cost_told,
    design_told,
    overlap_told,
    utility,
    valid_told,
    with_spread,
)
from selectllm.report.wording import (
    Fact,
    counted,
    p_value,
    percent,
    spread,
    usd,
)

UNITS = {"captured": "captured", "range": "of the rating range per pick"}


def worse_than_random(verdict: Verdict) -> str:
    """`both are worse than random picks`, or which arm is: what no word says; mostly empty.

    Said of an arm whose whole interval of captured lies below 0.
    """
    arms = ((verdict.a, verdict.captured.a), (verdict.b, verdict.captured.b))
    worse = [name for name, captured in arms if captured is not None and captured.high < 0]
    if len(worse) == len(arms):
        return "both are worse than random picks"
    return f"{worse[0]} is worse than random picks" if worse else ""


def in_full(verdict: Verdict, text: str) -> str:
    """`equivalent, and both are worse than random picks`: what is to be said after `text`."""
    worse = worse_than_random(verdict)
    return f"{text}, and {worse}" if worse else text


def lead(verdict: Verdict) -> list[Fact]:
    """Why this word, what to know beside it, and what would decide it if it is inconclusive."""
    notes = [("note", note) for note in verdict.notes]
    unrated = "the suite has no ratings to compare with"
    reason = verdict.reason if verdict.utility else unrated
    return [("reason", in_full(verdict, reason)), *notes, *_needed(verdict)]


def figures(verdict: Verdict) -> list[Fact]:
    """The figures behind the word, and how often such a word is wrong."""
    if verdict.difference is None:
        known = clusters(verdict) if verdict.utility else ()
        return [*_change(verdict), *known, *design_told(verdict), *overlap_told(verdict)]
    parts = (
        *(_change, _difference, _one_more, _severe, _error_rate, _tests, _retention, _margin),
        *(clusters, assisted, design_told, arms_told, valid_told, overlap_told, cost_told, utility),
    )
    return [fact for part in parts for fact in part(verdict)]


def brief(verdict: Verdict) -> list[Fact]:
    """Reason, what decides, what both arms captured, what would decide it, and the utility.

    Notes come on top. A swap is decided by what is retained, anything else by the difference;
    without ratings there is neither, and how much the picks overlap stands in their place.
    """
    reason, *notes = [fact for fact in lead(verdict) if fact[0] in ("reason", "note")]
    # Those of a gate are often the same twice: nothing changed.
    captured = "captured", "; ".join(dict.fromkeys(text for _, text in arms_told(verdict)))
    if verdict.utility is None:
        known = [*overlap_told(verdict)]
    elif verdict.swap is None or verdict.swap.retention is None:
        known = [*_difference(verdict), captured]
    else:
        known = [*[*_retention(verdict)][:1], captured, *cost_told(verdict)]
    severe, needed = _severe(verdict), [*_needed(verdict), *assisted(verdict)]
    return [reason, *notes, *known, *severe, *needed, *[*utility(verdict)][:1]]


def difference(verdict: Verdict) -> str:
    """`+0.120 captured, 95 % interval from +0.030 to +0.210`."""
    found = verdict.difference
    if found is None:
        if verdict.utility is None:
            return "not known: there are no ratings"
        return "not known: an interval needs at least two clusters"
    return (
        f"{found.estimate:+.3f} {UNITS[verdict.unit]}, {percent(_confidence(verdict))} interval "
        f"from {found.low:+.3f} to {found.high:+.3f}"
    )


def _confidence(verdict: Verdict) -> float:
    return confidence(verdict.kind, verdict.alpha)


def _needed(verdict: Verdict) -> Iterator[Fact]:
    needed = verdict.needed
    if needed is None:
        return
    paid = ((needed.calls, "call"), (needed.ratings, "rating"))
    costs = [counted(number, noun) for number, noun in paid if number is not None]
    if needed.usd is not None:
        costs.append(f"about {usd(needed.usd)} USD")
    price = f" ({', '.join(costs)})" if costs else ""
    if needed.rated is not None:
        yield "to decide", _to_rate(needed, price, _but_for(verdict))
        return
    more = counted(needed.clusters, "more cluster")
    if needed.groups is not None:
        more += f" in {counted(needed.groups, 'more group')}"
    yield "to decide", f"{more}{price} would decide it{_but_for(verdict)} with 80 % power"


def _severe(verdict: Verdict) -> Iterator[Fact]:
    """What the guard against severe losses counted, and which clusters lost most."""
    severe = verdict.severe
    if severe is None:
        return
    lost = counted(severe.losses, "cluster")
    low, high = (told_apart(end, severe.most) for end in (severe.share.low, severe.share.high))
    yield (
        "severe losses",
        f"{lost} of {verdict.clusters:,} lost {severe.loss:g} or more{_in_unit(verdict)} "
        f"({severe.share.estimate:.1%}; between {low} and {high} of all such clusters), and "
        f"{severe.gains:,} gained as much "
        f"({p_value(severe.p)}). At most {severe.most:.1%} may lose so much{_unclear(severe)}",
    )
    if severe.worst:
        worst = ", ".join(f"{each.cluster} ({each.difference:+.2f})" for each in severe.worst)
        yield "lost most", f"{'cluster' if len(severe.worst) == 1 else 'clusters'} {worst}"


def _in_unit(verdict: Verdict) -> str:
    """Of what a loss is counted, where that is not captured, the unit of the gate."""
    return "" if verdict.unit == "captured" else f" {UNITS[verdict.unit]}"


def _unclear(severe: SevereLosses) -> str:
    """Why a share above the limit may decide nothing."""
    if severe.share.estimate <= severe.most:
        return ""
    if severe.share.low > severe.most and severe.p < severe.alpha:
        return ", so the verdict goes by that"
    return ". More did here, but that may be chance, so the verdict does not go by it"


def _but_for(verdict: Verdict) -> str:
    """Where a strict guard is not met: what the number of clusters does not speak of."""
    severe = verdict.severe
    unmet = severe is not None and severe.strict and severe.share.high > severe.most
    return " (apart from the strict guard)" if unmet else ""


def _to_rate(needed: Needed, price: str, but_for: str) -> str:
    """What people have to rate beside what they have."""
    more = f"people rating {counted(needed.rated or 0, 'more cluster')}"
    if needed.clusters:
        more += f", once {counted(needed.clusters, 'more cluster')} are asked and judged"
    return f"{more}{price} would decide it{but_for} with 80 % power"


def _change(verdict: Verdict) -> Iterator[Fact]:
    """regress: which prompt is tested against which, and in how many clusters that shows."""
    change = verdict.regress
    if change is None:
        return
    picks = (
        "the picks are the same in every cluster"
        if change.identical
        else f"the picks differ in {counted(change.changed, 'cluster')}"
    )
    after, before = (f"sha256 {each[:12]}" for each in (change.sha256_after, change.sha256_before))
    yield (
        "change",
        f"{change.prompt_after} against {change.prompt_before}, as the baseline "
        f"recorded it ({after} against {before}); {picks}",
    )


def _difference(verdict: Verdict) -> Iterator[Fact]:
    yield "difference", difference(verdict)


def _one_more(verdict: Verdict) -> Iterator[Fact]:
    """What keeps words from resting on losses that happen not to have shown up."""
    ends = verdict.one_more
    if ends is None:
        return
    more = "cluster" if verdict.groups is None else "group, as large as that of an average cluster,"
    of = "" if verdict.swap is None else " of what is kept"
    yield (
        "one more",
        f"if one more {more} went as badly for {verdict.b} as possible, the interval{of} would "
        f"begin at {ends.low:+.3f}; if it went as well as possible, it would end at "
        f"{ends.high:+.3f}. A verdict has to hold either way",
    )


def _error_rate(verdict: Verdict) -> Iterator[Fact]:
    alpha = f"at most {100 * verdict.alpha:.3g} of 100"
    level = f"one-sided {percent(verdict.alpha)} each way"
    if verdict.kind == "regress":
        yield (
            "error rate",
            f"{level}: wrongly fail in {alpha} changes that lose nothing, wrongly pass in "
            f"{alpha} changes that lose the margin",
        )
    elif verdict.swap is not None:
        kept = percent(verdict.swap.retain)
        yield "error rate", f"{level}: wrongly safe in {alpha} swaps that retain less than {kept}"
    elif verdict.p_holm is not None:
        yield (
            "error rate",
            f"wrongly better or worse, for any arm, in {alpha} comparisons whose arms are all "
            "equal (Holm)",
        )
    else:
        interval = f"interval of {percent(_confidence(verdict))}"
        equal = "comparisons of equal prompts"
        yield "error rate", f"{interval}: wrongly better or worse in {alpha} {equal}"


def _tests(verdict: Verdict) -> Iterator[Fact]:
    if verdict.p is not None:
        yield (
            "sign-flip",
            f"{p_value(verdict.p)}, two-sided: how often equal arms differ so much",
        )
    if verdict.p_holm is not None:
        yield "Holm", f"{p_value(verdict.p_holm)}: t test, adjusted for the number of arms"


def _retention(verdict: Verdict) -> Iterator[Fact]:
    """swap: whether enough is retained, of something that is worth retaining."""
    swap = verdict.swap
    if swap is None:
        return
    kept = percent(swap.retain)
    if swap.retention is not None:
        yield (
            "retention",
            f"captured after the swap minus {kept} of captured before it: "
            f"{swap.retention.estimate:+.3f} ({spread(swap.retention, 3)}); above 0 means that at "
            f"least {kept} is kept",
        )
    yield "assay", f"the model to be replaced captures {with_spread(swap.assay)}"
    if swap.valid_rate_drop is not None:
        drop = 100 * swap.valid_rate_drop
        more = "fewer" if drop >= 0 else "more"
        yield "guardrail", f"{abs(drop):.3g} in 100 {more} valid replies after the swap"


def _margin(verdict: Verdict) -> Iterator[Fact]:
    margin, share = verdict.margin, verdict.margin_share
    if margin is None:
        yield "margin", "none is set, so nothing is called equivalent; see gate.rating_margin"
        return
    text = f"{margin:.3g} {UNITS[verdict.unit]}"
    if share is not None:
        text += f", which is {percent(share)} of what {verdict.a} gains over random picks"
    elif verdict.unit == "captured":
        text += f"; {verdict.a} shows no gain over random picks to compare it with"
    yield "margin", text
    if "equivalent" in KIND_WORDS[verdict.kind].good and verdict.inner is not None:
        yield (
            "equivalent",
            f"would need the interval of {percent(1 - 2 * verdict.alpha)}, "
            f"{spread(verdict.inner, 3)}, between -{margin:.3g} and +{margin:.3g}",
        )
