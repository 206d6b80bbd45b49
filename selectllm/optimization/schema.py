"""optimize.json, typed: what came of a search or of a grid; nothing here computes.

Every figure of captured is 0 for random picks and 1 for the best possible.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from selectllm.core.document import Document, Part, Tally, schema_of
from selectllm.core.figures import Sha256, Share
from selectllm.core.files import read_json
from selectllm.evaluation.comparison.schema import Noise, Verdict
from selectllm.evaluation.metrics.schema import SlotHistogram
from selectllm.stats.interval import Interval
from selectllm.utility.schema import UtilitySummary

Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[int, Field(ge=1)]
Value = bool | int | float | str
"""Of a prompt's variable."""


class ClusterSplits(Part):
    """How many clusters are in each part. No cluster is in two parts."""

    training: Tally
    validation: Tally
    confirmation: Tally
    left_out: Tally = Field(
        description="The number of clusters that are not used to decide anything."
    )
    sha256: Sha256


class ControlsBySplit(Part):
    """What each strategy captures without a model, on each part of the clusters."""

    training: Mapping[str, Interval | None]
    validation: Mapping[str, Interval | None]
    confirmation: Mapping[str, Interval | None]


class Guards(Part):
    """What must not get worse for the sake of a better agreement."""

    order_consistency: Interval | None
    slots: SlotHistogram
    tokens_in: int | None
    tokens_out: int | None
    decisions: Tally
    valid_rate: Share | None


class Optimized(Document):
    """What the results of a search and of a grid have in common."""

    format: Literal[1] = 1
    utility: UtilitySummary = Field(description="The utility that scores the decisions.")
    splits: ClusterSplits
    controls: ControlsBySplit
    confirmed_on: Positive | None = Field(
        description="How many confirmation clusters were asked. A sequential comparison may stop "
        "before it has asked all of them. Null without a confirmation."
    )
    verdict: Verdict | None = Field(
        description="The verdict on the winner compared with the parent. Null if no version did "
        "better than the parent in the search."
    )
    written: str | None = Field(
        default=None,
        description="The new version that was written, as name@N. Null if none was written.",
    )


class SearchPlan(Part):
    """The settings of a search."""

    parent: Text
    model: Text
    teacher: Text
    seed: int
    budget: Positive = Field(
        description="The largest number of decisions that the search may make."
    )
    demonstrations: Tally


class SearchOutcome(Part):
    """What a search found and what it took.

    `proposals` counts what the teacher was asked for, and `failed` counts the proposals that could
    not be used; `problem` says what was wrong with the last of these. `validated` counts the new
    versions that were tried on all validation clusters. `stopped` says why the search ended.
    """

    text: str = Field(description="The system text that did best on the validation clusters.")
    demonstrations: Tally
    decisions: Tally
    proposals: Tally
    failed: Tally
    validated: Tally
    stopped: Text
    problem: str | None


class SearchAhead(Part):
    """The number of decisions that a search is going to ask at most."""

    parent: Text
    model: Text
    teacher: Text
    splits: Mapping[str, Tally]
    search: Tally
    measuring: Tally = Field(
        description="The decisions that measure the parent and the winner on all training clusters."
    )
    confirmation: Tally


class CapturedByVersion(Part):
    """What both versions captured. A figure is null if it is not defined."""

    parent: Interval | None
    winner: Interval | None


class CapturedBySplit(Part):
    """What both versions captured on each part of the clusters.

    On the training and validation clusters the winner looks better than it is, because it was
    chosen by these figures. The confirmation clusters show how good it really is.
    """

    training: CapturedByVersion
    validation: CapturedByVersion
    confirmation: CapturedByVersion | None

    def of(self, version: str) -> tuple[Interval | None, ...]:
        """By split, what `parent` or `winner` captured; None where that is not known."""
        splits = (self.training, self.validation, self.confirmation)
        return tuple(None if split is None else getattr(split, version) for split in splits)


