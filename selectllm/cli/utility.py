"""`selectllm utility`: ratings when there are none. Sheets for people to fill in, and back.

What is computed, and what came of training elsewhere, is in utility_compute and utility_outcomes.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from selectllm.cli.options import FILE, Common, Output, common_options, grouped, output_options
from selectllm.cli.session import open_session
from selectllm.cli.utility_compute import ifd, knn
from selectllm.cli.utility_outcomes import ResultOptions, agree, import_outcomes, result_options
from selectllm.cli.utility_trained import student, validate
from selectllm.core.codec import canonical_json
from selectllm.core.errors import PoolError, RunError, UsageError, UtilityError
from selectllm.core.files import read_json
from selectllm.core.types import Pool
from selectllm.data.hub import located
from selectllm.data.pool import load_pool
from selectllm.evaluation.comparison.arm_results import arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.rated_differences import differing
from selectllm.evaluation.comparison.run_inputs import RunInputs, read_run_inputs
from selectllm.evaluation.runs.prepare import Sources, read_data
from selectllm.evaluation.runs.verify import finished_decisions
from selectllm.evaluation.suite import Gate, Suite, load_suite
from selectllm.selection.strategies import is_analytic
from selectllm.utility.annotation.asked import Asking, default_rubric
from selectllm.utility.annotation.filled_sheets import find_asking, read_sheets
from selectllm.utility.annotation.ratings_file import RatingsFile, write_ratings
from selectllm.utility.annotation.sheets import write_sheets
from selectllm.utility.imported import read_ratings

SCALE = (1.0, 5.0)


@click.group("utility")
def utility() -> None:
    """Utilities: numbers per item that stand for downstream quality."""


for verb in (knn, ifd, student, validate, agree):
    utility.add_command(verb)


@dataclass(frozen=True, slots=True)
class AskOptions:
    """What raters are to be asked, and how."""

    out: Path
    differing: bool
    raters: int
    scale: tuple[float, float] | None
    rubric: Path | None
    with_responses: bool
    rated: Path | None
    limit: int | None
    seed: int


ask_options = grouped(
    "options",
    AskOptions,
    click.option(
        "-o", "--out", type=click.Path(path_type=Path), required=True, help=".csv .jsonl .argilla"
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


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the items to be rated come from."""

    suite: str
    pool: Pool
    ids: Collection[str]
    range: tuple[float, float] | None


@utility.command()
@click.argument("target", metavar="SUITE|RUN", type=click.Path(path_type=Path))
@ask_options
@common_options
def ask(target: Path, options: AskOptions, common: Common) -> None:
    """Write a sheet of the items to be rated: of SUITE's clusters, or of a RUN.

    Shuffled, with the rubric on top; which arm picked what is not in it. With several raters each
    gets a file in an order of its own.
    """
    if target.is_dir():
        source = _of_run(target, options.differing)
    elif options.differing:
        raise UsageError(
            f"--differing: {target} is no run folder; run ab (or eval with two pairs) first and "
            "name its folder"
        )
    else:
        source = _of_suite(target, options, common)
    known = read_ratings(options.rated).values if options.rated else {}
    ids = sorted(item_id for item_id in source.ids if item_id not in known)
    if not ids:
        raise UsageError(f"{target}: there is nothing to rate{_nothing(source, options)}")
    scale = options.scale or source.range or SCALE
    asking = Asking(
        suite=source.suite,
        pool_sha256=source.pool.sha256,
        range=scale,
        differing=options.differing,
        raters=options.raters,
        ids=tuple(ids),
        rubric=_rubric(options.rubric, scale),
    )
    items = [source.pool.by_id[item_id] for item_id in ids]
    sheets = write_sheets(
        options.out, items, asking, seed=options.seed, with_responses=options.with_responses
    )
    if common.as_json:
        told = {"sheets": [str(sheet) for sheet in sheets], "items": len(items)}
        click.echo(canonical_json(told | {"raters": options.raters}))
        return
    names = ", ".join(str(sheet) for sheet in sheets)
    click.echo(f"{names}: {len(items)} items for {options.raters} rater(s)")
    click.echo(f"when they are filled in: selectllm utility import {' '.join(map(str, sheets))}")


