"""Lines of logs of decisions and rounds, of selections, and clusters.json, typed; nothing computes.

A run of a large pool has hundreds of thousands of decisions, and a line through a model takes four
times as long to write (11 us against 3), so decision_log.py writes the fields as they are; the JSON
Schemas are generated from these types. Attempts are the type itself (core/types.py).
"""

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
    """The first line: what the log belongs to."""

    manifest: Mapping[str, Any]
    manifest_sha256: Sha256


class DecisionLine(Part):
    """What one selector picked of a cluster, by item id.

    `shown`: in shown order. `ranking`: best first; missing unless the selector ordered all
    candidates. `scores`: of the picks, in their order; missing unless a strategy of `select` goes
    by a number, or a prompt asks about one item or two at a time. `ballots`: how many an adaptive
    vote had; missing for everything else. `wins`: by place, how often what stood there won; missing
    unless a prompt asks which of two or a few is better.
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
    """A decision of a prompt run through a model."""

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
    """What all that is annotated after a round covers of the pool.

    `mean_distance`: the mean over the pool of 1 - cosine to the nearest annotated item, from 0 to
    2; lower covers more. `reached`: how many of the `groups` k-means groups of the pool hold an
    annotated item; more cover more.
    """

    mean_distance: float
    groups: int
    reached: int


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One round. `round`: from 1.

    `budget`: None with a threshold. `selector`: the strategy, or PROMPT+MODEL. `ids`: of the items
    that were selected, in the order of the pool; `filled`: how many of them at random.
    `texts_sha256`: of what these ask, by which another pool is told. `pool`: where it is from, with
    its hash and number of `items`. `given`: items that were annotated before the first round.
    `log`: the log of the round's decisions, relative to this log's folder; by it a round that is
    run again is known. `coverage`: None where items could not be embedded.
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
    """Why an item was selected. `filled`: at random, where a model gave no usable answer."""

    absent: ClassVar[frozenset[str]] = frozenset({"rank", "score", "reason"})

    cluster: Tally
    round: Tally
    by: str
    filled: bool
    rank: Count | None = Field(
        default=None,
        description="From 1, the best: among the model's picks of this cluster, in the order of "
        "its answer; in the pool, if a strategy picked. Missing where nobody chose the item.",
    )
    score: Number | None = Field(
        default=None,
        description="What the model gave the item, what its votes add up to, or what the strategy "
        "goes by; missing where there is no such number.",
    )
    reason: str | None = Field(
        default=None, description="What the model wrote about the item, or about its picks."
    )


class SelectedLine(Document):
    """A selected row of the pool with all its columns."""

    model_config = ConfigDict(title="one line of a selection", extra="allow")

    mark: SelectionMark = Field(alias="_selectllm")


class ClusterEntry(Part):
    """A cluster."""

    absent: ClassVar[frozenset[str]] = frozenset({"group"})

    id: Tally
    members: Members
    group: str | None = Field(
        default=None, description="The value of clusters.group that its items share."
    )


class ClustersFile(Document):
    """Which items are in which cluster, and what they were made from."""

    model_config = ConfigDict(title="clusters.json of a run folder")

    format: Literal[1] = 1
    by: str
    size: Tally
    seed: int
    encoder: str | None
    pool_sha256: Sha256
    clusters: tuple[ClusterEntry, ...]
    sha256: Sha256 = Field(description="Of the canonical JSON of the rest.")


class PickedLengths(Part):
    """Items of `low` to `high` characters (`high` None: and more), in the pool and among picks."""

    low: Tally
    high: Tally | None
    pool: Tally | None
    picks: Tally


class PickedTopic(Part):
    """A group of the pool whose vectors are near each other; `example`: the item in its middle."""

    example: str
    pool: Tally
    picks: Tally


class Likenesses(Part):
    """The mean cosine over all pairs of items. Lower is more diverse."""

    picks: Coefficient | None
    pool: Coefficient | None


class PicksPerCluster(Part):
    """In how many clusters so many items were selected."""

    picks: Tally
    clusters: Tally


class ClusterSpread(Part):
    """The clusters that the pool was divided into at first; `reached`: those with a pick.

    `rounds`: above 1 where the picks of these clusters were divided again, see by_model.
    """

    by: str | None
    clusters: Tally
    reached: Tally
    rounds: Tally
    picks: tuple[PicksPerCluster, ...]


class SelectionSummary(Document):
    """What a selection says: how many of how many, how, at which cost, and beside the pool.

    Everything of the pool is None or empty where its file is not there. `filled`: chosen at random.
    `whole`: selected with all others of their cluster, unasked. `calls`: replies behind it;
    `cost_usd`: what these cost when they came, None if any has no price.
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
        description="By place, how often what stood there was said to be better, of prompts that "
        "compare two or a few; absent for everything else.",
    )
