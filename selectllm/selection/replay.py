"""Which candidates each question of a decision showed, found again from its replies. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from selectllm.core.types import Attempt, Decision
from selectllm.selection.ask import first_request, fits, read_reply
from selectllm.selection.task import AskSettings, Task, reasks_of
from selectllm.selection.ways.following import following, wins_by_place


def shown_by_attempts(
    task: Task, decision: Decision, settings: AskSettings
) -> Sequence[tuple[str, ...]] | None:
    """For every attempt of `decision`, to which `task` led, the ids of the items that it showed.

    What is asked next depends on the answers alone, so that the same answers lead the same way.
    None where they do not, such as under another seed.
    """
    left, shown, answered = deque(decision.attempts), list[tuple[str, ...]](), list[Decision]()
    while questions := following(task, answered):
        for question in questions:
            ids = tuple(item.id for item in question.shown)
            before = len(left)
            found = _answered(question, ids, left, settings)
            shown += [ids] * (before - len(left))
            if found is None:  # a call failed, and what comes after it was not asked
                return shown
            answered.append(found)
    wins = decision.wins
    same = not left and (wins is None or wins == wins_by_place(task, answered))
    return shown if same else None


def _answered(
    question: Task, ids: tuple[str, ...], left: deque[Attempt], settings: AskSettings
) -> Decision | None:
    """What the attempts that are `left` say of a question; those that were about it are taken."""
    request = first_request(question, settings)
    if not fits(request):
        return Decision(0, 0, 0, 0, ids, (), "invalid")
    most, asked = 1 + reasks_of(question.selector, settings.reask), 0
    found: Decision | None = None
    while left and asked < most:
        attempt = left.popleft()
        if attempt.kind is not None:
            continue
        asked += 1
        if attempt.finish_reason in ("refused", "too_long"):
            return Decision(0, 0, 0, 0, ids, (), "refused")
        parsed = read_reply(attempt.as_reply(), request)
        picks = tuple(ids[position] for position in parsed.picks)
        found = Decision(0, 0, 0, 0, ids, picks, parsed.status)
        if parsed.status in ("ok", "repaired"):
            break
    return found