def _nothing(source: _Source, options: AskOptions) -> str:
    if source.ids:
        return f"; {options.rated} has all {len(source.ids)} items"
    return "; both arms picked the same items in every cluster" if options.differing else ""


def _rubric(path: Path | None, scale: tuple[float, float]) -> str:
    if path is None:
        return default_rubric(scale)
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--rubric {path}: cannot be read as text ({error})") from None


def _of_suite(path: Path, options: AskOptions, common: Common) -> _Source:
    """All items of the suite's clusters; its utilities need not exist yet."""
    suite = load_suite(path)
    bare: dict[str, Any] = {"utilities": (), "gate": Gate()}
    if options.limit is not None:
        bare["clusters"] = suite.clusters.model_copy(update={"limit": options.limit})
    session = open_session(common, suite.folder)
    with session.progress("embedding") as advance:
        sources = Sources(session.embedder(advance), session.clusters)
        data = read_data(suite.model_copy(update=bare), sources)
    members = [member for cluster in data.clusters for member in cluster.members]
    return _Source(suite.name, data.pool, members, _range_of(suite))


def _range_of(suite: Suite) -> tuple[float, float] | None:
    """The range of the utility that decides, if the suite says one."""
    ranges = [
        getattr(entry, "range", None)
        for entry in suite.utilities
        if suite.gate.utility in (None, entry.name)
    ]
    return ranges[0] if ranges else None


def _of_run(folder: Path, only_differing: bool) -> _Source:
    """The items of a run's clusters, or those in which its arms differ."""
    inputs = read_run_inputs(folder)
    pool = _pool_of(folder)
    headline = inputs.headline
    ids: Collection[str] = [m for cluster in inputs.clusters for m in cluster.members]
    if only_differing:
        ids = _differing(folder, inputs)
    return _Source(inputs.suite, pool, ids, headline.range if headline else None)


def _pool_of(folder: Path) -> Pool:
    """The pool of a run, found where run.json says it was."""
    described = read_json(folder / "run.json")
    try:
        place, columns = described["pool"]["path"], described["pool"]["columns"]
        expected = described["manifest"]["pool_sha256"]
    except (KeyError, TypeError):
        raise RunError(f"{folder}/run.json: does not say where the pool is; run it again") from None
    where = Path(os.path.normpath(located(folder.resolve(), place)))
    try:
        pool = load_pool(where, columns=columns).pool
    except PoolError as error:
        raise RunError(
            f"{error}. {folder}/run.json says that the run's pool is there, seen from the folder: "
            "move the folder back, or the pool with it"
        ) from None
    if pool.sha256 != expected:
        raise RunError(f"{pool.source}: is not the pool that {folder} was made from; restore it")
    return pool


def _differing(folder: Path, inputs: RunInputs) -> set[str]:
    """Ids of the items that exactly one of the run's arms picked; of several, any against a."""
    comparison = inputs.comparison
    arms = comparison.arms if comparison else tuple(Arm(*pair) for pair in inputs.pairs)
    if len(arms) < 2 or (comparison is None and len(arms) > 2):
        raise UsageError(
            f"--differing: {folder} compares {len(arms)} pairs, so which ones is not clear; name "
            "the folder of an ab"
        )
    for arm in arms:
        if arm.strategy is not None and is_analytic(arm.strategy):
            raise UsageError(
                f"--differing: {arm.name} stands for all picks at once, so it differs in every "
                "item; ask for all of them without --differing"
            )
    made = arm_results(inputs, finished_decisions(folder, inputs))
    first, *others = [made[arm] for arm in arms]
    return {
        item_id
        for other in others
        for items in differing(first.decisions, other.decisions, inputs.picks).values()
        for item_id in items
    }


@dataclass(frozen=True, slots=True)
class SheetOptions:
    """How filled-in sheets are read."""

    asked: Path | None = None
    add: Path | None = None
    partial: bool = False


