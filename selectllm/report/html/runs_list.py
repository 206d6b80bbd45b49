"""The pages around reports that `view` shows: the list of runs, a trend, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from selectllm.core.document import Document
from selectllm.core.verdict_words import POLARITY, Polarity, worst
from selectllm.evaluation.runs.schema import RunResults
from selectllm.report.html.chart import Chart
from selectllm.report.html.charts.trend import Trend, trend_chart
from selectllm.report.html.shell import filled
from selectllm.report.in_one_line import in_one_line
from selectllm.report.wording import UNKNOWN, around, counted, usd


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the list. `name`: its folder, from the folder that is viewed.

    `result`: None unless it is finished; `state` then says why.
    """

    name: str
    when: str
    state: str
    result: Document | None

    @property
    def link(self) -> str:
        """Where its report is."""
        return f"/run?{urlencode({'name': self.name})}"

    @property
    def suite(self) -> str:
        """The suite that it is of."""
        return str(getattr(self.result, "suite", UNKNOWN))

    @property
    def comparable(self) -> bool:
        """Whether it can be held against another run."""
        return isinstance(self.result, RunResults)

    @property
    def polarity(self) -> Polarity:
        """Whether the worst of its verdicts is good or bad; open without any."""
        word = worst(self.result.words) if isinstance(self.result, RunResults) else None
        return "open" if word is None else POLARITY[word]

    @property
    def found(self) -> tuple[str, str]:
        """Its verdict, empty without one, and what else it found, or why it found nothing."""
        if self.result is None:
            return "", self.state
        line = in_one_line(self.result)
        if not isinstance(self.result, RunResults) or not self.result.verdicts:
            return "", line
        word, _, rest = line.partition(": ")
        return word, rest

    @property
    def pairs(self) -> str:
        """How many pairs of prompt and model it asked."""
        return str(len(self.result.pairs)) if isinstance(self.result, RunResults) else UNKNOWN

    @property
    def captured(self) -> str:
        """The best pair's captured with its interval."""
        if not isinstance(self.result, RunResults):
            return UNKNOWN
        utility = deciding(self.result)
        known = [
            captured
            for pair in self.result.pairs
            if utility is not None and (captured := pair.agreement[utility].captured) is not None
        ]
        best = max(known, key=lambda captured: captured.estimate, default=None)
        return UNKNOWN if best is None else around(best)

    @property
    def cost(self) -> str:
        """What all its replies cost when they were made, in USD."""
        if not isinstance(self.result, RunResults) or not self.result.pairs:
            return UNKNOWN
        costs = [pair.replay_cost_usd for pair in self.result.pairs]
        known = [cost for cost in costs if cost is not None]
        return usd(sum(known) if len(known) == len(costs) else None)


def deciding(result: RunResults) -> str | None:
    """The utility that its verdict is read from, else its first; None without any."""
    covered = [utility.name for utility in result.utilities]
    decides = [verdict.utility.name for verdict in result.verdicts if verdict.utility is not None]
    return next((name for name in (*decides, *covered) if name in covered), None)


def runs_page(folder: str, rows: Sequence[RunRow], trends: Sequence[Trend]) -> str:
    """The runs, newest first, of which two can be ticked; and the trends, by suite."""
    listed = [(trend, trend_link(trend), counted(len(trend.points), "run")) for trend in trends]
    return filled(
        "runs.html.jinja",
        form=True,
        title=f"Runs in {folder}",
        rows=rows,
        trends=listed,
    )


def trend_link(trend: Trend) -> str:
    """Where the page of a trend is."""
    names = ("suite", "prompt", "model", "utility")
    return f"/trend?{urlencode({name: getattr(trend, name) for name in names})}"


def trend_page(trend: Trend, links: Sequence[tuple[str, str]]) -> str:
    """One prompt with one model over runs; `links`: the names of the runs, and their reports."""
    drawn = trend_chart(trend)
    known = [point for point in trend.points if point.captured is not None]
    times = "once" if len(trend.points) == 1 else f"{len(trend.points):,} times"
    says = f"{trend.name} was run {times} in {trend.suite}."
    alike = len({point.clusters for point in known}) == 1
    if alike and len(known) > 1 and (first := known[0].captured) and (last := known[-1].captured):
        says += (
            f" It captured {first.estimate:.2f} in the first run and {last.estimate:.2f} in the "
            "last one."
        )
    texts = () if drawn else ("No run says what it captured.",)
    return _plain(f"Trend of {trend.name}", says, texts, (drawn,) if drawn else (), links)


def message_page(title: str, text: str) -> str:
    """What could not be shown, and why."""
    return _plain(title, title, (text,))


def _plain(
    title: str,
    heading: str,
    texts: Sequence[str],
    charts: Sequence[Chart] = (),
    links: Sequence[tuple[str, str]] = (),
) -> str:
    return filled(
        "plain.html.jinja", charts, title=title, heading=heading, texts=texts, links=links
    )
