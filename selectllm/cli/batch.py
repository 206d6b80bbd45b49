"""`selectllm batch`: the questions of an evaluation as a file for others to answer, and back."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import DIRECTORY, LIMIT, SUITE_SEED, Common, common_options, grouped
from selectllm.cli.session import open_session
from selectllm.cli.terminal import say
from selectllm.core.errors import SelectionShort
from selectllm.jobs.options import Evaluating
from selectllm.jobs.sync import finished

_suite = click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
_file = click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
_evaluating = grouped(
    "evaluating",
    Evaluating,
    option("-o", "--out", type=DIRECTORY, show_default="eval/runs/SUITE-HASH"),
    SUITE_SEED,
    LIMIT,
)


@click.group()
def batch() -> None:
    """Write the questions of an evaluation as an OpenAI batch file, and read back the answers.

    Use this with vllm run-batch, with gateways, or to upload a batch yourself. If the provider
    offers batches, the option --batch of eval, ab, swap, regress and select does it all for you.
    """


@batch.command("export", epilog=example("batch export suite.yaml questions.jsonl"))
@_suite
@_file
@option("--model")
@_evaluating
@common_options
def export_(
    suite_file: Path, file: Path, model: str | None, evaluating: Evaluating, common: Common
) -> None:
    """Write the questions of SUITE that have no reply yet to FILE, as JSON lines."""
    from selectllm.jobs.batch_files import export_batch

    session = open_session(common, suite_file.parent)
    job = export_batch(suite_file, file, evaluating, model=model, session=session)
    say(finished(job), as_json=common.as_json)


@batch.command("import", epilog=example("batch import suite.yaml answers.jsonl"))
@_suite
@_file
@_evaluating
@common_options
def import_(suite_file: Path, file: Path, evaluating: Evaluating, common: Common) -> None:
    """Add the answers in FILE to the reply cache, where eval finds them.

    Exit codes: 0 every question is answered; 1 answers are missing, or report an error.
    """
    from selectllm.jobs.batch_files import import_batch

    session = open_session(common, suite_file.parent)
    taken = finished(import_batch(suite_file, file, evaluating, session=session))
    say(taken, as_json=common.as_json)
    if not taken.complete:
        click.get_current_context().exit(SelectionShort.exit_code)
