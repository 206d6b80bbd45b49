"""`selectllm utility`: numbers per item. Sheets for people to fill in and back, results, values.

What is computed or trained is in utility_values.
"""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.cli.options import (
    AS_JSON,
    DIRECTORY,
    FILE,
    Common,
    Output,
    common_options,
    grouped,
    output_options,
)
from selectllm.cli.reports import reports, write_reports
from selectllm.cli.session import open_session
from selectllm.cli.show import show
from selectllm.cli.utility_values import ifd, knn, student, validate
from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError
from selectllm.core.shown import visible
from selectllm.downstream.outcomes.schema import OutcomeAgreement
from selectllm.jobs import agreeing, importing, rating
from selectllm.jobs.agreeing import AgreeSettings
from selectllm.jobs.importing import ResultSettings, SheetSettings
from selectllm.jobs.rating import RatingRequest
from selectllm.jobs.sync import finished


@click.group("utility")
def utility() -> None:
    """Utilities: numbers per item that stand for downstream quality."""


for verb in (knn, ifd, student, validate):
    utility.add_command(verb)


@utility.command()
@click.argument("target", metavar="SUITE|RUN", type=click.Path(path_type=Path))
@grouped(
    "settings",
    RatingRequest,
    click.option(
        "-o",
        "--out",
        type=click.Path(path_type=Path),
        required=True,
        help=".csv .jsonl .argilla .json",
    ),
    click.option("--differing", is_flag=True, help="Only the items that exactly one arm picked."),
    click.option("--raters", type=click.IntRange(1), default=1, show_default=True),
    click.option(
        "--range",
        "scale",
        type=(float, float),
        metavar="LOW HIGH",
        help="The scale [the suite's range, else 1 5].",
    ),
    click.option("--rubric", type=FILE, help="What raters are told, instead of ours."),
    click.option("--with-responses", is_flag=True, help="Show the pool's responses as well."),
    click.option("--rated", type=FILE, help="Leave out what this ratings file has already."),
    click.option("--limit", type=click.IntRange(1), help="Only the first clusters of a suite."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the shuffle."),
)
@common_options
def ask(target: Path, settings: RatingRequest, common: Common) -> None:
    """Write a sheet of the items to be rated: of SUITE's clusters, or of a RUN.

    Shuffled, with the rubric on top; which arm picked what is not in it. With several raters each
    gets a file in an order of its own.
    """
    session = open_session(common, target.resolve().parent)
    asked = finished(rating.ask(target, settings, session=session))
    if common.as_json:
        click.echo(canonical_json(asked.to_json()))
        return
    sheets = [str(sheet) for sheet in asked.sheets]
    click.echo(f"{', '.join(sheets)}: {asked.items} items for {asked.raters} rater(s)")
    click.echo(f"when they are filled in: selectllm utility import {' '.join(sheets)}")


@utility.command("import")
@click.argument(
    "files",
    metavar="SHEET...|RESULT...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option(
    "-o", "--out", type=FILE, help="File to write [NAME.ratings.jsonl; with --export results.jsonl]"
)
@grouped(
    "sheets",
    SheetSettings,
    click.option("--ask", "asked", type=FILE, help="The .ask.json of the sheets, if elsewhere."),
    click.option("--add", type=FILE, help="A ratings file whose ratings are kept beside these."),
    click.option("--partial", is_flag=True, help="Items that nobody rated may be missing."),
)
@grouped(
    "results",
    ResultSettings,
    click.option(
        "--export", type=DIRECTORY, help="The files are results of what export wrote there."
    ),
    click.option("--arm", help="With --export: the arm, or set, that a file of one model is of."),
    click.option("--budget", type=click.IntRange(1), help="With --arm: the size of its set."),
    click.option("--seed", type=int, help="With --arm: the seed that its set was selected with."),
    click.option("--training-seed", type=int, help="With --export: of results that state none."),
)
@output_options
def import_(
    files: tuple[Path, ...],
    out: Path | None,
    sheets: SheetSettings,
    results: ResultSettings,
    output: Output,
) -> None:
    """Read filled-in SHEETs into one ratings file, or RESULTs of training elsewhere into another.

    Sheets (.csv, .jsonl, exports of Argilla and Label Studio): several raters of an item give
    their mean, with their noise and agreement. Results of sets that `export` wrote (rows in .jsonl
    or .csv, files of lm-evaluation-harness and AlpacaEval): what each selector's sets were worth.
    """
    from selectllm.report.utilities import ratings_text, results_text

    if results.export is None and results != ResultSettings():
        raise UsageError("--arm, --budget, --seed, --training-seed: are for results; add --export")
    if results.export is not None and sheets != SheetSettings():
        raise UsageError("--ask, --add, --partial: are for sheets, which have no --export")
    session = open_session(output.common(), Path.cwd())
    if results.export is not None:
        read = finished(importing.import_results(files, results, out, session=session)).summary
        click.echo(
            canonical_json(read.to_json()) if output.as_json else visible(results_text(read))
        )
    else:
        rated = finished(importing.import_sheets(files, out, sheets, session=session)).summary
        click.echo(
            canonical_json(rated.to_json()) if output.as_json else visible(ratings_text(rated))
        )


@utility.command()
@click.argument("sets_folder", metavar="SETS_FOLDER", type=DIRECTORY)
@grouped(
    "settings",
    AgreeSettings,
    click.option(
        "--results", type=FILE, required=True, help="What `utility import --export` wrote."
    ),
    click.option("--metric", help="The metric [the only one]."),
    click.option("--budget", type=click.IntRange(1), help="Sets of this size [the only one]."),
    click.option("--benchmark", multiple=True, help="Only these; repeatable [all]."),
    click.option("--utility", multiple=True, help="Only these; repeatable [all]."),
    click.option(
        "--export", type=DIRECTORY, help="Take the tokens of the sets from what export wrote."
    ),
)
@reports(OutcomeAgreement)
@AS_JSON
def agree(sets_folder: Path, settings: AgreeSettings, as_json: bool) -> None:
    """How far the utilities of SETS_FOLDER order its selectors as results from elsewhere do.

    For each utility the agreement of what the sets capture of it with what training on them was
    worth: rank correlations over selectors, what length alone would have foretold, and how far
    that can be trusted.
    """
    from selectllm.report.set_agreement import print_agreement

    session = open_session(Common(as_json=as_json), Path.cwd())
    agreement = finished(agreeing.agree(sets_folder, settings, session=session))
    if not write_reports(agreement):
        show(agreement, print_agreement, as_json=as_json)
