"""`selectllm eval`: the matrix of a suite, into a run folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selectllm.cli.evaluation import details_option, evaluating_options, reaching_verdicts, show
from selectllm.cli.option_words import example
from selectllm.cli.options import Common, common_options, engine_options, model_options
from selectllm.cli.reports import reports
from selectllm.cli.session import open_session
from selectllm.core.errors import UsageError
from selectllm.jobs.named_model import named_entry
from selectllm.jobs.options import Evaluating, ModelOptions
from selectllm.jobs.sync import finished

if TYPE_CHECKING:
    from selectllm.evaluation.suite import Suite


@click.command("eval", epilog=example("eval suite.yaml", "eval suite.yaml --record replies.jsonl"))
@click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
@details_option
@evaluating_options
@reports("RunResults", verdicts=False)
@model_options
@engine_options
@common_options
def eval_(
    suite_file: Path,
    details: bool,
    evaluating: Evaluating,
    model_options: ModelOptions,
    common: Common,
) -> None:
    """Evaluate every prompt with every model of SUITE, and its strategies.

    The picks are compared with the utilities of the suite. The command writes a run folder and
    prints its tables. If it was stopped, run it again to continue where it stopped. The same inputs
    and replies always give the same results.json, byte for byte.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs.evaluating import evaluate

    suite = _with_model(load_suite(suite_file), model_options)
    session = open_session(common, suite.folder)
    with reaching_verdicts(suite.name):
        evaluation = finished(evaluate(suite, session=session, **asdict(evaluating)))
    show(session, evaluation, details=details)


def _with_model(suite: Suite, named: ModelOptions) -> Suite:
    """The suite with the settings that the command line names for its one model."""
    if not named:
        return suite
    if len(suite.models) != 1:
        raise UsageError(
            "--api-base and --model-arg apply to a suite with one model, and this suite has "
            f"{len(suite.models)}. Write these settings into its model entries instead."
        )
    return suite.model_copy(update={"models": (named_entry(suite.models[0], named),)})
