"""`selectllm select`: exactly N items of a pool."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, get_args

import click

from selectllm.cli.evaluation import same_command, saying_how_to_ask
from selectllm.cli.option_words import TOOL, example, option
from selectllm.cli.options import (
    BY,
    FILE,
    SEED,
    STRATEGY,
    TOOLS,
    Common,
    asking_options,
    engine_options,
    map_option,
    model_options,
)
from selectllm.cli.reports import reports, write_reports_of_picks
from selectllm.cli.session import CommandSession, open_session
from selectllm.cli.terminal import say
from selectllm.core.choices import OnInvalid, TargetName
from selectllm.core.errors import UsageError
from selectllm.jobs.named_model import NamedModels, named_model
from selectllm.jobs.options import ModelOptions
from selectllm.jobs.outputs import nearby
from selectllm.jobs.pool_of_picks import PoolOfPicks
from selectllm.jobs.sync import finished
from selectllm.report.next_steps import looked_at

if TYPE_CHECKING:
    from selectllm.jobs.selection_files import WrittenSelection
    from selectllm.jobs.settings import SelectArguments


def _size(ctx: click.Context, param: click.Parameter, text: str) -> int | None:
    """--cluster-size as a number; None for auto. Raises UsageError for anything else."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--cluster-size {text!r} must be a whole number above 0, or auto.")
    return int(text)


@click.command(
    epilog=example(
        "select pool.jsonl --budget 100 --prompt criteria@1 --model openai/gpt-4o-mini",
        "select pool.jsonl --budget 100 --strategy longest",
    )
)
@click.argument("pool_file", metavar="POOL", type=click.Path(path_type=Path))
@option("--budget", type=int)
@option(
    "--threshold",
    type=float,
    metavar="X",
    help="Select every item that scores at least X, instead of a fixed number (--budget).",
)
@option("--prompt")
@option("--model")
@STRATEGY
@BY
@option(
    "--cluster-size",
    callback=_size,
    default="auto",
    metavar="M",
    help="The number of candidates in each cluster. auto divides the pool's size by --budget "
    "and keeps the result between 5 and 50.",
)
@option(
    "--on-invalid",
    type=click.Choice(get_args(OnInvalid)),
    default="fill",
    help="What to do where the model gives no valid pick. fill: pick at random and mark it. "
    "skip: select fewer items. fail: stop and write nothing.",
)
@option(
    "--max-filled",
    type=float,
    default=0.2,
    metavar="SHARE",
    help="Write nothing (exit code 1) if more than this share of the picks would be random.",
)
@option(
    "--reask",
    type=click.IntRange(0),
    default=2,
    help="Ask again up to N times after a reply that is not valid.",
)
@SEED
@map_option
@option(
    "--skip-bad",
    is_flag=True,
    help="Leave out rows that cannot be read, and write them with their reasons to "
    "OUT.rejected.jsonl.",
)
@option("--dry-run", is_flag=True)
@option(
    "--distinct",
    metavar="exact|COSINE",
    help="First leave out repeated items: those with exactly the same text, or with a cosine "
    "similarity of at least this (such as 0.95).",
)
@option(
    "--prefilter",
    metavar="STRATEGY:SHARE",
    help="First keep only the share of the pool that a strategy ranks highest, such as "
    "longest:0.5.",
)
@option(
    "--sort",
    is_flag=True,
    help="Write the best item of every cluster first, then the second best, and so on. Picks "
    "that were made at random come last. Without --sort, the order of the pool is kept.",
)
@option("--per")
@option("--given", type=click.Path(path_type=Path))
@option("--rounds", type=FILE)
@option("--to", type=TOOLS, metavar=f"[{'|'.join(TOOLS.choices)}]", help=TOOL)
@option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    show_default="POOL.selected.jsonl, or with --to POOL.handover and the tool's suffix",
)
@model_options
@reports("SelectionSummary", verdicts=False)
@engine_options
@asking_options
def select(
    pool_file: Path,
    out: Path | None,
    to: TargetName | None,
    dry_run: bool,
    model_options: ModelOptions,
    common: Common,
    **told: Unpack[SelectArguments],
) -> None:
    """Select exactly N items of POOL, by a prompt and a model or by a strategy.

    The selected items are written with all their columns, as JSON lines, or as Parquet if -o ends
    in .parquet or names a new folder. Every question and reply is kept in OUT.decisions.jsonl. If
    the command was stopped, run it again to continue where it stopped.

    Exit codes: 0 the items are selected; 1 there are too few valid picks (see --on-invalid and
    --max-filled); 4 --max-cost is reached; 5 a reply is missing with --offline.
    """
    from selectllm.jobs import selecting
    from selectllm.jobs.selection_files import selection_files

    files = selection_files(pool_file, out, to)
    told["log"] = files.log
    spec = named_model(str(told["model"]), model_options) if told["model"] else None
    told["model"] = spec
    told["models"] = NamedModels.of(model_options, spec)
    session = open_session(common, Path.cwd())
    files.check(session, skip_bad=told["skip_bad"], kept=[told["given"], told["rounds"]])
    if dry_run:
        say(finished(selecting.ahead(pool_file, session=session, **told)), as_json=common.as_json)
        if not common.as_json:
            session.note(f"To carry it out, run: {shlex.join(same_command('dry_run'))}")
        return
    with saying_how_to_ask():
        selection = finished(selecting.select(pool_file, session=session, **told))
    written = files.write(selection, told["columns"], session)
    pool = PoolOfPicks(selection.pool, columns=told["columns"])
    printed = write_reports_of_picks(written.file, session.workspace, pool)
    _report(session, written, printed=printed)
    written.check_whole()


def _report(session: CommandSession, written: WrittenSelection, *, printed: bool) -> None:
    """What was selected, unless a report `printed` it."""
    selection, as_json = written.selection, session.common.as_json
    session.note_tries(selection.decisions)
    if selection.replies:
        session.note(f"{selection.taken_told} and {session.spent}.")
    if as_json or written.handed or not printed:
        say(written, as_json=as_json)
    if not written.handed:
        session.note(looked_at(nearby(written.out), "the picks", *written.words_of_pool))
