"""The command line: one group of verbs, each in a module of its own that loads when used."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from selectllm.core.errors import SelectLLMError, UsageError

INTERNAL = 70
INTERRUPTED = 130
GARBAGE = (200_000, 20, 50)
"""From how many new objects on, and older ones, the interpreter searches for garbage."""
COMPLETE = "_SELECTLLM_COMPLETE"
"""The variable in which a shell asks for a script, or what a line could go on with."""

EVERYDAY = {
    "init": "Make a workspace with a suite that runs as it is.",
    "plan": "Report calls, tokens, USD and ratings before anything is spent.",
    "select": "Select exactly N items of a pool.",
    "eval": "Evaluate the prompts and models of a suite.",
    "ab": "Find out whether one prompt or model is better than another.",
    "swap": "Find out whether one model can safely replace another.",
    "regress": "Test whether a prompt has become worse than its baseline.",
    "utility": "Collect, compute or check utilities.",
}
MORE = {
    "sets": "Select a set with every selector of a suite, and compare them.",
    "student": "Fine-tune a small model on selections, and measure what it learned.",
    "export": "Write training files for selected sets.",
    "handover": "Write selected items for the people who answer them.",
    "answers": "Join the answers to their items, and write a training file.",
    "rounds": "List the rounds of annotation, and what they cover of the pool.",
    "runs": "List the runs of a workspace, newest first.",
    "report": "Print the tables of a run again, or compare two runs.",
    "view": "Show runs, comparisons and trends in a browser.",
    "aa": "Compare a prompt and model with themselves to see the noise.",
    "audit": "Test whether picks depend on things that should not matter.",
    "verify": "Compute the figures of a run again, and list those that differ.",
    "baseline": "Keep the picks of a run for regress to compare with.",
    "batch": "Write questions to a batch file, and read back the answers.",
    "optimize": "Search for a better prompt, and confirm it on new clusters.",
    "prompts": "List, show, compare, write and lock prompts.",
    "models": "Check the models of a suite; list, install or serve embedded ones.",
    "doctor": "Show what is installed and set here, and what is broken.",
    "cache": "List, check, repair or clear the cached replies.",
    "log": "Repair the log of a run or selection.",
}
VERBS = EVERYDAY | MORE
"""Every verb with its line. It is the command of its name in the module of its name."""
ELSEWHERE = {"eval": ("eval", "eval_"), "answers": ("handover", "answers")}
"""Module and command of those that are not."""
EXIT_CODES = """\b
Exit codes:
  0    done, or the verdict is pass, better, equivalent or safe
  1    the verdict is worse, fail or not safe; a check failed; or a selection
       has too few valid picks
  2    bad input, or a file that cannot be used
  3    the verdict is inconclusive
  4    the limit of --max-cost is reached
  5    a reply is missing with --offline, or a batch is under way with --no-wait
  6    the provider of the model failed
  70   an internal error
  130  interrupted
After 4, 5, 6 and 130, run the same command again to continue.

\b
Example:
  selectllm select pool.jsonl --budget 100 --strategy longest
"""


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
        module, attribute = ELSEWHERE.get(name, (name, name))
        command = getattr(importlib.import_module(f"selectllm.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs that begin so, without loading them, and the options of the group."""
        items = [
            CompletionItem(name, help=line)
            for name, line in VERBS.items()
            if name.startswith(incomplete)
        ]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with one line each, without loading them."""
        for title, verbs in (("Commands", EVERYDAY), ("More", MORE)):
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()))


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    epilog=EXIT_CODES,
)
@click.version_option(package_name="selectllm")
def cli() -> None:
    """Let any LLM select which instructions to annotate, and measure how good its picks are."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: done, or a verdict that lets pass. 1: an answer that was computed and is none to go on with
    (worse, fail, not safe, a difference, a selection that is short or too random). 2: bad input.
    3: inconclusive. 4: the budget is reached. 5: a reply is missing, offline, or a batch is under
    way. 6: the provider failed after retries. 70: an internal error, nothing is decided. 130:
    interrupted. After 4, 5, 6 and 130 what was paid for is kept, and the same call goes on.
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
        from selectllm.core.shown import sentence, visible

        given = sys.argv[1:] if arguments is None else arguments
        said = sentence(spoken(str(error), error.argument), given)
        click.echo(visible(f"selectllm: {said}"), err=True)
        return error.exit_code
    except OSError as error:  # a folder that cannot be written, a full disk: never a verdict
        reason = f"{error.strerror or error}. Check the path, its permissions and the space left."
        click.echo(f"selectllm: {error.filename or 'a file'}: {reason}", err=True)
        return UsageError.exit_code
    except (KeyboardInterrupt, click.Abort) as stop:
        if _was_a_question(stop):
            click.echo(
                "selectllm: The question was not answered. Run the command again and answer it, or "
                "add the option that answers it (see --help).",
                err=True,
            )
            return UsageError.exit_code
        click.echo(
            "selectllm: Interrupted. Run the same command again to continue where it stopped.",
            err=True,
        )
        return INTERRUPTED
    except (Exception, SystemExit) as error:
        return _tell_defect(error)
    return code if isinstance(code, int) else 0


def _tell_defect(error: BaseException) -> int:
    """One line about an error that nobody expected, its traceback in a file; the exit code."""
    from selectllm.jobs.defects import record_defect

    path = record_defect(error)
    place = f"The traceback is in {path}" if path else "The traceback could not be written"
    click.echo(
        f"selectllm: There was an internal error ({type(error).__name__}). Nothing was decided, "
        f"and all replies that were paid for are kept. {place}. Please report it with the command "
        "that you ran.",
        err=True,
    )
    return INTERNAL


def _was_a_question(stop: BaseException) -> bool:
    """Whether input ended where a verb asked; click makes the same of it as of Ctrl-C."""
    return isinstance(stop, click.Abort) and isinstance(stop.__context__, EOFError)


def script() -> None:
    """The entry point of the `selectllm` command."""
    from selectllm.core.streams import prepare

    # What jobs make mostly stays; to search it for garbage all the time took an eighth of the CPU
    # of `regress` on 5,000 decisions.
    gc.set_threshold(*GARBAGE)
    prepare()
    if COMPLETE in os.environ:
        cli(prog_name="selectllm")  # click answers the shell, and exits
    code = main()
    try:
        sys.stdout.flush()
    except UsageError as error:
        click.echo(f"selectllm: {error}", err=True)
        code = error.exit_code
    gc.freeze()  # all of it goes now: nobody need search it once more
    sys.exit(code)
