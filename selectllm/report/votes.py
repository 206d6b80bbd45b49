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
            f"{counted(sum(wins), 'comparison')}. Directions are random: without a preference for "
            "a place it is about 50 %."
        )
    places = ", ".join(map(count, wins))
    return (
        f"what was shown first, second and so on was chosen {places} times. Places are random: "
        "without a preference for one all are chosen about equally often, and the last ones less "
        "where fewer are shown."
    )


def _saved(pair: PairFigures, vote: AdaptiveVote) -> str:
    saved = vote.ballots_fixed - vote.ballots
    share = saved / vote.ballots_fixed if vote.ballots_fixed else 0.0
    mean = vote.ballots / pair.decisions if pair.decisions else 0.0
    return (
        f"{pair.prompt} + {pair.model}: the adaptive vote asked for {mean:.1f} of "
        f"{vote.most} ballots on average, {count(vote.ballots)} in all. Against the fixed vote "
        f"that saved {counted(saved, 'ballot')} ({percent(share)}): {vote.ended_first} of "
        f"{counted(pair.decisions, 'decision')} ended with the first {vote.least} ballots, since "
        f"their picks overlapped by at least {vote.until:g}."
    )


def _against(pair: PairFigures, vote: AdaptiveVote) -> str:
    if vote.fixed is None:
        return (
            "What agreement the saved ballots cost is not known without the fixed vote in the "
            f"same run. To know it, add the model {pair.model} to the suite once more, with a name "
            f"of its own and vote: {{orders: {vote.most}}}, and run: selectllm eval SUITE (replies "
            "that were made are not paid for again)."
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
        return f"no captured {name} was lost or won"
    return f"{abs(difference):.3f} {'lost' if difference < 0 else 'won'} of captured {name}"
