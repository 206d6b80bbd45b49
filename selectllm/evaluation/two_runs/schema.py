"""What two runs have in common, typed; nothing here computes.

Every figure is of the clusters that both runs asked. Captured is 0 for random picks and 1 for the
best possible.
"""

from typing import Literal

from pydantic import ConfigDict, Field

from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Number, Share
from selectllm.stats.interval import Interval
from selectllm.utility.schema import UtilitySummary


class SideFigures(Part):
    """A prompt with a model in one of the runs. `cost_usd`: null: not all replies are priced."""

    prompt: str
    model: str
    decisions: Tally
    captured: Interval | None
    valid_rate: Share | None = Field(description="Of the decisions: status ok or repaired.")
    cost_usd: Number | None

    @property
    def name(self) -> str:
        """`prompt + model`, as arms are called everywhere."""
        return f"{self.prompt} + {self.model}"


class ClusterDifference(Part):
    """How the second run went in one cluster. `a`, `b`: its numbers in the two runs.

    `difference`: of the share of the cluster's range of utility that the picks reached, from -1
    (the best possible picks became the worst) to 1; null without a utility, or where no picks
    can be better than others.
    """

    a: int
    b: int
    group: str | None
    same_picks: bool
    difference: Number | None


class PairedSides(Part):
    """A pair of the first run and one of the second. `difference`: in captured, b minus a.

    Its interval (95 %) is Student's, over clusters. `clusters`: the worst change first.
    """

    a: SideFigures
    b: SideFigures
    difference: Interval | None
    better: Tally
    worse: Tally
    equal: Tally = Field(description="Clusters in which both reached as much.")
    clusters: tuple[ClusterDifference, ...]


class ComparedRun(Part):
    """One of the runs. `alone`: its pairs that nothing in the other run is compared with.

    `folder`: from where it was compared; its name alone where it lay elsewhere.
    """

    name: str
    folder: str
    suite: str
    clusters: Tally = Field(description="All that it asked.")
    left_out: Tally = Field(description="Of these, the clusters that the other run did not ask.")
    alone: tuple[str, ...]


class RunsCompared(Document):
    """What two runs made of the clusters that both asked; it holds no verdict.

    `utility`: what the picks of both are measured by; null where neither run has one.
    `compared`: the pair that lost most first.
    """

    model_config = ConfigDict(title="two runs compared")

    format: Literal[1] = 1
    a: ComparedRun
    b: ComparedRun
    clusters: Tally
    picks: Tally
    utility: UtilitySummary | None
    compared: tuple[PairedSides, ...]
    notes: tuple[str, ...]
