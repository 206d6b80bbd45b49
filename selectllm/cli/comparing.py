"""How the verbs that compare end: with the results, and an exit code by the words of verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from selectllm.cli.evaluation import show
from selectllm.cli.exit_codes import exit_code
from selectllm.cli.session import CommandSession

if TYPE_CHECKING:
    from selectllm.jobs.evaluation import Evaluation


def finish(session: CommandSession, evaluation: Evaluation, *, details: bool) -> None:
    """Print the results and end with the exit code of their verdicts."""
    show(session, evaluation, details=details)
    code = exit_code(evaluation.results.words)
    click.get_current_context().exit(code)
