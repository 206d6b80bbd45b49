"""`selectllm batch`: the questions of an evaluation as a file for others to answer, and back."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import DIRECTORY, LIMIT, SUITE_SEED, Common, common_options, grouped
from selectllm.cli.session import open_session
from selectllm.core.codec import canonical_json
from selectllm.core.errors import SelectionShort
from selectllm.core.shown import counted
from selectllm.jobs.options import Evaluating
from selectllm.jobs.sync import finished
from selectllm.report.next_steps import command

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
    """Have the questions of an evaluation answered by hand, in OpenAI's form for batches.

    For vllm run-batch, gateways and a provider's own page. Where the provider has batches, eval,
    ab, swap, regress and select send them with --batch.
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
    written = finished(export_batch(suite_file, file, evaluating, model=model, session=session))
    if common.as_json:
        click.echo(canonical_json({"file": str(file), "questions": written.questions}))
        return
    if not written.questions:
        session.note(f"Nothing is missing. To evaluate, run: {command('eval', suite_file)}")
        return
    click.echo(f"{counted(written.questions, 'question')} of {written.model} written to {file}.")
    back = command("batch", "import", suite_file, "ANSWERS.jsonl")
    session.note(
        f"To have them answered by vLLM, run: vllm run-batch -i {shlex.quote(str(file))} "
        f"-o ANSWERS.jsonl --model MODEL. To take the answers, run: {back}"
    )


@batch.command("import", epilog=example("batch import suite.yaml answers.jsonl"))
@_suite
@_file
@_evaluating
@common_options
def import_(suite_file: Path, file: Path, evaluating: Evaluating, common: Common) -> None:
    """Take the answers in FILE into the reply cache, where eval finds them.

    Exit codes: 0 every question is answered; 1 answers are missing, or report an error.
    """
    from selectllm.jobs.batch_files import import_batch

    session = open_session(common, suite_file.parent)
    taken = finished(import_batch(suite_file, file, evaluating, session=session))
    if common.as_json:
        click.echo(canonical_json(asdict(taken)))
    else:
        click.echo("\n".join(taken.sentences))
        rest = command("batch", "export", suite_file, "REST.jsonl")
        session.note(
            f"To evaluate, run: {command('eval', suite_file)}"
            if taken.complete
            else f"To write the questions that are left to a file, run: {rest}"
        )
    if not taken.complete:
        click.get_current_context().exit(SelectionShort.exit_code)
