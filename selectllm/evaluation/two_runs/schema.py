"""What two runs have in common, typed; nothing here computes.

Every figure is of the clusters that both runs asked. Captured is 0 for random picks and 1 for the
best possible.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Number, Share
from selectllm.stats.interval import Interval
from selectllm.utility.schema import UtilitySummary


class SideFigures(Part):
    """A prompt with a model in one of the runs.

    `cost_usd` is null if the price of any reply is unknown.
    """

    prompt: str
    model: str
    decisions: Tally
    captured: Interval | None
    valid_rate: Share | None = Field(
        description="The share of decisions whose status is ok or repaired."
    )
    cost_usd: Number | None

    @property
    def name(self) -> str:
        """`prompt + model`, as arms are called everywhere."""
        return f"{self.prompt} + {self.model}"


class ClusterDifference(Part):
    """How the second run did in one cluster, compared with the first.

    `a` and `b` are the numbers of the cluster in the two runs. A reached share is how far the picks
    got between the worst and the best possible picks of the cluster. `difference` is the reached
    share of the second run minus that of the first, from -1 (the best possible picks became the
    worst) to 1. It is null without a utility, and if no picks can be better than others.
    """

    a: int
    b: int
    group: str | None
    same_picks: bool
    difference: Number | None


class PairedSides(Part):
    """A pair of the first run compared with one of the second.

    `difference` is b minus a in captured, with a 95 % interval by Student's t over the clusters.
    `clusters` starts with the worst change.
    """

    a: SideFigures
    b: SideFigures
    difference: Interval | None
    better: Tally
    worse: Tally
    equal: Tally = Field(description="The number of clusters in which both reached the same share.")
    clusters: tuple[ClusterDifference, ...]


class ComparedRun(Part):
    """One of the two runs.

    `alone` names the pairs of this run that have no counterpart in the other one. `folder` is the
    folder relative to where the runs were compared, or only its name if it lies outside.
    """

    name: str
    folder: str
    suite: str
    clusters: Tally = Field(description="The number of clusters that this run asked.")
    left_out: Tally = Field(description="How many of these clusters the other run did not ask.")
    alone: tuple[str, ...]


class RunsCompared(Document):
    """How two runs differ on the clusters that both of them asked. It contains no verdict.

    `utility` measures the picks of both runs; it is null if neither run has one. `compared` starts
    with the pair that lost most.
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
