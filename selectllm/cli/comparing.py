"""How the verbs that compare end: with the results, and an exit code by the words of verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from selectllm.cli.evaluation import show
from selectllm.cli.session import CommandSession
from selectllm.jobs.evaluation import Evaluation

EXITS: Mapping[str, int] = {
    **dict.fromkeys(("worse", "fail", "not safe"), 1),
    "inconclusive": 3,
    **dict.fromkeys(("better", "equivalent", "pass", "safe"), 0),
}
"""Exit codes by word; of several verdicts, 1 goes before 3 and 3 before 0."""


def exit_code(words: Sequence[str]) -> int:
    """What a command with these verdicts ends with."""
    codes = {EXITS[word] for word in words}
    return next((code for code in (1, 3) if code in codes), 0)


def finish(session: CommandSession, evaluation: Evaluation) -> None:
    """Print the results and end with the exit code of their verdicts."""
    show(session, evaluation)
    code = exit_code([verdict["word"] for verdict in evaluation.results["verdicts"]])
    click.get_current_context().exit(code)
