"""`selectllm eval`: the matrix of a suite, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selectllm.cli.evaluation import carried_out, evaluation_options, show
from selectllm.cli.option_words import example
from selectllm.cli.options import SUITE, Common, engine_options, model_options
from selectllm.jobs.named_model import with_model
from selectllm.jobs.options import ModelOptions


@click.command("eval", epilog=example("eval suite.yaml", "eval suite.yaml --record replies.jsonl"))
@SUITE
@engine_options
@evaluation_options(verdicts=False)
@model_options
def eval_(
    suite_file: Path, details: bool, model_options: ModelOptions, common: Common, **told: Any
) -> None:
    """Evaluate every prompt with every model of SUITE, and its strategies.

    The picks are compared with the utilities of the suite. The command writes a run folder and
    prints its tables. If it was stopped, run it again to continue where it stopped. The same inputs
    and replies always give the same results.json, byte for byte.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs.evaluating import evaluate

    suite = with_model(load_suite(suite_file), model_options)
    session, evaluation = carried_out(evaluate, suite, common, **told)
    show(session, evaluation, details=details)
