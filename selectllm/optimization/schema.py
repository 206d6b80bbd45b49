"""optimize.json, typed: what came of a search or of a grid; nothing here computes.

Every figure of captured is 0 for random picks and 1 for the best possible.
"""

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
    """How many clusters each part has; the parts share none."""

    training: Tally
    validation: Tally
    confirmation: Tally
    left_out: Tally = Field(description="Clusters that decide nothing.")
    sha256: Sha256


class ControlsBySplit(Part):
    """Captured by picking without a model, by strategy, on each part of the clusters."""

    training: Mapping[str, Interval | None]
    validation: Mapping[str, Interval | None]
    confirmation: Mapping[str, Interval | None]


class Guards(Part):
    """What a prompt must not buy its agreement with."""

    order_consistency: Interval | None
    slots: SlotHistogram
    tokens_in: int | None
    tokens_out: int | None
    decisions: Tally
    valid_rate: Share | None


class Optimized(Document):
    """What a search and a grid tell alike."""

    format: Literal[1] = 1
    utility: UtilitySummary = Field(description="What decisions are scored by.")
    splits: ClusterSplits
    controls: ControlsBySplit
    confirmed_on: Positive | None = Field(
        description="Confirmation clusters that were asked; fewer than there are if a sequential "
        "comparison was decided earlier. Null without a confirmation."
    )
    verdict: Verdict | None = Field(
        description="On the winner against the parent; null if nothing did better in the search."
    )
    written: str | None = Field(
        default=None, description="The new version, name@N; null if none was written."
    )


class SearchPlan(Part):
    """What a search was told."""

    parent: Text
    model: Text
    teacher: Text
    seed: int
    budget: Positive = Field(description="Decisions.")
    demonstrations: Tally


class SearchOutcome(Part):
    """What a search found, and what it took.

    `proposals`, `failed`: what the teacher was asked for, and how many of those could not be
    used; `problem`: why the last such was not. `validated`: new versions tried on all validation
    clusters. `stopped`: why the search ended.
    """

    text: str = Field(description="The system text that did best in validation.")
    demonstrations: Tally
    decisions: Tally
    proposals: Tally
    failed: Tally
    validated: Tally
    stopped: Text
    problem: str | None


class SearchAhead(Part):
    """What a search is going to ask at most, in decisions; known before anything is."""

    parent: Text
    model: Text
    teacher: Text
    splits: Mapping[str, Tally]
    search: Tally
    measuring: Tally = Field(description="Of parent and winner on all training clusters.")
    confirmation: Tally


class CapturedByVersion(Part):
    """Captured by both versions; null where it is undefined."""

    parent: Interval | None
    winner: Interval | None


class CapturedBySplit(Part):
    """Training and validation flatter whatever was chosen by them: that is the optimism."""

    training: CapturedByVersion
    validation: CapturedByVersion
    confirmation: CapturedByVersion | None

    def of(self, version: str) -> tuple[Interval | None, ...]:
        """By split, what `parent` or `winner` captured; None where that is not known."""
        splits = (self.training, self.validation, self.confirmation)
        return tuple(None if split is None else getattr(split, version) for split in splits)


class GuardedVersions(Part):
    """The guards of both versions, on the confirmation clusters."""

    parent: Guards
    winner: Guards


class SearchResults(Optimized):
    """A teacher rewrote the system text."""

    kind: Literal["search"] = "search"
    plan: SearchPlan
    packages: Mapping[str, str | None] = Field(description="Versions of what searches.")
    search: SearchOutcome
    captured: CapturedBySplit
    guards: GuardedVersions | None
    noise: Noise | None = Field(description="The parent against itself, shown in another order.")


class PlannedRound(Part):
    """A round of successive halving."""

    settings: Positive
    clusters: Positive = Field(description="New ones, that each setting is asked on.")
    decisions: Positive


class GridPlan(Part):
    """What a grid asks; known before anything is."""

    parent: Text
    model: Text
    seed: int
    budget: Positive = Field(description="Decisions.")
    settings: Annotated[int, Field(ge=2)]
    rounds: tuple[PlannedRound, ...] = Field(min_length=1)
    decisions: Positive
    confirmation: Tally = Field(description="Decisions that it takes at most.")


class GridVariable(Part):
    """A variable of the prompt."""

    name: Text
    values: tuple[Value, ...] = Field(min_length=1, description="The default first.")


class GridSetting(Part):
    """A setting on what it was asked. Number 0 has every default."""

    number: Tally
    settings: Mapping[str, Value]
    prompt: Text
    sha256: Sha256
    clusters: Tally
    captured: Interval | None


class GridRound(Part):
    """A round as it went. `survivors`: best first, without the default, which always goes on."""

    clusters: tuple[int, ...] = Field(description="Ids.")
    settings: tuple[Tally, ...]
    survivors: tuple[Tally, ...]


class VariableEffect(Part):
    """What a value of a variable does, against its default, averaged over the other variables."""

    variable: Text
    value: Value
    default: Value
    effect: Interval | None = Field(
        description="In captured units, on the clusters of round one, averaged over the other "
        "variables."
    )
    p: Share | None
    p_holm: Share | None = Field(description="Over all effects.")


class ConfirmedArm(Guards):
    """The default, or a finalist, on the confirmation clusters."""

    number: Tally
    prompt: Text
    captured: Interval | None


class GridConfirmation(Part):
    """Both sides of every verdict, the default first, and what stands guard beside them."""

    arms: tuple[ConfirmedArm, ...] = Field(min_length=2, max_length=4)
    verdicts: tuple[Verdict, ...] = Field(min_length=1, max_length=3)
    noise: Noise | None = Field(description="The parent against itself, shown in another order.")


class GridResults(Optimized):
    """Every combination of a prompt's variables, by successive halving."""

    kind: Literal["grid"] = "grid"
    plan: GridPlan
    variables: tuple[GridVariable, ...] = Field(min_length=1)
    settings: tuple[GridSetting, ...] = Field(
        min_length=2,
        description="Those that were asked on most clusters first, then by captured.",
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
