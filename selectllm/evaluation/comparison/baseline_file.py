"""What a baseline file says, typed; nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Number, Sha256, Share
from selectllm.core.strict import Count
from selectllm.utility.schema import ManifestUtility


class BaselineSettings(Part):
    """The settings of the baseline's run, which a suite must share to be compared with it."""

    picks: Count
    orders: Count
    repeats: Count
    seed: int
    clusters: Mapping[str, Any]


class BaselineCluster(Part):
    """A cluster with the utility of each of its members."""

    id: Tally
    group: str | None
    members: tuple[str, ...] = Field(min_length=1, json_schema_extra={"uniqueItems": True})
    utility: tuple[Number, ...] = Field(
        description="The utility of each member, in the order of `members`."
    )


RecordedDecision = Annotated[
    tuple[int, int, Literal["ok", "repaired", "partial", "invalid", "refused"], tuple[str, ...]],
    Field(description="The order, the repeat, the status and the picks of one decision."),
]


class DecidedCluster(Part):
    """What a pair picked in a cluster."""

    id: int
    gain: Share | None = Field(
        description="G, the gain of the picks. It is null if no picks can be better than others."
    )
    decisions: tuple[RecordedDecision, ...]


class BaselineEntry(Part):
    """What one pair picked.

    `spec` holds the settings of the model.
    """

    prompt: str
    prompt_sha256: Sha256
    model: str
    spec: Mapping[str, Any]
    clusters: tuple[DecidedCluster, ...]


class BaselineFile(Document):
    """What each pair of a run picked.

    The file has one line for each cluster and each pair, and its hash covers these lines. The JSON
    Schema is generated from these types.
    """

    model_config = ConfigDict(title="a baseline file")

    format: Literal[1] = 1
    suite: str
    pool_sha256: Sha256
    settings: BaselineSettings
    utility: ManifestUtility
    clusters: tuple[BaselineCluster, ...] = Field(min_length=1)
    entries: tuple[BaselineEntry, ...] = Field(min_length=1)
    sha256: Sha256 = Field(
        description="The hash of the canonical JSON of everything else in the file."
    )