sheet_options = grouped(
    "sheets",
    SheetOptions,
    click.option("--ask", "asked", type=FILE, help="The .ask.json of the sheets, if elsewhere."),
    click.option("--add", type=FILE, help="A ratings file whose ratings are kept beside these."),
    click.option("--partial", is_flag=True, help="Items that nobody rated may be missing."),
)


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
@sheet_options
@result_options
@output_options
def import_(
    files: tuple[Path, ...],
    out: Path | None,
    sheets: SheetOptions,
    results: ResultOptions,
    output: Output,
) -> None:
    """Read filled-in SHEETs into one ratings file, or RESULTs of training elsewhere into another.

    Sheets (.csv, .jsonl, Argilla exports): several raters of an item give their mean, with their
    noise and agreement. Results of sets that `export` wrote (rows in .jsonl or .csv, files of
    lm-evaluation-harness and AlpacaEval): what each selector's sets were worth.
    """
    if results.export is None and results != ResultOptions():
        raise UsageError("--arm, --budget, --seed, --training-seed: are for results; add --export")
    if results.export is not None and sheets != SheetOptions():
        raise UsageError("--ask, --add, --partial: are for sheets, which have no --export")
    if results.export is not None:
        import_outcomes(files, out, results, output)
    else:
        _import_sheets(files, out, sheets, output)


def _import_sheets(
    files: tuple[Path, ...], out: Path | None, options: SheetOptions, output: Output
) -> None:
    asking = find_asking(files[0], options.asked)
    ratings: Mapping[str, Mapping[str, float]] = read_sheets(files, asking, partial=options.partial)
    if options.add is not None:
        asking, ratings = _added(options.add, asking, ratings)
    stem = files[0].name.partition(".")[0].rsplit("-", 1)[0] if len(files) > 1 else files[0].stem
    path = out or files[0].with_name(f"{stem}.ratings.jsonl")
    _report(path, asking, write_ratings(path, ratings, asking), output)


def _added(
    path: Path, asking: Asking, ratings: Mapping[str, Mapping[str, float]]
) -> tuple[Asking, Mapping[str, Mapping[str, float]]]:
    """`asking` and `ratings` joined with those of a file of the same pool and scale."""
    earlier = read_ratings(path, asking.range)
    if earlier.pool_sha256 != asking.pool_sha256:
        raise UtilityError(f"--add {path}: its items are not of the pool of these sheets")
    for item_id in sorted(earlier.ratings.keys() & ratings.keys()):
        for rater in sorted(earlier.ratings[item_id].keys() & ratings[item_id].keys()):
            was, now = earlier.ratings[item_id][rater], ratings[item_id][rater]
            if was != now:
                raise UtilityError(
                    f"--add {path}: {rater!r} rated item {item_id!r} {was:g} there and {now:g} in "
                    "these sheets; write who rated into the column rater, or correct one of them"
                )
    joined = {
        item_id: {**earlier.ratings.get(item_id, {}), **ratings.get(item_id, {})}
        for item_id in earlier.ratings.keys() | ratings.keys()
    }
    return replace(asking, ids=tuple(sorted({*asking.ids, *earlier.ratings}))), joined


def _report(path: Path, asking: Asking, found: RatingsFile, output: Output) -> None:
    """What was read, and how a suite names it."""
    entry = {
        "name": "rating",
        "source": "import",
        "file": path.name,
        "range": [float(bound) for bound in asking.range],
    }
    told = {
        "file": str(path),
        "items": len(found.values),
        "asked": len(asking.ids),
        "raters": list(found.raters),
        "raters_asked": asking.raters,
        "alpha": found.alpha,
        "rater_noise": found.rater_noise,
        "utility": entry,
    }
    click.echo(canonical_json(told) if output.as_json else _told(told))
    if len(found.raters) < asking.raters:
        output.note(f"{asking.raters} raters were asked, {len(found.raters)} answered")


def _told(told: Mapping[str, Any]) -> str:
    alpha, spread = told["alpha"], told["rater_noise"]
    agreement = "" if alpha is None else f", Krippendorff's alpha {alpha:.2f}"
    noise = "" if spread is None else f", noise of one rating {spread:.2f}"
    raters = f"{len(told['raters'])} rater(s){agreement}{noise}"
    entry = told["utility"]
    low, high = entry["range"]
    return (
        f"{told['file']}: {told['items']} of {told['asked']} items, {raters}\n"
        f"in the suite: {{name: {entry['name']}, source: {entry['source']}, file: {entry['file']}, "
        f"range: [{low:g}, {high:g}]}}"
    )
