"""What votes asked and saved, and which place won where a few are compared, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from selectllm.evaluation.runs.schema import AdaptiveVote, FixedVote, PairFigures, RunResults
from selectllm.report.wording import count, counted, percent, spread


def asking_sentences(results: RunResults) -> Iterator[str]:
    """Of every pair with an adaptive vote: what it asked, and how it compares with the fixed one.

    Where the run has no fixed vote: how it gets one. Of every prompt that compares two or a few:
    how often what stood at each place won.
    """
    for pair in results.pairs:
        if pair.wins is not None and any(pair.wins):
            yield f"{pair.prompt} + {pair.model}: {places_told(pair.wins)}"
        if pair.vote is not None:
            yield _saved(pair, pair.vote)
            yield _against(pair, pair.vote)


def places_told(wins: Sequence[int]) -> str:
    """How often what stood at each place won; `wins`: by place, not all 0."""
    if len(wins) == 2:
        return (
            f"what was shown first won {percent(wins[0] / sum(wins))} of "
            f"{counted(sum(wins), 'comparison')}. The order is random, so without a "
            "preference for a place it would be about 50 %."
        )
    places = ", ".join(map(count, wins))
    return (
        f"what was shown first, second and so on was chosen {places} times. Places are "
        "random, so without a preference all would be chosen about equally often, "
        "except that the last ones are chosen less often if some questions show fewer "
        "items."
    )


def _saved(pair: PairFigures, vote: AdaptiveVote) -> str:
    saved = vote.ballots_fixed - vote.ballots
    share = saved / vote.ballots_fixed if vote.ballots_fixed else 0.0
    mean = vote.ballots / pair.decisions if pair.decisions else 0.0
    return (
        f"{pair.prompt} + {pair.model}: the adaptive vote asked for {mean:.1f} of "
        f"{vote.most} ballots on average, {count(vote.ballots)} in all. Compared with "
        f"the fixed vote, that saved {counted(saved, 'ballot')} ({percent(share)}): "
        f"{vote.ended_first} of {counted(pair.decisions, 'decision')} ended with the "
        f"first {vote.least} ballots, because their picks overlapped by at least "
        f"{vote.until:g}."
    )


def _against(pair: PairFigures, vote: AdaptiveVote) -> str:
    if vote.fixed is None:
        return (
            "Without the fixed vote in the same run, it is not known whether saving these "
            f"ballots cost agreement. To find out, add the model {pair.model} to the suite "
            f"once more, with a name of its own and vote: {{orders: {vote.most}}}, and run: "
            "selectllm eval SUITE (replies that are in the cache are not paid for again)."
        )
    return _compared(vote.fixed)


def _compared(fixed: FixedVote) -> str:
    same = "" if fixed.same is None else f" picked the same in {percent(fixed.same)} of decisions"
    known = {name: found for name, found in fixed.difference.items() if found is not None}
    lost = [
        f"{_changed(found.estimate, name)} (difference {found.estimate:+.3f}, {spread(found, 3)})"
        for name, found in known.items()
    ]
    told = f": {'; '.join(lost)}" if lost else ""
    return f"The fixed vote {fixed.model} of {count(fixed.ballots)} ballots{same}{told}."


def _changed(difference: float, name: str) -> str:
    if round(difference, 3) == 0:
        return f"nothing was lost or gained in captured {name}"
    return f"{abs(difference):.3f} {'lost' if difference < 0 else 'gained'} in captured {name}"
