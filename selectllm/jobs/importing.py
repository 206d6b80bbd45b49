"""Filled-in sheets into a ratings file, results of training elsewhere into another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.errors import UsageError, UtilityError
from selectllm.core.names import listed
from selectllm.downstream.outcomes.exported import Exported, read_exported
from selectllm.downstream.outcomes.importing import import_results as tied_to_sets
from selectllm.downstream.outcomes.results import ResultsFile, write_results
from selectllm.downstream.outcomes.schema import ResultsImported
from selectllm.jobs.contents import RATINGS
from selectllm.jobs.contents import RESULTS as IMPORTED
from selectllm.jobs.options import ResultSettings, SheetSettings
from selectllm.jobs.outputs import check_written
from selectllm.report.utilities import ratings_text, results_text
from selectllm.utility.annotation.asked import Asking
from selectllm.utility.annotation.filled_sheets import find_asking, read_sheets
from selectllm.utility.annotation.ratings_file import RatingsFile, write_ratings
from selectllm.utility.annotation.schema import RatingsImported, SuiteRatings
from selectllm.utility.imported import read_ratings
from selectllm.utility.schema import DrawnSample

if TYPE_CHECKING:
    from selectllm.jobs.session import Session

RESULTS = Path("results.jsonl")
Ratings = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class ImportedRatings:
    """A ratings file: what was asked for, and what came back."""

    file: Path
    asking: Asking
    ratings: RatingsFile

    @property
    def summary(self) -> RatingsImported:
        """What was read, and how a suite names it."""
        low, high = self.asking.range
        return RatingsImported(
            file=str(self.file),
            items=len(self.ratings.values),
            asked=len(self.asking.ids),
            raters=self.ratings.raters,
            raters_asked=self.asking.raters,
            alpha=self.ratings.alpha,
            rater_noise=self.ratings.rater_noise,
            utility=SuiteRatings(file=self.file.name, range=(float(low), float(high))),
        )

    @property
    def text(self) -> str:
        """The file, and how a suite names it."""
        return ratings_text(self.summary)

    def to_json(self) -> dict[str, Any]:
        """The summary as --json prints it."""
        return self.summary.to_json()


async def import_either(
    files: Sequence[Path],
    out: Path | None = None,
    sheets: SheetSettings | None = None,
    results: ResultSettings | None = None,
    *,
    session: Session,
) -> ImportedRatings | ImportedResults:
    """`import_results` where `results` name an export, else `import_sheets`.

    Raises UsageError for settings of the one with the other.
    """
    sheets, results = sheets or SheetSettings(), results or ResultSettings()
    if results.export is None:
        if results != ResultSettings():
            raise UsageError(
                "`arm`, `budget`, `seed` and `training_seed` apply to training results. Add "
                "`export`.",
                argument="export",
            )
        return await import_sheets(files, out, sheets, session=session)
    if sheets != SheetSettings():
        raise UsageError(
            "`asked`, `add` and `partial` apply to sheets. Leave them out, or leave `export` out.",
            argument="export",
        )
    return await import_results(files, results, out, session=session)


async def import_sheets(
    files: Sequence[Path],
    out: Path | None = None,
    settings: SheetSettings | None = None,
    *,
    session: Session,
) -> ImportedRatings:
    """Read the sheets of one asking into one ratings file, NAME.ratings.jsonl beside the first.

    Several raters of an item give their mean, with their noise and agreement. Raises UtilityError,
    which names file, item and value, for a rating that is none.
    """
    settings = settings or SheetSettings()
    places = tuple(session.path(file) for file in files)
    asked = None if settings.asked is None else session.path(settings.asked)
    asking = find_asking(places[0], asked)
    ratings: Ratings = read_sheets(places, asking, partial=settings.partial)
    if settings.add is not None:
        asking, ratings = _added(session.path(settings.add), asking, ratings)
    first = files[0]
    stem = first.name.partition(".")[0].rsplit("-", 1)[0] if len(files) > 1 else first.stem
    path = out or first.with_name(f"{stem}.ratings.jsonl")
    check_written("out", session.path(path), RATINGS, places, session.workspace)
    imported = ImportedRatings(path, asking, write_ratings(session.path(path), ratings, asking))
    answered = len(imported.ratings.raters)
    if answered < asking.raters:
        session.note(f"Note: {asking.raters} raters were asked, and {answered} answered.")
    return imported


def _added(path: Path, asking: Asking, ratings: Ratings) -> tuple[Asking, Ratings]:
    """`asking` and `ratings` joined with those of a file of the same pool and scale."""
    earlier = read_ratings(path, asking.range)
    if earlier.pool_sha256 != asking.pool_sha256:
        raise UtilityError(
            f"`add` {path}: its items belong to another pool than these sheets. Leave it out",
            argument="add",
        )
    for item_id in sorted(earlier.ratings.keys() & ratings.keys()):
        for rater in sorted(earlier.ratings[item_id].keys() & ratings[item_id].keys()):
            was, now = earlier.ratings[item_id][rater], ratings[item_id][rater]
            if was != now:
                raise UtilityError(
                    f"`add` {path}: {rater!r} rated item {item_id!r} {was:g} there and {now:g} in "
                    "these sheets. Write who rated into the column rater, or correct one of them",
                    argument="add",
                )
    joined = {
        item_id: {**earlier.ratings.get(item_id, {}), **ratings.get(item_id, {})}
        for item_id in earlier.ratings.keys() | ratings.keys()
    }
    ids = tuple(sorted({*asking.ids, *earlier.ratings}))
    return replace(asking, ids=ids, sample=_joined(path, asking.sample, earlier.sample)), joined


def _joined(
    path: Path, sample: DrawnSample | None, earlier: DrawnSample | None
) -> DrawnSample | None:
    """The larger of two samples of one seeded order, which holds the smaller one."""
    if sample is None and earlier is None:
        return None
    if sample is None or earlier is None:
        which = "these sheets" if sample is None else str(path)
        raise UtilityError(
            f"`add` {path}: the items of {which} are not of a random sample of clusters, and the "
            "others are. Together they would not be a random sample. Import the sheets without "
            "`add`, into a separate file",
            argument="add",
        )
    if (sample.seed, sample.clusters_sha256) != (earlier.seed, earlier.clusters_sha256):
        raise UtilityError(
            f"`add` {path}: its sample was drawn from other clusters, or with seed {earlier.seed} "
            f"instead of {sample.seed}. Draw the larger sample from the same suite and with the "
            "same --seed",
            argument="add",
        )
    return max(sample, earlier, key=lambda each: each.clusters)


@dataclass(frozen=True, slots=True)
class ImportedResults:
    """Results in `file`, and the exported sets that they are of."""

    file: Path
    results: ResultsFile
    exported: Exported

    @property
    def summary(self) -> ResultsImported:
        """What was read, and which sets have no result."""
        rows = self.results.results
        there = {(row.arm, row.budget, row.seed) for row in rows}
        measured: dict[str, tuple[str, ...]] = {}
        for metric, benchmark in sorted({(row.metric, row.benchmark) for row in rows}):
            measured[metric] = (*measured.get(metric, ()), benchmark)
        sets = self.exported.sets
        return ResultsImported(
            file=str(self.file),
            results=len(rows),
            runs=len({(row.arm, row.budget, row.seed, row.training_seed) for row in rows}),
            arms=tuple(dict.fromkeys(row.arm for row in rows)),
            budgets=tuple(sorted({row.budget for row in rows})),
            metrics=measured,
            unsettled=self.results.unsettled,
            exported=len(sets),
            without_result=tuple(
                one.name for one in sets if (one.arm, one.budget, one.seed) not in there
            ),
        )

    @property
    def text(self) -> str:
        """The file, and what to do with it."""
        return results_text(self.summary)

    def to_json(self) -> dict[str, Any]:
        """The summary as --json prints it."""
        return self.summary.to_json()

    def missing(self) -> Iterator[str]:
        """What is not in the file, in sentences."""
        read = self.summary
        if read.unsettled:
            rows = read.unsettled + read.results
            yield (
                f"{read.unsettled} of {rows} rows have no value (null, or not a number). They were "
                "left out"
            )
        if absent := read.without_result:
            count = f"{len(absent)} of {read.exported}"
            yield f"{count} exported sets have no result: {listed(absent)}"


async def import_results(
    files: Sequence[Path],
    settings: ResultSettings,
    out: Path | None = None,
    *,
    session: Session,
) -> ImportedResults:
    """Tie the results in `files` to exported sets, and write them as one file, results.jsonl."""
    if settings.export is None:
        raise UsageError(
            "Name the folder that selectllm export wrote with `export`", argument="export"
        )
    path = RESULTS if out is None else out
    places = [session.path(file) for file in files]
    check_written("out", session.path(path), IMPORTED, places, session.workspace)
    exported = read_exported(session.path(settings.export))
    content = tied_to_sets(places, exported, settings.given, settings.training_seed)
    write_results(session.path(path), content)
    imported = ImportedResults(path, content, exported)
    for sentence in imported.missing():
        session.note(f"Note: {sentence}")
    return imported
