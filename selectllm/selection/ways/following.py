"""What a decision asks, step by step, and what its answers come to, whatever the way of asking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from selectllm.core.codec import seeded_hash
from selectllm.core.errors import PromptError
from selectllm.core.types import Decision, Parsed
from selectllm.prompting.prompt import Prompt
from selectllm.selection.selector import Selector
from selectllm.selection.task import Task, calls_per_decision, most_calls, reasks_of
from selectllm.selection.voting import asks_on, elect
from selectllm.selection.ways import pairwise, pointwise, setwise


@dataclass(frozen=True, slots=True)
class WayOfAsking:
    """One way of asking about a cluster with several smaller questions.

    `following(task, answered)`: the questions that come after those answered, none once it is
    done; depends on nothing but these, so that what was begun goes on where it was. `combined`:
    what the answers to all of them come to. `calls(prompt, m, k)`: the questions about a cluster of
    m candidates of which k are picked, at most.
    """

    following: Callable[[Task, Sequence[Decision]], tuple[Task, ...]]
    combined: Callable[[Task, Sequence[Decision]], Parsed]
    calls: Callable[[Prompt, int, int], int]


POINTWISE = WayOfAsking(pointwise.following, pointwise.combined, pointwise.calls)
PAIRWISE = WayOfAsking(pairwise.following, pairwise.combined, pairwise.calls)
SETWISE = WayOfAsking(setwise.following, setwise.combined, setwise.calls)


def way_of(prompt: Prompt) -> WayOfAsking | None:
    """How a prompt asks about a cluster; None if one question shows all of it."""
    shows = prompt.form.shows
    if shows == "some":
        return PAIRWISE if prompt.show == 2 else SETWISE
    return POINTWISE if shows == "item" else None


def following(task: Task, answered: Sequence[Decision] = ()) -> tuple[Task, ...]:
    """The questions of a decision that come after those answered, in their order; none at its end.

    Those of one step can be asked in any order, but count in this one.
    """
    way = None if task.of else way_of(task.selector.prompt)
    if way is not None:
        return way.following(task, answered)
    vote = task.selector.spec.vote
    if not task.ballots or vote is None:
        return () if answered else (task,)
    if not answered:
        return task.ballots[: vote.least_ballots]
    if not asks_on(vote, answered, len(answered), task.k):
        return ()
    return task.ballots[len(answered) : len(answered) + vote.repeats]


def combined(task: Task, answered: Sequence[Decision]) -> Parsed | None:
    """What the answers to several questions come to; None where there is only one to ask."""
    way, vote = None if task.of else way_of(task.selector.prompt), task.selector.spec.vote
    if way is not None:
        return way.combined(task, answered)
    if not task.ballots or vote is None:
        return None
    return elect(answered, task.k, vote.rule, lambda item: seeded_hash("vote", task.seed, item))


def wins_by_place(task: Task, answered: Sequence[Decision]) -> tuple[int, ...] | None:
    """By place, how often what stood there won; None for what does not ask which is better.

    Places are drawn at random, so that whoever has no preference for one chooses them alike.
    """
    if way_of(task.selector.prompt) not in (PAIRWISE, SETWISE):
        return None
    won = Counter(each.shown.index(each.picks[0]) for each in answered if each.picks)
    most = max((len(each.shown) for each in answered), default=0)
    return tuple(won[place] for place in range(most))


def wins_in(decisions: Iterable[Decision]) -> tuple[int, ...] | None:
    """By place, how often what stood there won in all questions of `decisions`; see above."""
    counted = [decision.wins for decision in decisions if decision.wins is not None]
    return tuple(map(sum, zip_longest(*counted, fillvalue=0))) if counted else None


def calls_at(selector: Selector, m: int, k: int) -> int:
    """Calls that a decision on `m` candidates takes if every reply is valid, at most."""
    way = way_of(selector.prompt)
    return way.calls(selector.prompt, m, k) if way else calls_per_decision(selector.spec)


def most_calls_at(selector: Selector, m: int, k: int, reask: int) -> int:
    """Calls that a decision on `m` candidates takes at most, under `reask` of the settings."""
    if way_of(selector.prompt) is None:
        return most_calls(selector.spec, reask)
    return calls_at(selector, m, k) * (1 + reasks_of(selector, reask))


def longest_question(task: Task) -> Task:
    """A question of `task` with the longest prompt: of a few items the longest ones."""
    asked = following(task)[0]
    if len(asked.shown) == len(task.shown):
        return asked
    ordered = sorted(task.shown, key=lambda item: -len(item.text))
    return replace(asked, shown=tuple(ordered[: len(asked.shown)]))


def check_asked(prompt: Prompt, m: int) -> None:
    """Raise PromptError unless `prompt` can ask about each of `m` candidates."""
    fewest = pairwise.fewest_calls(m)
    if way_of(prompt) is PAIRWISE and prompt.calls is not None and prompt.calls < fewest:
        raise PromptError(
            f"{prompt.ref}: `calls: {prompt.calls}` is too few for clusters of {m}, of which some "
            f"would never be compared. Allow at least {fewest}, or show smaller clusters"
        )
