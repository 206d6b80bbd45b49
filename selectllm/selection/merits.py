"""What a model's replies say of its picks besides naming them: a score, and a reason.

Read again from the replies in the decision log, so that a log of any version tells it, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selectllm.core.types import Attempt, Decision
from selectllm.prompting.replies.formats import reply_format
from selectllm.prompting.replies.parse import parse
from selectllm.prompting.replies.reasons import reasons_in
from selectllm.selection.ask import first_request, question_of
from selectllm.selection.task import AskSettings, Task
from selectllm.selection.voting import RULES, Ballot
from selectllm.selection.ways.following import way_of


@dataclass(frozen=True, slots=True)
class Merit:
    """What a model gave for one of its picks.

    `score`: its number in a reply of scores, or what questions about one item or two make of it (a
    point of the scale, a strength in logits); of a vote its points (by Borda count) or how many
    ballots picked it (by majority). `reason`: what the model wrote about it; see reasons_in. Of a
    vote that of the first ballot that picked it and gives one. Each None where there is none.
    """

    score: float | None
    reason: str | None


def merits_of(task: Task, decision: Decision, settings: AskSettings) -> Mapping[str, Merit]:
    """The merits of the picks in the decision that `task` led to, by item id."""
    if decision.scores:
        scored = zip(decision.picks, decision.scores, strict=True)
        return {pick: Merit(score, None) for pick, score in scored}
    if not decision.picks or way_of(task.selector.prompt) or task.selector.by_logprobs:
        return {}
    answered = _answers(task, decision, settings)
    scores = _points(task, answered) if task.ballots else _scores(answered)
    reasons: dict[str, str] = {}
    for question, reply in answered:
        ids = [item.id for item in question.shown]
        picked = [ids.index(pick) for pick in decision.picks]
        given = reasons_in(reply.reply, question_of(question), picked, reply.finish_reason)
        for position, reason in given.items():
            reasons.setdefault(ids[position], reason)
    return {pick: Merit(scores.get(pick), reasons.get(pick)) for pick in decision.picks}


def _answers(task: Task, decision: Decision, settings: AskSettings) -> list[tuple[Task, Attempt]]:
    """Each question of a decision with the reply that answered it, which is the last of its own."""
    if not task.ballots:
        return [(task, reply) for reply in decision.replies[-1:]]
    questions = {first_request(ballot, settings).key: ballot for ballot in task.ballots}
    last: dict[str, Attempt] = {}
    begun = ""
    for attempt in decision.attempts:
        if attempt.request_sha256 in questions:
            begun = attempt.request_sha256
        if begun and attempt.kind is None:
            last[begun] = attempt
    return [(questions[key], reply) for key, reply in last.items()]


def _scores(answered: Sequence[tuple[Task, Attempt]]) -> Mapping[str, float]:
    """What replies in a form that scores give every candidate."""
    scores: dict[str, float] = {}
    for question, reply in answered:
        asked = question_of(question)
        if reply_format(asked.reply, asked.folders).scores:
            parsed = parse(reply.reply, asked, reply.finish_reason)
            given = zip(question.shown, parsed.scores or (), strict=False)
            scores |= {item.id: score for item, score in given}
    return scores


def _points(task: Task, answered: Sequence[tuple[Task, Attempt]]) -> Mapping[str, float]:
    """What the ballots of a vote add up to for every candidate."""
    ballots: list[Ballot] = []
    for question, reply in answered:
        parsed = parse(reply.reply, question_of(question), reply.finish_reason)
        ids = [item.id for item in question.shown]
        if parsed.picks:
            ranking = None if parsed.ranking is None else tuple(ids[i] for i in parsed.ranking)
            ballots.append(Ballot(tuple(ids[i] for i in parsed.picks), ranking))
    vote = task.selector.spec.vote
    assert vote is not None
    return RULES[vote.rule](ballots, [item.id for item in task.shown])
