"""Votes: several ballots of a model on one cluster, combined into one decision. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from selectllm.core.types import Decision, Parsed, Status
from selectllm.models.model import Rule, Vote


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one reply says, as item ids.

    `picks`: distinct, never empty. `ranking`: all candidates, best first, or None if the reply
    only picks.
    """

    picks: tuple[str, ...]
    ranking: tuple[str, ...] | None = None


def borda(ballots: Sequence[Ballot], candidates: Collection[str]) -> dict[str, float]:
    """Points of every candidate, higher is better: what each ballot ranks below it, added up.

    A ranking of m gives m - 1 points to the first and 0 to the last. A ballot that only picks
    ties its picks, and ties the rest below them; tied candidates share the points of their places
    evenly, which is a point for each candidate below and half a point for each equal (Cullinan,
    Hsiao and Polett 2014, A Borda count for partially ordered ballots; the ranks are Kendall's
    mid-ranks, Biometrika 1945). All are multiples of 1/2, so that sums are exact.
    """
    m = len(candidates)
    points = dict.fromkeys(candidates, 0.0)
    for ballot in ballots:
        if ballot.ranking is not None:
            for place, candidate in enumerate(ballot.ranking):
                points[candidate] += m - 1 - place
            continue
        picked = len(ballot.picks)
        for candidate in points:
            above = candidate in ballot.picks
            points[candidate] += (2 * m - 1 - picked if above else m - 1 - picked) / 2
    return points


def majority(ballots: Sequence[Ballot], candidates: Collection[str]) -> dict[str, float]:
    """On how many ballots each candidate is a pick."""
    votes = Counter(pick for ballot in ballots for pick in ballot.picks)
    return {candidate: float(votes[candidate]) for candidate in candidates}


RULES: Mapping[Rule, Callable[[Sequence[Ballot], Collection[str]], dict[str, float]]] = {
    "borda": borda,
    "majority": majority,
}


@dataclass(frozen=True, slots=True)
class Elected:
    """What the ballots come to, as item ids, best first.

    `picks`: at most k, each on one ballot at least. `ranking`: all candidates, if every ballot
    ranked them and borda combined them; its first k are the picks. `tied`: equal points met
    where the picks end.
    """

    picks: tuple[str, ...]
    ranking: tuple[str, ...] | None
    tied: bool


def combine(
    ballots: Sequence[Ballot],
    candidates: Collection[str],
    k: int,
    rule: Rule,
    tie: Callable[[str], int],
) -> Elected:
    """The k candidates with most points by `rule`.

    Neither the order of the ballots nor that of the candidates matters: among equal points the
    lowest `tie` of the id goes first. Fewer than k picks if the ballots name fewer: none is
    guessed. Needs at least one ballot.
    """
    points = RULES[rule](ballots, candidates)
    ranked = sorted(points, key=lambda candidate: (-points[candidate], tie(candidate), candidate))
    named = {candidate for ballot in ballots for candidate in _named(ballot, rule)}
    end = min(k, len(named))  # whoever is named has more points than whoever is not
    complete = rule == "borda" and all(ballot.ranking is not None for ballot in ballots)
    return Elected(
        picks=tuple(ranked[:end]),
        ranking=tuple(ranked) if complete else None,
        tied=0 < end < len(ranked) and points[ranked[end - 1]] == points[ranked[end]],
    )


def _named(ballot: Ballot, rule: Rule) -> tuple[str, ...]:
    """The candidates that a ballot gives a vote under `rule`."""
    return ballot.ranking if rule == "borda" and ballot.ranking is not None else ballot.picks


def mean_overlap(ballots: Sequence[Collection[str]], k: int) -> float:
    """How far the picks of `ballots` agree, from 0 (disjoint) to 1 (the same); higher is better.

    The share of k that two ballots both picked, averaged over all pairs of ballots. A ballot that
    could not be used shares nothing. 1.0 of fewer than two ballots.
    """
    cast = [frozenset(picks) for picks in ballots]
    shared = [len(a & b) / k for a, b in combinations(cast, 2)]
    return fmean(shared) if shared else 1.0


def asks_on(vote: Vote, ballots: Sequence[Decision], asked: int, k: int) -> bool:
    """Whether a further ballot is cast after the first `asked`, of which `ballots` were answered.

    A fixed vote casts all. An adaptive one casts its first orders, each with all its repeats, and
    then another order while the ballots disagree; what they come to is not known before all are
    answered.
    """
    if vote.first is None or asked < vote.least_ballots or asked % vote.repeats:
        return True
    if len(ballots) < asked:
        return False
    return mean_overlap([ballot.picks for ballot in ballots], k) < vote.until


def elect(ballots: Sequence[Decision], k: int, rule: Rule, tie: Callable[[str], int]) -> Parsed:
    """The ballots of one cluster, at least one and none of them `error`, as one reply.

    Positions are those of the first ballot's shown order. A ballot without picks does not vote,
    and a partial one votes with what it has. `ok` if every ballot is; `repaired` if another or a
    missing one is among them; `partial` if they name fewer than k items; without any vote
    `refused` if all were, else `invalid`. `problems`: those of all ballots, `partial_ballots`,
    `missing_ballots` and `tied`.
    """
    shown = ballots[0].shown
    problems = [word for ballot in ballots for word in ballot.problems]
    cast = [Ballot(ballot.picks, ballot.ranking) for ballot in ballots if ballot.picks]
    if not cast:
        refused = all(ballot.status == "refused" for ballot in ballots)
        return Parsed((), "refused" if refused else "invalid", tuple(dict.fromkeys(problems)))
    elected = combine(cast, shown, k, rule, tie)
    problems += ["partial_ballots"] if any(len(ballot.picks) < k for ballot in cast) else []
    problems += ["missing_ballots"] if len(cast) < len(ballots) else []
    problems += ["tied"] if elected.tied else []
    status: Status = "ok" if all(ballot.status == "ok" for ballot in ballots) else "repaired"
    place = {item: position for position, item in enumerate(shown)}
    ranking = elected.ranking
    return Parsed(
        picks=tuple(place[item] for item in elected.picks),
        status="partial" if len(elected.picks) < k else status,
        problems=tuple(dict.fromkeys(problems)),
        ranking=None if ranking is None else tuple(place[item] for item in ranking),
    )
