"""`selectllm optimize`: search a better prompt, and confirm it on clusters never seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selectllm.cli.evaluation import saying_how_to_ask
from selectllm.cli.exit_codes import INCONCLUSIVE
from selectllm.cli.option_words import example, option
from selectllm.cli.options import DIRECTORY, LIMIT, SUITE, SUITE_SEED, Common, common_options
from selectllm.cli.reports import reports, tell
from selectllm.cli.session import CommandSession, open_session
from selectllm.core.shown import capital, visible
from selectllm.jobs.outputs import nearby
from selectllm.jobs.sync import finished
from selectllm.report.next_steps import looked_at

if TYPE_CHECKING:
    from selectllm.jobs.optimizing import Optimization


@click.command(
    epilog=example(
        "optimize suite.yaml --prompt short@1 --model gpt --teacher openai/gpt-4o --budget 600",
        "optimize suite.yaml --prompt parts@1 --model gpt --grid",
    )
)
@SUITE
@option("--prompt", show_default="the suite's only one")
@option("--model", show_default="the suite's only one")
@option(
    "--grid",
    is_flag=True,
    help="Try the values of the variables that the prompt declares, instead of rewriting it.",
)
@option(
    "--teacher",
    metavar="MODEL",
    show_default="the model of --model",
    help="The model that rewrites the prompt: its name in the suite, or PROVIDER/MODEL.",
)
@option(
    "--budget",
    type=click.IntRange(1),
    metavar="DECISIONS",
    help="The most decisions that the search may ask for. Measuring and confirming the result "
    "takes further decisions; their number is printed before the search starts.",
)
@option(
    "--demonstrations",
    type=click.IntRange(0, 20),
    default=0,
    help="Also try up to N worked examples from training clusters in the prompt.",
)
@option("--force", is_flag=True, help="Write the new version even if it is not better.")
@option("-o", "--out", type=DIRECTORY, show_default="eval/runs/optimize-SUITE-HASH")
@SUITE_SEED
@LIMIT
@reports("SearchResults", "GridResults")
@common_options
def optimize(suite_file: Path, common: Common, **told: Any) -> None:
    """Search for a better prompt on some clusters of SUITE, and confirm it on the others.

    A teacher model rewrites the system text of the prompt, or --grid tries values of its variables.
    A new version is written only if it is confirmed to be better, or with --force.

    Exit codes: 0 there is a verdict; 3 it is inconclusive, or no rewrite could be used.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import optimizing

    suite = load_suite(suite_file)
    session = open_session(common, suite.folder)
    with saying_how_to_ask():
        search = finished(optimizing.optimize(suite, session=session, **told))
    if not tell(search.results, session):
        folder = nearby(search.folder)
        session.note(f"{capital(session.spent)}. The search is in {folder}.")
        session.note(looked_at(folder))
    _tell(session, search)
    undecided = search.word == "inconclusive" or search.unusable is not None
    click.get_current_context().exit(INCONCLUSIVE if undecided else 0)


def _tell(session: CommandSession, search: Optimization) -> None:
    """What was written, or why nothing could be; the latter also with --quiet: it is the answer."""
    if search.unusable is not None:
        advice = "Name a more capable model with --teacher, and run the command again."
        click.echo(visible(f"{search.unusable}\n{advice}"), err=True)
    if search.written is not None and session.workspace.prompts is not None:
        name, _, number = search.written.partition("@")
        file = nearby(session.workspace.prompts / name / f"v{number}.jinja")
        session.note(f"{search.written} is in {file}. To release it, run: selectllm prompts lock")
