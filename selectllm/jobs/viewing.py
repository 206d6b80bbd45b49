"""What `view` answers: a path and what is asked of it to a page. Read anew each time, never kept.

A run is shown only under a name that the list has, so no path leads out of the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from selectllm.core.errors import RunError, SelectLLMError, UsageError
from selectllm.core.shown import sentence
from selectllm.evaluation.comparison.run_inputs import read_manifest
from selectllm.evaluation.runs.schema import PairFigures, RunResults
from selectllm.jobs.comparing_runs import compare_folders
from selectllm.jobs.evidence import place_of_run
from selectllm.jobs.outputs import nearby
from selectllm.jobs.runs import ListedRun, list_runs
from selectllm.jobs.workspace import find_workspace
from selectllm.report.formats import report
from selectllm.report.html.charts.trend import Trend, TrendPoint
from selectllm.report.html.runs_list import (
    RunRow,
    deciding,
    message_page,
    runs_page,
    trend_link,
    trend_page,
)

Asked = Mapping[str, Sequence[str]]
HASH = 6  # digits of a hash that tell clusters apart


@dataclass(frozen=True, slots=True)
class ShownPage:
    """A page with its HTTP status."""

    status: int
    page: str


@dataclass(frozen=True, slots=True)
class View:
    """The runs in a folder and the folders below it."""

    folder: Path

    def answer(self, target: str) -> ShownPage:
        """The page at `target`, a path with its query; of what cannot be shown, the reason."""
        try:
            parts = urlsplit(target)
            page = PAGES.get(parts.path)
            if page is None:
                return ShownPage(404, message_page("There is no such page", "Go to the list."))
            return ShownPage(200, page(self, parse_qs(parts.query, max_num_fields=10)))
        except _NotListed as error:
            return ShownPage(404, message_page("There is no such run", sentence(str(error))))
        except SelectLLMError as error:
            return ShownPage(422, message_page("This cannot be shown", sentence(str(error))))
        except (OSError, ValueError) as error:
            return ShownPage(422, message_page("This cannot be shown", sentence(str(error))))

    def runs(self) -> dict[str, ListedRun]:
        """Every run by its name, the newest first."""
        if not self.folder.is_dir():
            return {}
        found = list_runs(self.folder)
        return {run.folder.relative_to(self.folder).as_posix(): run for run in found}

    def _listed(self, name: str) -> ListedRun:
        run = self.runs().get(name)
        if run is None:
            raise _NotListed(f"there is no run {name!r} in {nearby(self.folder)}")
        return run

    def listing(self, asked: Asked) -> str:
        """All runs, and of what there are trends."""
        runs = self.runs()
        rows = [
            RunRow(name, f"{run.changed:%Y-%m-%d %H:%M}", _state(run), run.result)
            for name, run in runs.items()
        ]
        return runs_page(str(nearby(self.folder)), rows, trends_of(runs))

    def report(self, asked: Asked) -> str:
        """The report of one run, as `report RUN --html` makes it."""
        run = self._listed(_one(asked, "name"))
        if run.result is None:
            raise RunError(f"{run.folder}: {_state(run)}")
        place = place_of_run(run.folder, find_workspace(run.folder))
        return report(run.result, "html", place)

    def compare(self, asked: Asked) -> str:
        """Two runs side by side, the newer against the older."""
        names = asked.get("run", ())
        if len(names) != 2:
            raise UsageError(
                f"only two runs can be compared at a time, and {len(names)} were ticked. Go back "
                "and tick two"
            )
        newer, older = sorted(
            (self._listed(name) for name in names), key=lambda run: run.changed, reverse=True
        )
        compared = compare_folders(older.folder, newer.folder)
        return report(compared.results, "html", compared.place("html"))

    def trend(self, asked: Asked) -> str:
        """One prompt with one model over the runs of a suite."""
        link = f"/trend?{_query(asked)}"
        runs = self.runs()
        trend = next((each for each in trends_of(runs) if trend_link(each) == link), None)
        if trend is None:
            raise _NotListed("no run holds this prompt with this model")
        rows = [RunRow(point.run, "", "", None) for point in trend.points]
        return trend_page(trend, [(row.name, row.link) for row in rows])


PAGES: Mapping[str, Callable[[View, Asked], str]] = {
    "/": View.listing,
    "/run": View.report,
    "/compare": View.compare,
    "/trend": View.trend,
}


class _NotListed(RunError):
    """A name that the list of runs has not."""


def _one(asked: Asked, name: str) -> str:
    values = asked.get(name, ())
    return values[0] if values else ""


def _query(asked: Asked) -> str:
    names = ("suite", "prompt", "model", "utility")
    return urlencode({name: _one(asked, name) for name in names})


def _state(run: ListedRun) -> str:
    if run.problem is not None:
        return f"damaged: {run.problem}"
    return "" if run.result else "not finished (run the same command again to continue)"


def trends_of(runs: Mapping[str, ListedRun]) -> list[Trend]:
    """A trend for every prompt and model of a suite, those of most runs first."""
    points: dict[tuple[str, str, str, str], list[TrendPoint]] = {}
    for name, run in reversed(list(runs.items())):  # the oldest first
        result = run.result
        if isinstance(result, RunResults) and (utility := deciding(result)) is not None:
            clusters = _measured_on(run, result, utility)
            for pair in result.pairs:
                prompt = pair.prompt.rpartition("@")[0] or pair.prompt
                key = (result.suite, prompt, pair.model, utility)
                points.setdefault(key, []).append(_point(name, run, pair, utility, clusters))
    trends = [Trend(*key, tuple(found)) for key, found in points.items()]
    return sorted(trends, key=lambda trend: (-len(trend.points), trend.suite, trend.name))


def _point(name: str, run: ListedRun, pair: PairFigures, utility: str, clusters: str) -> TrendPoint:
    return TrendPoint(
        run=name,
        when=run.changed.isoformat(timespec="seconds"),
        version=pair.prompt,
        clusters=clusters,
        captured=pair.agreement[utility].captured,
        valid_rate=pair.valid_rate,
        cost_usd=pair.replay_cost_usd,
    )


def _measured_on(run: ListedRun, result: RunResults, utility: str) -> str:
    """`60 clusters (1a2b3c, ratings 4d5e6f)`: the same where the figures can be compared."""
    values = next(each.sha256 for each in result.utilities if each.name == utility)
    try:
        clusters = str(read_manifest(run.folder).get("clusters_sha256"))
    except RunError:
        clusters = "unknown"
    return f"{result.clusters:,} clusters ({clusters[:HASH]}, {utility} {values[:HASH]})"
