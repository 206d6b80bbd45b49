"""`selectllm utility`: numbers per item. Sheets for people to fill in and back, results, values.

What is computed or trained is in utility_values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import (
    AS_JSON,
    DIRECTORY,
    FILE,
    LIMIT,
    SEED,
    SUITE,
    Common,
    Output,
    asking_options,
    common_options,
    grouped,
    output_options,
)
from selectllm.cli.reports import reports, tell
from selectllm.cli.session import open_session, real
from selectllm.cli.terminal import say
from selectllm.cli.utility_values import ifd, knn, student, validate
from selectllm.core.errors import UsageError
from selectllm.jobs.options import (
    AgreeSettings,
    CalibrateSettings,
    RatingRequest,
    ResultSettings,
    SheetSettings,
    TableSettings,
)
from selectllm.jobs.sync import finished
from selectllm.report.next_steps import command


def _roles(ctx: click.Context, param: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    """NAME=COL, each once. Raises UsageError for anything else."""
    roles = dict(text.split("=", 1) for text in texts if "=" in text)
    if len(roles) < len(texts):
        raise UsageError("--column takes NAME=COL, each name once, such as arm=method.")
    return roles


@click.group("utility")
def utility() -> None:
    """Collect, compute or check utilities: numbers that say how valuable an item is."""


for verb in (knn, ifd, student, validate):
    utility.add_command(verb)


@utility.command(epilog=example("utility ask eval/runs/NAME --differing --raters 2 -o sheet.csv"))
@click.argument("target", metavar="SUITE|RUN", type=click.Path(path_type=Path))
@grouped(
    "settings",
    RatingRequest,
    option("-o", "--out", type=click.Path(path_type=Path), required=True),
    option(
        "--differing",
        is_flag=True,
        help="Ask only about items that one arm picked and the other did not.",
    ),
    option(
        "--sample",
        type=click.IntRange(2),
        metavar="N",
        help="Ask only about the items of N clusters drawn at random; a judge rates the rest.",
    ),
    option("--raters", type=click.IntRange(1), default=1),
    option(
        "--range",
        "scale",
        type=(float, float),
        metavar="LOW HIGH",
        show_default="the suite's range, or 1 5",
        help="The lowest and the highest rating.",
    ),
    option(
        "--rubric",
        type=FILE,
        show_default="a built-in rubric",
        help="Put the text of this file on the sheet as instructions for raters.",
    ),
    option("--with-responses", is_flag=True, help="Show the responses of the pool as well."),
    option("--rated", type=FILE, help="Leave out items that already have a rating in this file."),
    LIMIT,
    SEED,
)
@common_options
def ask(target: Path, settings: RatingRequest, common: Common) -> None:
    """Write a sheet of items for people to rate, from the clusters of SUITE or from a RUN.

    -o names a .csv or .jsonl file, or an .argilla folder. The items are shuffled, and the rubric is
    at the top. The sheet does not say which arm picked an item. With several raters, each gets a
    file with its own order.
    """
    from selectllm.jobs import rating

    session = open_session(common, real(target).parent)
    asked = finished(rating.ask(target, settings, session=session))
    say(asked, as_json=common.as_json)


@utility.command(
    "import",
    epilog=example(
        "utility import sheet-1.csv sheet-2.csv", "utility import results.csv --export training"
    ),
)
@click.argument(
    "files", metavar="SHEET...|RESULT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@option("-o", "--out", type=FILE, show_default="NAME.ratings.jsonl, or results.jsonl with --export")
@grouped(
    "sheets",
    SheetSettings,
    option(
        "--ask",
        "asked",
        type=FILE,
        show_default="beside the sheets",
        help="The .ask.json file that was written with the sheets.",
    ),
    option("--add", type=FILE, help="A ratings file whose ratings are kept as well."),
    option("--partial", is_flag=True, help="Accept sheets in which some items have no rating."),
)
@grouped(
    "results",
    ResultSettings,
    option("--export", type=DIRECTORY),
    option(
        "--arm", help="With --export: the arm, or the set, that the results of one model belong to."
    ),
    option("--budget", type=click.IntRange(1)),
    option("--seed", type=int, help="With --arm: the seed that the set was selected with."),
    option(
        "--training-seed",
        type=int,
        help="With --export: the training seed of results that name none.",
    ),
)
@output_options
def import_(
    files: tuple[Path, ...],
    out: Path | None,
    sheets: SheetSettings,
    results: ResultSettings,
    output: Output,
) -> None:
    """Read filled-in SHEETs into a ratings file, or RESULTs of training elsewhere.

    SHEETs are .csv or .jsonl files, or exports of Argilla or Label Studio. If several people rated
    an item, its rating is their mean, and their noise and agreement are reported.

    RESULTs belong to sets that selectllm export wrote: rows in .jsonl or .csv, or files of
    lm-evaluation-harness or AlpacaEval. Name that folder with --export.
    """
    from selectllm.jobs import importing

    session = open_session(output.common(), Path.cwd())
    job = importing.import_either(files, out, sheets, results, session=session)
    say(finished(job), as_json=output.as_json)


@utility.command(
    epilog=example(
        "utility calibrate suite.yaml --judge gpt --human people",
        "utility calibrate suite.yaml --judge rating:quality@1+openai/gpt-4o-mini -o judge.jsonl",
    )
)
@SUITE
@grouped(
    "settings",
    CalibrateSettings,
    option(
        "--judge",
        metavar="UTILITY|rating:PROMPT+MODEL",
        show_default="the suite's gate.assisted_by",
        help="The judge: a utility of SUITE, or a rating prompt with a model.",
    ),
    option(
        "--human",
        metavar="UTILITY",
        show_default="the suite's gate.utility",
        help="The utility of SUITE that people rated.",
    ),
    option(
        "--worst",
        type=click.IntRange(0),
        default=10,
        help="List the N items on which they differ most.",
    ),
    option("-o", "--out", type=FILE, show_default="no file"),
)
@reports("Calibration")
@asking_options
def calibrate(suite_file: Path, settings: CalibrateSettings, common: Common) -> None:
    """Check a judge against people's ratings of the same items.

    The command reports how far they agree (Krippendorff's alpha, weighted kappa, Spearman, and how
    often they prefer the same item of two), whether the judge favours long items or late ones, the
    items on which they differ most, and the share of human ratings that the judge would save as
    gate.assisted_by.

    With -o, a judge rating:PROMPT+MODEL rates every item of the clusters, and FILE is a utility
    file that a suite can name.
    """
    from selectllm.jobs import calibrating

    session = open_session(common, real(suite_file).parent)
    found = finished(calibrating.calibrate(suite_file, settings, session=session))
    tell(found, session)


@utility.command(
    epilog=example(
        "utility agree eval/runs/SETS --results results.jsonl", "utility agree --table results.csv"
    )
)
@click.argument("sets_folder", metavar="[SETS_FOLDER]", type=DIRECTORY, required=False)
@grouped(
    "settings",
    AgreeSettings,
    option("--results", type=FILE, help="The file that selectllm utility import --export wrote."),
    option("--metric", show_default="the only one", help="Compare by this metric."),
    option("--budget", type=click.IntRange(1), show_default="the only one"),
    option("--benchmark", multiple=True, show_default="all", help="Use only this benchmark."),
    option("--utility", multiple=True, show_default="all"),
    option("--export", type=DIRECTORY),
    option(
        "--untrained-results",
        type=FILE,
        help="A file of results of the model before training. Arms that score below it are named.",
    ),
)
@grouped(
    "table",
    TableSettings,
    option(
        "--table",
        type=FILE,
        help="Instead of SETS_FOLDER, a long table of published results: one value in each row.",
    ),
    option(
        "--column",
        "roles",
        multiple=True,
        metavar="NAME=COL",
        callback=_roles,
        help="With --table: the column that is the arm, measure, value, split, budget or seed, "
        "such as arm=method.",
    ),
    option(
        "--outcome",
        metavar="MEASURE",
        show_default="the one that is not a loss",
        help="With --table: the measure to predict.",
    ),
    option(
        "--lower",
        metavar="MEASURE",
        multiple=True,
        show_default="loss, perplexity, error",
        help="With --table: a measure that is better when it is lower.",
    ),
    option(
        "--untrained",
        metavar="ARM",
        show_default="an arm of that name",
        help="With --table: the arm that is the model before training.",
    ),
)
@reports("OutcomeAgreement", "ForetoldTable")
@AS_JSON
def agree(
    sets_folder: Path | None, settings: AgreeSettings, table: TableSettings, as_json: bool
) -> None:
    """Check whether the utilities of SETS_FOLDER rank its selectors as training results do.

    For each utility, the command compares how much of it the sets capture with how well models did
    that were trained on them. It reports rank correlations over the selectors, what length alone
    would have predicted, and how far this can be trusted.

    With --table, it reads published results and says which measure predicts which.
    """
    from selectllm.jobs import agreeing

    session = open_session(Common(as_json=as_json), Path.cwd())
    found = finished(agreeing.agree_either(sets_folder, settings, table, session=session))
    tell(found, session)
    if not as_json:
        session.note(
            "Nothing was written. To keep this, add --report json=agreement.json. To show it again "
            f"later, run: {command('report', 'agreement.json')}"
        )
