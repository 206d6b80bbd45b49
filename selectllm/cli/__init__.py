"""The command line: one group of verbs, each in a module of its own that loads when used."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from selectllm.core.errors import SelectLLMError, UsageError

INTERRUPTED = 130
COMPLETE = "_SELECTLLM_COMPLETE"
"""The variable in which a shell asks for a script, or what a line could go on with."""

EVERYDAY = {
    "init": ("selectllm.cli.init:init", "Make a workspace that runs at once."),
    "plan": (
        "selectllm.cli.plan:plan",
        "Before spending: clusters, calls, tokens, USD, ratings needed.",
    ),
    "select": ("selectllm.cli.select:select", "Select exactly N items of a pool."),
    "eval": ("selectllm.cli.eval:eval_", "Evaluate prompts x models on a suite; write a run."),
    "ab": ("selectllm.cli.ab:ab", "Is one prompt or model better than another: a verdict."),
    "swap": ("selectllm.cli.swap:swap", "Is another model a safe swap; what both cost."),
    "regress": ("selectllm.cli.regress:regress", "Has a prompt got worse than its baseline."),
    "utility": (
        "selectllm.cli.utility:utility",
        "Utilities: rate, compute, import, validate them.",
    ),
}
MORE = {
    "sets": ("selectllm.cli.sets:sets", "Every selector's set at every budget and seed; a table."),
    "student": (
        "selectllm.cli.student:student",
        "Fine-tune a student on a selection, and measure it.",
    ),
    "export": ("selectllm.cli.export:export", "Training files of selected sets, and a recipe."),
    "handover": (
        "selectllm.cli.handover:handover",
        "Write selected items for the people who answer them.",
    ),
    "answers": (
        "selectllm.cli.handover:answers",
        "Join their answers to the items: a training file.",
    ),
    "runs": ("selectllm.cli.runs:runs", "List the runs of a workspace, newest first."),
    "report": ("selectllm.cli.report:report", "Print the table of a run again."),
    "aa": ("selectllm.cli.aa:aa", "A pair against itself: the noise, and false alarms."),
    "verify": (
        "selectllm.cli.verify:verify",
        "Compute a run's figures anew; name what differs.",
    ),
    "baseline": ("selectllm.cli.baseline:baseline", "Keep a run as what regress compares with."),
    "optimize": (
        "selectllm.cli.optimize:optimize",
        "Search a better prompt; confirm it on clusters never seen.",
    ),
    "prompts": ("selectllm.cli.prompts:prompts", "List, show, render, compare, lock prompts."),
    "models": ("selectllm.cli.models:models", "List, install, serve embedded models."),
    "doctor": ("selectllm.cli.doctor:doctor", "What is installed, set and kept here; is it whole."),
    "cache": ("selectllm.cli.cache:cache", "Look into the reply cache, or clear it."),
}
VERBS = EVERYDAY | MORE


class Verbs(click.Group):
    """A group that knows its verbs by name and loads only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, the everyday ones first."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The verb's own command. Raises UsageError with the closest one for no verb."""
        if name not in VERBS:
            if ctx.resilient_parsing:  # the shell asks what could follow, and nothing could
                return None
            from selectllm.core.names import unknown

            raise UsageError(unknown("command", name, VERBS))
        module, _, attribute = VERBS[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs that begin so, without loading them, and the options of the group."""
        items = [
            CompletionItem(name, help=line)
            for name, (_, line) in VERBS.items()
            if name.startswith(incomplete)
        ]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with one line each, without loading them."""
        for title, verbs in (("Commands", EVERYDAY), ("More", MORE)):
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in verbs.items()])


@click.group(
    cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True
)
@click.version_option(package_name="selectllm")
def cli() -> None:
    """Let any LLM select which instructions to annotate, and measure how good its picks are."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: done, or a verdict that lets pass. 1: an answer that was computed and is none to go on with
    (worse, fail, not safe, a difference, a selection that is short or too random). 2: bad input.
    3: inconclusive. 4: the budget is reached. 5: a reply is missing, offline. 6: the provider
    failed after retries. 70: an internal error, nothing is decided. 130: interrupted. After 4, 5,
    6 and 130 what was paid for is kept, and the same call goes on from there.
    """
    try:
        # A verb ends with another code than 0 through `ctx.exit`, which click returns here.
        code = cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:  # also click's own 1, for a file: that is an answer
        error.show()
        return UsageError.exit_code
    except SelectLLMError as error:
        from selectllm.cli.terminal import spoken
        from selectllm.core.shown import visible

        click.echo(visible(f"selectllm: {spoken(str(error), error.argument)}"), err=True)
        return error.exit_code
    except OSError as error:  # a folder that cannot be written, a full disk: never a verdict
        reason = f"{error.strerror or error}; check the path, its permissions and the space left"
        click.echo(f"selectllm: {error.filename or 'a file'}: {reason}", err=True)
        return UsageError.exit_code
    except (KeyboardInterrupt, click.Abort) as stop:
        if _was_a_question(stop):
            click.echo(
                "selectllm: the question was not answered. Answer it, or give the option that says "
                "it beforehand (see --help)",
                err=True,
            )
            return UsageError.exit_code
        click.echo("selectllm: interrupted; run the same command again to go on", err=True)
        return INTERRUPTED
    except (Exception, SystemExit) as error:
        from selectllm.cli.defect import tell_defect

        return tell_defect(error)
    return code if isinstance(code, int) else 0


def _was_a_question(stop: BaseException) -> bool:
    """Whether input ended where a verb asked; click makes the same of it as of Ctrl-C."""
    return isinstance(stop, click.Abort) and isinstance(stop.__context__, EOFError)


def script() -> None:
    """The entry point of the `selectllm` command."""
    from selectllm.cli.streams import prepare

    prepare()
    if COMPLETE in os.environ:
        cli(prog_name="selectllm")  # click answers the shell, and exits
    code = main()
    try:
        sys.stdout.flush()
    except UsageError as error:
        click.echo(f"selectllm: {error}", err=True)
        code = error.exit_code
    sys.exit(code)
