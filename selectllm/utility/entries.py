"""What a suite says of a utility: one entry a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from selectllm.core.names import closest
from selectllm.core.strict import Count, JsonMapping, Name, Number, Strict, Switch
from selectllm.utility.schema import UtilityKind


class NamedEntry(Strict):
    """The keys that every utility has."""

    name: Name = Field(description="What results call the utility.")
    validation: Name | None = Field(
        default=None, description="A file that `utility validate` wrote about it."
    )


class TurnableEntry(NamedEntry):
    """A utility whose numbers may mean that lower is better."""

    higher_is_better: Switch = Field(
        default=True, description="false for numbers such as losses. Their sign is then turned."
    )


class RatingsEntry(TurnableEntry):
    """A numeric column of the pool, used as a utility."""

    source: Literal["ratings"] = Field(description="A column of the pool.")
    column: Name = Field(description="The column with the ratings.")
    kind: UtilityKind = Field(
        default="human",
        description="Where the ratings come from. human: people; model: a language model.",
    )
    rater: str | None = Field(default=None, description="Who or what rated.")
    range: tuple[Number, Number] | None = Field(
        default=None, description="The lowest and the highest rating that is possible."
    )


class KnnEntry(NamedEntry):
    """How useful the items' responses are for answering labelled test items. Always a proxy.

    By default, the columns of the test file have the same names as those of the pool, as far as the
    file has them.
    """

    source: Literal["knn"] = Field(description="KNN-Shapley values on test items.")
    test: Name = Field(description="A file with labelled test items.")
    columns: Mapping[str, str] = Field(
        default={},
        description="Which columns of the test file are the instruction, input and response.",
    )
    k: Count = Field(default=5, description="The number of nearest neighbours.")
    answer: Literal["cosine", "rouge-l"] = Field(
        default="cosine", description="How responses are compared."
    )


class ImportEntry(TurnableEntry):
    """Values in a separate file, such as `utility import`, `knn`, `ifd` and `student` write.

    A utility file itself contains what is left out here.
    """

    source: Literal["import"] = Field(description="A file of values.")
    file: Name = Field(description="A utility file, a ratings file or a table.")
    kind: UtilityKind | None = Field(
        default=None,
        description="Where the values come from. By default, what the file says, or human.",
    )
    rater: str | None = Field(default=None, description="Who or what the values come from.")
    range: tuple[Number, Number] | None = Field(
        default=None, description="The lowest and the highest value that is possible."
    )


class PairwiseEntry(NamedEntry):
    """Strengths computed from comparisons of two items. Only compared items have a value."""

    source: Literal["pairwise"] = Field(description="Comparisons of two items.")
    file: Name = Field(description="A table with the columns a, b and winner.")
    kind: UtilityKind = Field(default="human", description="Where the comparisons come from.")
    rater: str | None = Field(default=None, description="Who or what compared.")


class IfdEntry(NamedEntry):
    """Instruction-following difficulty. It is always a proxy."""

    source: Literal["ifd"] = Field(description="Instruction-following difficulty.")
    model: Name | None = Field(
        default=None, description="The language model. By default, the embedded one."
    )


class OwnEntry(TurnableEntry):
    """A utility that your own code computes. It is called with the pool and the `options`.

    The contract is `sources.UtilitySource`.
    """

    source: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] = Field(
        description="Your own code, as module:attr."
    )
    options: JsonMapping = Field(default={}, description="Arguments for your code.")


SOURCES = ("ratings", "knn", "import", "pairwise", "ifd")
OWN = "own"
NO_SOURCE = "no_source"


def _kind_of_entry(entry: Any) -> str | None:
    """The tag of an entry; None where its source is neither one of ours nor a reference."""
    source = entry.get("source") if isinstance(entry, Mapping) else getattr(entry, "source", None)
    if not isinstance(source, str):
        return None
    return OWN if ":" in source else source


UtilityEntry = Annotated[
    Annotated[RatingsEntry, Tag("ratings")]
    | Annotated[KnnEntry, Tag("knn")]
    | Annotated[ImportEntry, Tag("import")]
    | Annotated[PairwiseEntry, Tag("pairwise")]
    | Annotated[IfdEntry, Tag("ifd")]
    | Annotated[OwnEntry, Tag(OWN)],
    Discriminator(_kind_of_entry, custom_error_type=NO_SOURCE, custom_error_message="no source"),
]


def no_source(where: str, entry: Any) -> str:
    """What is wrong with an entry whose source is missing or unknown."""
    source = entry.get("source") if isinstance(entry, Mapping) else None
    if source is None:
        return f"'{where}.source' is missing. Write one of {', '.join(SOURCES)}"
    match = closest(str(source), SOURCES)
    hint = f"Did you mean {match!r}? " if match else ""
    return (
        f"{where}.source: {source!r} is none of {', '.join(SOURCES)}, or module:attr of your own. "
        f"{hint}What verbs of `utility` wrote to a file is source: import"
    )
