"""What a baseline file says, typed; nothing here computes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Number, Sha256, Share
from selectllm.core.strict import Count
from selectllm.utility.schema import ManifestUtility


class BaselineSettings(Part):
    """What a suite must say as the baseline's run did."""

    picks: Count
    orders: Count
    repeats: Count
    seed: int
    clusters: Mapping[str, Any]


class BaselineCluster(Part):
    """A cluster with the utility of its members, in their order."""

    id: Tally
    group: str | None
    members: tuple[str, ...] = Field(min_length=1, json_schema_extra={"uniqueItems": True})
    utility: tuple[Number, ...] = Field(description="Of the members, in their order.")


RecordedDecision = Annotated[
    tuple[int, int, Literal["ok", "repaired", "partial", "invalid", "refused"], tuple[str, ...]],
    Field(description="Order, repeat, status and picks."),
]


class DecidedCluster(Part):
    """What a pair picked of a cluster."""

    id: int
    gain: Share | None = Field(description="G; null where no picks can be better than others.")
    decisions: tuple[RecordedDecision, ...]


class BaselineEntry(Part):
    """What one pair did. `spec`: the model's settings."""

    prompt: str
    prompt_sha256: Sha256
    model: str
    spec: Mapping[str, Any]
    clusters: tuple[DecidedCluster, ...]


class BaselineFile(Document):
    """What each pair of a run picked.

    It is written a line for each cluster and pair (baseline.py), and its hash is of these rows;
    the JSON Schema is generated from these types.
    """

    model_config = ConfigDict(title="a baseline file")

    format: Literal[1] = 1
    suite: str
    pool_sha256: Sha256
    settings: BaselineSettings
    utility: ManifestUtility
    clusters: tuple[BaselineCluster, ...] = Field(min_length=1)
    entries: tuple[BaselineEntry, ...] = Field(min_length=1)
    sha256: Sha256 = Field(description="Of the canonical JSON of the rest.")
