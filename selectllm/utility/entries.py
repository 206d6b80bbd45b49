"""What a suite says of a utility: one entry a source."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from selectllm.core.names import closest
from selectllm.core.strict import Count, JsonMapping, Name, Number, Strict, Switch
from selectllm.utility.schema import UtilityKind


class NamedEntry(Strict):
    """The keys that every utility has.

    `validation` is a file that `utility validate` wrote about it.
    """

    name: Name
    validation: Name | None = None


class TurnableEntry(NamedEntry):
    """Use `higher_is_better: false` for numbers such as losses. Their sign is then turned."""

    higher_is_better: Switch = True


class RatingsEntry(TurnableEntry):
    """A numeric column of the pool, used as a utility."""

    source: Literal["ratings"]
    column: Name
    kind: UtilityKind = "human"
    rater: str | None = None
    range: tuple[Number, Number] | None = None


class KnnEntry(NamedEntry):
    """How useful the items' responses are for answering labelled test items. Always a proxy.

    `columns` maps canonical names to the columns of the test file. By default, they are those of
    the pool, as far as the file has them.
    """

    source: Literal["knn"]
    test: Name
    columns: Mapping[str, str] = {}
    k: Count = 5
    answer: Literal["cosine", "rouge-l"] = "cosine"


class ImportEntry(TurnableEntry):
    """Values in a separate file, such as `utility import`, `knn`, `ifd` and `student` write.

    A utility file itself contains what is left out here. For other files, the default of `kind` is
    human.
    """

    source: Literal["import"]
    file: Name
    kind: UtilityKind | None = None
    rater: str | None = None
    range: tuple[Number, Number] | None = None


class PairwiseEntry(NamedEntry):
    """Strengths computed from comparisons of two items. Only compared items have a value."""

    source: Literal["pairwise"]
    file: Name
    kind: UtilityKind = "human"
    rater: str | None = None


class IfdEntry(NamedEntry):
    """Instruction-following difficulty. It is always a proxy.

    `model` is the language model, as in the strategy `ifd:LM`. By default, it is the embedded one.
    """

    source: Literal["ifd"]
    model: Name | None = None


class OwnEntry(TurnableEntry):
    """A utility that your own code computes.

    `source` is `module:attr`, which is called with the pool and the `options`. The contract is
    `sources.UtilitySource`.
    """

    source: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    options: JsonMapping = Field(default={})


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
