"""What every verb that evaluates a suite shares: options, tables, how replies are recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from selectllm.cli.option_words import option
from selectllm.cli.options import DIRECTORY, FILE, LIMIT, SUITE_SEED, grouped
from selectllm.cli.reports import append_summary, write_reports, write_unreached
from selectllm.cli.session import SETTINGS, CommandSession
from selectllm.core.codec import canonical_json
from selectllm.core.errors import ReplyMissing, SelectLLMError
from selectllm.core.shown import capital
from selectllm.jobs.named_model import shown_argument
from selectllm.jobs.options import Evaluating
from selectllm.jobs.outputs import nearby
from selectllm.models.secrets import shown_url
from selectllm.report.next_steps import columns_words, command, looked_at

if TYPE_CHECKING:
    from selectllm.jobs.evaluation import Evaluation

WHERE = {"prompts", "cache", "encoder", "vectors", "env_file"}
NOT_REPEATED = {
    *SETTINGS,
    "as_json",
    "quiet",
    "details",
    "record",
    "junit",
    "markdown",
    "report",
} - WHERE
"""Options that say how a command works and what it prints, not what it asks."""

evaluating_options = grouped(
    "evaluating",
    Evaluating,
    option("-o", "--out", type=DIRECTORY, show_default="eval/runs/SUITE-HASH"),
    SUITE_SEED,
    LIMIT,
    option(
        "--record",
        type=FILE,
        help="Write all replies to this file. A suite that names it under replies: needs no model.",
    ),
)

details_option = option(
    "--details", is_flag=True, help="Print every figure and table, not only what tells most."
)


@contextlib.contextmanager
def reaching_verdicts(suite: str) -> Iterator[None]:
    """Tell, where replies are missing, by which command they are recorded.

    The reports that were asked for say what kept `suite` from a result, whatever it was.
    """
    try:
        yield
    except ReplyMissing as error:
        told = ReplyMissing(f"{error}. To record them, run: {_record_command(error.pack)}")
        write_unreached(suite, told)
        raise told from None
    except SelectLLMError as error:
        write_unreached(suite, error)
        raise


def _record_command(pack: Path | None) -> str:
    """The command that is running, with --record and without what is for this time only."""
    from selectllm.jobs.gating import recorded_into

    suite = click.get_current_context().params["suite_file"]
    return recorded_into([*same_command("out"), "--record"], suite, pack)


def same_command(*left_out: str) -> list[str]:
    """The words of the command that is running, without what is for this time only."""
    context = click.get_current_context()
    words = ["selectllm", str(context.info_name)]
    for parameter in context.command.params:
        name = str(parameter.name)
        value = context.params.get(name)  # of --turns none: it is among the columns
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if value is None or name in (*NOT_REPEATED, *left_out):
            continue
        if given or (isinstance(value, Mapping) and value):
            words += _words(parameter, value)
    return words


def _words(parameter: click.Parameter, value: Any) -> list[str]:
    if isinstance(parameter, click.Argument):
        return [str(value)]
    flag = parameter.opts[-1]
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return [flag]
    if isinstance(value, Mapping):
        return columns_words(value, flag)
    values = value if parameter.multiple else [value]
    shown = {"model_arg": shown_argument, "api_base": shown_url}.get(str(parameter.name), str)
    return [word for each in values for word in (flag, shown(each))]


def show(session: CommandSession, evaluation: Evaluation, *, details: bool) -> None:
    """Write the reports that were asked for, and print the results.

    As JSON alone, or as tables with what was spent; without `details` what tells most.
    """
    append_summary(evaluation.results)
    if write_reports(evaluation.results, session.workspace, evaluation.folder):
        return
    if session.common.as_json:
        click.echo(canonical_json(evaluation.results.to_json()))
        return
    from rich.console import Console

    from selectllm.report.terminal import print_results

    print_results(evaluation.results, Console(), details=details)
    session.note_tries(evaluation.decisions)
    folder = nearby(evaluation.folder)
    session.note(f"{capital(session.spent)}. The run is in {folder}.")
    if evaluation.results.verdicts and not any(v.utility for v in evaluation.results.verdicts):
        ask = command("utility", "ask", folder, "--differing", "-o", "sheet.csv")
        session.note(f"To collect ratings, run: {ask}")
    if not details:
        session.note(f"For all figures, run: {command('report', folder)}")
    session.note(looked_at(folder, "every case"))