class GuardedVersions(Part):
    """The guards of both versions, measured on the confirmation clusters."""

    parent: Guards
    winner: Guards


class SearchResults(Optimized):
    """The result of a search, in which a teacher rewrote the system text."""

    kind: Literal["search"] = "search"
    plan: SearchPlan
    packages: Mapping[str, str | None] = Field(
        description="The versions of the packages that did the search."
    )
    search: SearchOutcome
    captured: CapturedBySplit
    guards: GuardedVersions | None
    noise: Noise | None = Field(
        description="The parent compared with itself, with the items shown in another order."
    )


class PlannedRound(Part):
    """A round of successive halving."""

    settings: Positive
    clusters: Positive = Field(
        description="The number of new clusters on which each setting is asked."
    )
    decisions: Positive


class GridPlan(Part):
    """What a grid is going to ask."""

    parent: Text
    model: Text
    seed: int
    budget: Positive = Field(description="The largest number of decisions that the grid may make.")
    settings: Annotated[int, Field(ge=2)]
    rounds: tuple[PlannedRound, ...] = Field(min_length=1)
    decisions: Positive
    confirmation: Tally = Field(
        description="The largest number of decisions that the confirmation takes."
    )


class GridVariable(Part):
    """A variable of the prompt."""

    name: Text
    values: tuple[Value, ...] = Field(
        min_length=1, description="The values of the variable, starting with the default."
    )


class GridSetting(Part):
    """A setting and how it did on the clusters that it was asked. Setting 0 is the default."""

    number: Tally
    settings: Mapping[str, Value]
    prompt: Text
    sha256: Sha256
    clusters: Tally
    captured: Interval | None


class GridRound(Part):
    """A round and its outcome.

    `survivors` starts with the best setting. It does not contain the default, which always goes on
    to the next round.
    """

    clusters: tuple[int, ...] = Field(description="The ids of the clusters.")
    settings: tuple[Tally, ...]
    survivors: tuple[Tally, ...]


class VariableEffect(Part):
    """The effect of a value compared with the default, averaged over the other variables."""

    variable: Text
    value: Value
    default: Value
    effect: Interval | None = Field(
        description="The effect in captured units on the clusters of the first round, averaged "
        "over the other variables."
    )
    p: Share | None
    p_holm: Share | None = Field(description="`p`, adjusted for all effects.")


class ConfirmedArm(Guards):
    """How the default or a finalist did on the confirmation clusters."""

    number: Tally
    prompt: Text
    captured: Interval | None


class GridConfirmation(Part):
    """The arms of every verdict, starting with the default, and the guards beside them."""

    arms: tuple[ConfirmedArm, ...] = Field(min_length=2, max_length=4)
    verdicts: tuple[Verdict, ...] = Field(min_length=1, max_length=3)
    noise: Noise | None = Field(
        description="The parent compared with itself, with the items shown in another order."
    )


class GridResults(Optimized):
    """The result of a grid, which tries all combinations of a prompt's variables by halving."""

    kind: Literal["grid"] = "grid"
    plan: GridPlan
    variables: tuple[GridVariable, ...] = Field(min_length=1)
    settings: tuple[GridSetting, ...] = Field(
        min_length=2,
        description="The settings, starting with those that were asked about most clusters, then "
        "by captured.",
    )
    rounds: tuple[GridRound, ...] = Field(min_length=1)
    effects: tuple[VariableEffect, ...]
    finalists: tuple[Tally, ...] = Field(max_length=3)
    confirmation: GridConfirmation | None
    winner: Positive | None


OptimizeResults = SearchResults | GridResults


def read_optimize(path: Path) -> OptimizeResults:
    """The optimize.json at `path`. Raises RunError if it is missing or none."""
    document = GridResults if read_json(path).get("kind") == "grid" else SearchResults
    return document.read(path, "not the result of a search ({why}); run optimize again")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of optimize.json: of a search, or of a grid."""
    either = Annotated[OptimizeResults, Field(discriminator="kind")]
    return schema_of(either, title="optimize.json of a search")
