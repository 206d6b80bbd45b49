"""`selectllm select`: exactly N items of a pool."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selectllm.cli.ahead import show_ahead
from selectllm.cli.evaluation import same_command
from selectllm.cli.handover import told
from selectllm.cli.option_words import example
from selectllm.cli.options import Common, common_options, engine_options, model_options
from selectllm.cli.reports import reports, write_reports_of_picks
from selectllm.cli.select_options import SelectOptions, arguments_of, out_file, select_options
from selectllm.cli.session import CommandSession, open_session
from selectllm.core.codec import canonical_json
from selectllm.core.errors import ReplyMissing, SelectionShort
from selectllm.core.shown import counted, visible
from selectllm.data.hub import is_hub
from selectllm.data.pool import write_rejected
from selectllm.jobs.contents import REJECTED, SELECTION
from selectllm.jobs.options import ModelOptions
from selectllm.jobs.outputs import check_written, nearby, real
from selectllm.jobs.pool_of_picks import PoolOfPicks
from selectllm.jobs.sync import finished
from selectllm.report.next_steps import columns_words, looked_at

if TYPE_CHECKING:
    from selectllm.jobs.handing import HandedOver
    from selectllm.jobs.selection import Selection


@click.command(
    epilog=example(
        "select pool.jsonl --budget 100 --prompt criteria@1 --model openai/gpt-4o-mini",
        "select pool.jsonl --budget 100 --strategy longest",
    )
)
@click.argument("pool_file", metavar="POOL", type=click.Path(path_type=Path))
@select_options
@model_options
@reports("SelectionSummary", verdicts=False)
@engine_options
@common_options
def select(
    pool_file: Path, options: SelectOptions, model_options: ModelOptions, common: Common
) -> None:
    """Select exactly N items of POOL, by a prompt and a model or by a strategy.

    The selected items are written with all their columns. Every question and reply is kept in
    OUT.decisions.jsonl. If the command was stopped, run it again to continue where it stopped.

    Exit codes: 0 the items are selected; 1 there are too few valid picks, and see --on-invalid and
    --max-filled; 4 --max-cost is reached; 5 a reply is missing with --offline.
    """
    from selectllm.jobs import selecting

    out = out_file(pool_file, options.out, options.to)
    arguments = arguments_of(options, model_options, _beside(out, "decisions"))
    session = open_session(common, Path.cwd())
    _check_outputs(pool_file, out, options, session)
    if options.dry_run:
        plan = finished(selecting.ahead(pool_file, session=session, **arguments))
        show_ahead(plan, as_json=common.as_json)
        if not common.as_json:
            session.note(f"To carry it out, run: {shlex.join(same_command('dry_run'))}")
        return
    try:
        selection = finished(selecting.select(pool_file, session=session, **arguments))
    except ReplyMissing as error:
        command = shlex.join(same_command())
        raise ReplyMissing(f"{error}. To ask for them, run: {command}") from None
    if selection.rejected:
        rejected = _beside(out, "rejected")
        write_rejected(rejected, selection.rejected)
        session.note(f"{len(selection.rejected)} bad rows were left out. They are in {rejected}.")
    handed = None
    if options.to is None:
        selection.write(out)
    else:
        from selectllm.jobs.handing import hand_over_selection

        handed = hand_over_selection(selection, options.to, out, options.columns, session=session)
    written = out if handed is None else handed.selection
    pool = PoolOfPicks(selection.pool, columns=options.columns)
    printed = write_reports_of_picks(written, session.workspace, pool)
    _report(session, selection, out, handed, options.columns, printed=printed)


def _check_outputs(
    pool_file: Path, out: Path, options: SelectOptions, session: CommandSession
) -> None:
    """Raise UsageError for files that must not be written."""
    if options.to is None:
        check_written("out", out, SELECTION, {pool_file}, session.workspace)
    else:
        from selectllm.jobs.handing import check_handover

        check_handover(out, options.to, pool_file, session)
    if options.skip_bad:
        rejected = _beside(out, "rejected")
        check_written("out", rejected, REJECTED, {pool_file}, session.workspace)


def _beside(out: Path, what: str) -> Path:
    return out.with_name(f"{out.name}.{what}.jsonl")


def _report(
    session: CommandSession,
    selection: Selection,
    out: Path,
    handed: HandedOver | None,
    columns: Mapping[str, str],
    *,
    printed: bool,
) -> None:
    """What was selected, unless a report `printed` it; an error where it is short of the budget."""
    session.note_tries(selection.decisions)
    if selection.replies:
        session.note(_told(session, selection))
    if session.common.as_json:
        summary = {
            "out": str(out),
            "selected": len(selection),
            "filled": selection.filled,
            "spent_usd": selection.spent_usd,
            **_taken(selection),
        }
        click.echo(canonical_json(summary | (handed.to_json() if handed else {})))
    elif handed:
        click.echo(told(handed))
    elif not printed:
        click.echo(
            visible(
                f"Wrote {counted(len(selection), 'item')} to {out}, selected by "
                f"{', '.join(selection.by)}."
            )
        )
        if selection.filled:
            click.echo(
                f"{selection.filled} of them were chosen at random, because no answer could be "
                "used. "
                "They are marked as filled."
            )
    if handed is None:
        words = (*_named_pool(selection, out), *columns_words(columns))
        session.note(looked_at(nearby(out), "the picks", *words))
    if selection.short:
        raise SelectionShort(
            f"Only {len(selection)} of {selection.budget} items were selected, because the other "
            "replies were not valid and --on-invalid is skip. To fill the gaps at random, use "
            "--on-invalid fill."
        )


def _named_pool(selection: Selection, out: Path) -> tuple[str, ...]:
    """How `report` is told where the pool is, if it would not find it beside `out`."""
    from selectllm.jobs.selected import pool_beside

    source = selection.pool.source
    beside = pool_beside(out)
    if not source or (beside is not None and real(beside) == real(source)):
        return ()
    return ("--pool", source if is_hub(Path(source)) else str(nearby(Path(source))))


def _taken(selection: Selection) -> dict[str, float]:
    """Replies, tokens and seconds behind a selection."""
    replies = selection.replies
    return {
        "replies": len(replies),
        "cached": sum(reply.cached for reply in replies),
        "tokens_in": sum(reply.tokens_in or 0 for reply in replies),
        "tokens_out": sum(reply.tokens_out or 0 for reply in replies),
        "seconds": round(selection.seconds, 1),
    }


def _told(session: CommandSession, selection: Selection) -> str:
    taken = _taken(selection)
    return (
        f"There were {taken['replies']:,} replies, {taken['cached'] / taken['replies']:.0%} of "
        "them "
        f"from the cache, with {taken['tokens_in']:,} tokens in and {taken['tokens_out']:,} tokens "
        f"out. This took {taken['seconds']:,} seconds and {session.spent}."
    )
