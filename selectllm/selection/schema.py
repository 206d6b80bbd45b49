"""Lines of logs of decisions and rounds, of selections, and clusters.json, typed; nothing computes.

A run of a large pool has hundreds of thousands of decisions, and a line through a model takes four
times as long to write (11 us against 3), so decision_log.py writes the fields as they are; the JSON
Schemas are generated from these types. Attempts are the type itself (core/types.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from selectllm.core.document import Document, Part, Tally, schema_of
from selectllm.core.figures import Amount, Coefficient, Number, Sha256
from selectllm.core.strict import Count
from selectllm.core.types import Attempt, Status

Members = Annotated[tuple[str, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True})]


class LogBegin(Part):
    """The first line, which says what the log belongs to."""

    manifest: Mapping[str, Any]
    manifest_sha256: Sha256


class DecisionLine(Part):
    """What one selector picked in a cluster, by item id.

    `shown` lists the items in the order in which they were shown. `ranking` starts with the best;
    it is missing unless the selector ordered all candidates. `scores` has one number for each pick;
    it is missing unless a strategy of `select` uses a number, or a prompt asks about one item or
    two at a time. `ballots` is the number of ballots of an adaptive vote; it is missing for
    everything else. `wins` says how often the item in each place won; it is missing unless a prompt
    asks which of two or a few items is better.
    """

    # Of attempts as well: what has a default may be missing.
    model_config = ConfigDict(json_schema_serialization_defaults_required=False)
    absent: ClassVar[frozenset[str]] = frozenset({"ranking", "scores", "ballots", "wins"})

    cluster: Tally
    order: Tally
    repeat: Tally
    round: Tally
    shown: tuple[str, ...]
    picks: tuple[str, ...]
    status: Status
    problems: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    ranking: tuple[str, ...] | None = None
    scores: tuple[Number, ...] | None = None
    ballots: Count | None = None
    wins: tuple[Tally, ...] | None = None


class ModelDecisionLine(DecisionLine):
    """A decision of a prompt with a model."""

    prompt: str
    prompt_sha256: Sha256
    model: str


class StrategyDecisionLine(DecisionLine):
    """A decision of a strategy."""

    strategy: str


def decision_schema() -> dict[str, Any]:
    """The JSON Schema of a line of a decision log."""
    lines = LogBegin | ModelDecisionLine | StrategyDecisionLine
    return schema_of(lines, title="one line of a decision log")


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well everything that is annotated after a round covers the pool.

    `mean_distance` is the mean over the pool of 1 - cosine to the nearest annotated item, from 0 to
    2. A lower value means better coverage. `reached` is the number of the `groups` k-means groups
    of the pool that contain an annotated item. A higher value means better coverage.
    """

    mean_distance: float
    groups: int
    reached: int


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One round of annotation. The first `round` is 1.

    `budget` is null if a threshold was used. `selector` is the strategy, or PROMPT+MODEL. `ids` are
    those of the selected items in the order of the pool, and `filled` of them were chosen at
    random. `pool` is the path of the pool, `pool_sha256` its hash and `items` its number of items.
    `texts_sha256` is the hash of the texts of the selected items, which shows whether a pool is
    another one. `given` is the number of items that were annotated before the first round. `log` is
    the log of the round's decisions, relative to the folder of this log; it identifies a round that
    is run again. `coverage` is null if the items could not be embedded.
    """

    round: int
    budget: int | None
    selector: str
    seed: int
    ids: tuple[str, ...]
    filled: int
    texts_sha256: str
    pool: str
    pool_sha256: str
    items: int
    given: int
    log: str | None
    coverage: Coverage | None


def round_schema() -> dict[str, Any]:
    """The JSON Schema of a line of a log of rounds."""
    return schema_of(LogBegin | RoundRow, title="one line of a log of rounds")


class SelectionMark(Part):
    """Why an item was selected.

    `filled` is true if the item was chosen at random because a model gave no usable answer.
    """

    absent: ClassVar[frozenset[str]] = frozenset({"rank", "score", "reason"})

    cluster: Tally
    round: Tally
    by: str
    filled: bool
    rank: Count | None = Field(
        default=None,
        description="The rank of the item; 1 is the best. With a model, it is the rank among the "
        "picks of this cluster, in the order of the answer; with a strategy, the rank "
        "in the pool. Missing if nobody chose the item.",
    )
    score: Number | None = Field(
        default=None,
        description="The score that the model gave the item, the sum of its votes, or the number "
        "that the strategy uses. Missing if there is no such number.",
    )
    reason: str | None = Field(
        default=None, description="What the model wrote about the item, or about its picks."
    )


class SelectedLine(Document):
    """A selected row of the pool with all its columns."""

    model_config = ConfigDict(title="one line of a selection", extra="allow")

    mark: SelectionMark = Field(alias="_selectllm")


class ClusterEntry(Part):
    """A cluster and its items."""

    absent: ClassVar[frozenset[str]] = frozenset({"group"})

    id: Tally
    members: Members
    group: str | None = Field(
        default=None, description="The value of clusters.group that all its items share."
    )


class ClustersFile(Document):
    """Which items are in which cluster, and how the clusters were made."""

    model_config = ConfigDict(title="clusters.json of a run folder")

    format: Literal[1] = 1
    by: str
    size: Tally
    seed: int
    encoder: str | None
    pool_sha256: Sha256
    clusters: tuple[ClusterEntry, ...]
    sha256: Sha256 = Field(
        description="The hash of the canonical JSON of everything else in the file."
    )


class PickedLengths(Part):
    """How many items of `low` to `high` characters are in the pool and among the picks.

    If `high` is null, there is no upper limit.
    """

    low: Tally
    high: Tally | None
    pool: Tally | None
    picks: Tally


class PickedTopic(Part):
    """A group of items in the pool whose vectors are similar.

    `example` is the item in its middle.
    """

    example: str
    pool: Tally
    picks: Tally


class Likenesses(Part):
    """The mean cosine over all pairs of items. A lower value means more diversity."""

    picks: Coefficient | None
    pool: Coefficient | None


class PicksPerCluster(Part):
    """The number of clusters from which this many items were selected."""

    picks: Tally
    clusters: Tally


class ClusterSpread(Part):
    """The clusters that the pool was divided into in the first round.

    `reached` counts the clusters with a pick. `rounds` is above 1 if the picks of these clusters
    were divided into clusters again.
    """

    by: str | None
    clusters: Tally
    reached: Tally
    rounds: Tally
    picks: tuple[PicksPerCluster, ...]


class SelectionSummary(Document):
    """A summary of a selection: how many items, how they were chosen, and at what cost.

    Everything about the pool is null or empty if the file of the pool is missing. `filled` counts
    the items that were chosen at random. `whole` counts those that were selected without asking,
    together with all other items of their cluster. `calls` counts the replies that the selection is
    based on. `cost_usd` is what they cost when they were made; it is null if the price of any is
    not known.
    """

    model_config = ConfigDict(title="JSON that report SELECTION prints")
    absent: ClassVar[frozenset[str]] = frozenset({"wins"})

    selection: str
    pool: str | None
    pool_items: Tally | None
    budget: Tally | None
    threshold: Number | None
    selected: Tally
    filled: Tally
    whole: Tally
    prompt: str | None
    model: str | None
    strategy: str | None
    vote: str | None
    seed: int | None
    calls: Tally
    tokens_in: Tally
    tokens_out: Tally
    cost_usd: Amount | None
    clusters: ClusterSpread | None
    lengths: tuple[PickedLengths, ...]
    topics: tuple[PickedTopic, ...]
    likeness: Likenesses | None
    wins: tuple[Tally, ...] | None = Field(
        None,
        exclude_if=lambda wins: wins is None,
        description="For prompts that compare two or a few items: how often the item in each "
        "place won, starting with the first place. Absent for other prompts.",
    )
