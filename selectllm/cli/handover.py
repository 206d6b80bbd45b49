"""`selectllm handover` and `selectllm answers`: out to the people who answer, and back."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from selectllm.cli.option_words import TOOL, example, option
from selectllm.cli.options import FILE, TOOLS, Output, grouped, map_option, output_options
from selectllm.cli.session import open_session
from selectllm.cli.terminal import say
from selectllm.core.choices import Keep
from selectllm.core.codec import canonical_json
from selectllm.core.errors import AnswersIncomplete
from selectllm.core.shown import counted, visible
from selectllm.jobs.options import AnswerSettings, HandoverSettings
from selectllm.jobs.sync import finished
from selectllm.report.next_steps import command


@click.command(
    epilog=example(
        "handover pool.selected.jsonl --to label-studio", "handover eval/runs/NAME --to csv"
    )
)
@click.argument("source", metavar="SELECTION|RUN", type=click.Path(path_type=Path))
@grouped(
    "settings",
    HandoverSettings,
    option("--to", type=TOOLS, metavar=f"[{'|'.join(TOOLS.choices)}]", required=True, help=TOOL),
    option(
        "-o",
        "--out",
        type=click.Path(path_type=Path),
        show_default="the name of SELECTION or RUN with .handover and the tool's suffix",
    ),
    option(
        "--pool",
        help="The pool that SELECTION was selected from, to show the items that were not selected.",
    ),
    map_option,
    option("--arm", metavar="PROMPT+MODEL", help="The picks to take, if the RUN has several."),
)
@output_options
def handover(source: Path, settings: HandoverSettings, output: Output) -> None:
    """Write selected items for the people who answer them.

    SELECTION is a file that selectllm select wrote. From a RUN, the picks of one prompt and model
    are taken. OUT.README.md explains how to import OUT and how to read the answers back.
    """
    from selectllm.jobs import handing

    session = open_session(output.common(), Path.cwd())
    handed = finished(handing.hand_over(source, settings, session=session))
    say(handed, as_json=output.as_json)


@click.command(epilog=example("answers pool.selected.jsonl sheet.csv -o training.jsonl"))
@click.argument("pool", metavar="POOL|SELECTION", type=FILE)
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@grouped(
    "settings",
    AnswerSettings,
    option("-o", "--out", type=FILE, required=True),
    map_option,
    option(
        "--keep",
        type=click.Choice(get_args(Keep)),
        show_default="such items are left out",
        help="Which answer to keep if an item has several that differ.",
    ),
)
@option("--partial", is_flag=True, help="End with exit code 0 even if answers are missing.")
@output_options
def answers(
    pool: Path, files: tuple[Path, ...], settings: AnswerSettings, partial: bool, output: Output
) -> None:
    """Join the answers to their items, and write a training file.

    FILEs are what people filled in or exported: .csv, .tsv, .xlsx or .jsonl files, and exports of
    Label Studio (JSON, JSON-MIN, CSV) or Argilla. Name the SELECTION that was handed over to learn
    which of its answers are missing. With a POOL, only the items in the FILEs count as asked.

    Exit codes: 0 every answer is there; 1 answers are missing, differ, or belong to no item.
    """
    from selectllm.jobs import answering

    session = open_session(output.common(), Path.cwd())
    joined = finished(answering.join_answers(pool, files, settings, session=session))
    faults = joined.faults()
    if output.as_json:
        click.echo(canonical_json(joined.to_json()))
    else:
        rows = counted(len(joined.joined.rows), "answered item")
        click.echo(visible(f"Wrote {rows} to {settings.out}."))
        if faults and partial:
            click.echo(visible("\n".join(faults)))
        words = command("student", "train", settings.out, "-o", "student")
        session.note(f"To fine-tune a student on them, run: {words}")
    if faults and not partial:
        raise AnswersIncomplete(
            f"{' '.join(faults)} All other answers are in the file. To accept that, add --partial"
            + ("" if not joined.joined.twice else "; to choose between answers, add --keep")
            + "."
        )
