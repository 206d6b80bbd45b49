"""A decision's score is its range capture; the feedback says what it missed and why."""

from __future__ import annotations

import pytest

from selectllm.core.types import Decision, Status
from selectllm.optimization.metric import DecisionScore, Metric
from selectllm.prompting.library import PromptLibrary

UTILITY = {"a": 1.0, "b": 5.0, "c": 3.0, "d": 2.0}


def scored(
    picks: str, status: Status = "ok", k: int = 2, problems: tuple[str, ...] = ()
) -> DecisionScore:
    decision = Decision(
        cluster=7,
        order=0,
        repeat=0,
        round=0,
        shown=tuple("abcd"),
        picks=tuple(picks),
        status=status,
        problems=problems,
    )
    return Metric(PromptLibrary().load("short@1"), UTILITY, k)(decision)


@pytest.mark.parametrize(("picks", "score"), [("bc", 1.0), ("ad", 0.0), ("bd", 0.8), ("ab", 0.6)])
def test_the_score_is_the_share_of_the_range_between_worst_and_best(
    picks: str, score: float
) -> None:
    assert scored(picks).score == pytest.approx(score)


def test_nothing_picked_scores_as_random_picks_do() -> None:
    assert scored("", "invalid").score == pytest.approx(0.5)


def test_the_feedback_names_what_was_missed_and_what_was_chosen_instead() -> None:
    feedback = scored("ab").feedback
    assert feedback.startswith("Score 0.60,")
    assert "The best choice was [2] (worth 5), [3] (worth 3)" in feedback
    assert "missed: [3] (worth 3); chosen instead: [1] (worth 1)." in feedback


def test_the_feedback_on_the_best_choice_has_nothing_to_say_against_it() -> None:
    feedback = scored("cb").feedback
    assert "The best possible choice: [2] (worth 5), [3] (worth 3)." in feedback
    assert "missed" not in feedback


@pytest.mark.parametrize(
    ("picks", "status", "said"),
    [
        ("", "invalid", "The reply could not be used: the reply has no text."),
        ("b", "partial", "Not all of the reply could be used: the reply has no text."),
        ("", "refused", "The model refused to answer: the reply has no text."),
    ],
)
def test_the_feedback_says_why_a_reply_was_invalid(picks: str, status: Status, said: str) -> None:
    assert said in scored(picks, status, problems=("empty",)).feedback


def test_a_failure_is_never_scored() -> None:
    with pytest.raises(ValueError, match="never scored"):
        scored("", "error")


def test_a_cluster_that_decides_nothing_has_no_score() -> None:
    with pytest.raises(ValueError, match="no picks in it are better"):
        scored("abcd", k=4)
