"""What every verb that evaluates a suite shares: options, how it is run, told and ended."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from selectllm.cli.exit_codes import exit_code
from selectllm.cli.option_words import option
from selectllm.cli.options import (
    DIRECTORY,
    FILE,
    LIMIT,
    SUITE_SEED,
    Common,
    Function,
    asking_options,
    common_options,
)
from selectllm.cli.reports import append_summary, reports, write_reports, write_unreached
from selectllm.cli.session import SETTINGS, CommandSession, open_session
from selectllm.core.codec import canonical_json
from selectllm.core.errors import ReplyMissing, SelectLLMError
from selectllm.core.shown import capital
from selectllm.jobs.named_model import shown_argument
from selectllm.jobs.outputs import nearby
from selectllm.jobs.sync import finished
from selectllm.models.secrets import shown_url
from selectllm.report.next_steps import columns_words, command, looked_at

if TYPE_CHECKING:
    from selectllm.evaluation.suite import Suite
    from selectllm.jobs.evaluation import Evaluation

Value = TypeVar("Value")

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

EVALUATING = (
    option("--details", is_flag=True, help="Print all figures and tables, not only the main ones."),
    option("-o", "--out", type=DIRECTORY, show_default="eval/runs/SUITE-HASH"),
    SUITE_SEED,
    LIMIT,
    option(
        "--record",
        type=FILE,
        help="Write all replies to this file. A suite that names it under replies: needs no model.",
    ),
)


def evaluation_options(
    kind: str = "RunResults", *, verdicts: bool = True
) -> Callable[[Function], Function]:
    """Give a verb what those have that evaluate SUITE; `verdicts`: whether it reaches any.

    `kind`: of its results, a key of report.formats.RESULTS. It receives `details` and `common`;
    what is left are arguments of its job.
    """

    def add(verb: Function) -> Function:
        common = asking_options if kind == "RunResults" else common_options
        verb = reports(kind, verdicts=verdicts)(common(verb))
        for decorate in reversed(EVALUATING):
            verb = decorate(verb)
        return verb

    return add


def carried_out(
    job: Callable[..., Coroutine[Any, Any, Value]], suite: Suite, common: Common, **told: Any
) -> tuple[CommandSession, Value]:
    """What `job` gives of `suite`, and the session that it ran in.

    Where replies are missing, the error says by which command they are recorded. The reports that
    were asked for say what kept the suite from a result, whatever it was.
    """
    session = open_session(common, suite.folder)
    try:
        return session, finished(job(suite, session=session, **told))
    except ReplyMissing as error:
        missing = ReplyMissing(f"{error}. To record them, run: {_record_command(error.pack)}")
        write_unreached(suite.name, missing)
        raise missing from None
    except SelectLLMError as error:
        write_unreached(suite.name, error)
        raise


@contextlib.contextmanager
def saying_how_to_ask() -> Iterator[None]:
    """Tell, where replies are missing, by which command they are asked for."""
    try:
        yield
    except ReplyMissing as error:
        again = shlex.join(same_command())
        raise ReplyMissing(f"{error}. To ask for them, run: {again}") from None


def _record_command(pack: Path | None) -> str:
    """The command that is running, with --record and without what is for this time only."""
    from selectllm.jobs.gating import recorded_into

    suite = click.get_current_context().params["suite_file"]
    return recorded_into([*same_command("out"), "--record"], suite, pack)


def same_command(*left_out: str, verb: str | None = None) -> list[str]:
    """The words of the command that is running, without what is for this time only.

    `verb`: instead of its own.
    """
    context = click.get_current_context()
    words, given = ["selectllm", verb or str(context.info_name)], given_options()
    for parameter in context.command.params:
        if (name := str(parameter.name)) in given and name not in (*NOT_REPEATED, *left_out):
            words += _words(parameter, given[name])
    return words


def given_options() -> dict[str, Any]:
    """What the command that is running was given, by its parameters; not what it has by default."""
    context = click.get_current_context()
    return {
        name: value  # of --turns none: it is among the columns
        for name, value in context.params.items()
        if value is not None
        and (
            context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            or (isinstance(value, Mapping) and value)
        )
    }


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


def finish(session: CommandSession, evaluation: Evaluation, *, details: bool) -> None:
    """Print the results and end with the exit code of their verdicts."""
    show(session, evaluation, details=details)
    click.get_current_context().exit(exit_code(evaluation.results.words))
