"""What our files say of a utility; nothing here computes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from selectllm.core.document import Document, Part, schema_of
from selectllm.core.figures import Coefficient, Number, Range, Sha256, Share
from selectllm.core.strict import Count, Name

UtilityKind = Literal["outcome", "human", "model", "proxy"]
Reliability = Annotated[
    int | float,
    Field(ge=0, le=1),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
"""Of values that come from elsewhere, and therefore checked."""
Standing = Literal["validated", "unvalidated"]


@dataclass(frozen=True, slots=True)
class ValidationSummary:
    """What validating a utility by training showed, in short (see utility/validation.py).

    `lds`: how far its sums over random subsets order what training on these gained, -1 to 1;
    `p`: one-sided, by permutation, that they say nothing of it; None where undefined. `subsets`:
    how many.
    """

    status: Standing
    lds: Coefficient | None
    p: Share | None
    subsets: Annotated[int, Field(ge=1)]


class UtilityOrigin(Part):
    """Where a utility comes from and how far it can be trusted.

    Files of earlier versions told its kind and its rater alone.
    """

    later: ClassVar[frozenset[str]] = frozenset({"source", "reliability", "ceiling", "validation"})

    kind: UtilityKind
    rater: str | None = Field(description="Who or what the values come from; null: nobody said.")
    source: str | None = Field(None, description="What computed it, such as ratings or knn.")
    reliability: Share | None = Field(None, description="How far the values would repeat.")
    ceiling: Share | None = Field(
        None,
        description="Square root of the reliability: no agreement can be expected above it.",
    )
    validation: ValidationSummary | None = Field(
        None, description="By training; null: nobody validated it."
    )


class UtilitySummary(UtilityOrigin):
    """A utility as it is named beside every figure that rests on it."""

    name: str


class DrawnSample(Part):
    """Clusters that were drawn at random for people to rate: the first of a seeded order."""

    clusters: Count = Field(description="How many were drawn.")
    of: Count = Field(description="From how many: those with more items than are picked.")
    seed: int = Field(description="Of the order.")
    clusters_sha256: Sha256 = Field(description="Of the items of all of these, in that order.")


class ManifestUtility(Part):
    """A utility as manifests and baselines describe it, with the hash of its values."""

    absent: ClassVar[frozenset[str]] = frozenset({"validation", "sample"})

    name: str
    source: str
    kind: UtilityKind
    rater: str | None
    reliability: Number | None
    range: Range | None
    sha256: Sha256
    validation: ValidationSummary | None = Field(
        default=None, description="By training; absent: nobody validated it."
    )
    sample: DrawnSample | None = Field(
        default=None,
        description="The clusters that were rated, where we drew them.",
        exclude_if=lambda sample: sample is None,
    )


class UtilitiesBegin(Part):
    """The first line of utilities.jsonl."""

    utilities: tuple[ManifestUtility, ...]


class UtilityValues(Part):
    """What the utilities of a run say of an item, by their names."""

    id: str
    values: Mapping[str, Number]


def utilities_schema() -> dict[str, Any]:
    """The JSON Schema of a line of utilities.jsonl."""
    return schema_of(UtilitiesBegin | UtilityValues, title="one line of utilities.jsonl")


class UtilityDescription(Part):
    """What the first line of a utility file says and its hash covers."""

    format: Literal[1] = 1
    name: str
    source: str = Field(description="What computed it: a utility source, or module:attr.")
    kind: UtilityKind
    rater: str | None = Field(description="Who or what the values come from; null: nobody said.")
    reliability: Reliability | None = Field(
        description="How far the values would repeat, on the scale of a correlation."
    )
    range: Range | None
    higher_is_better: Literal[True] = True
    pool_sha256: Sha256
    rows: Count = Field(description="How many lines follow.")


class UtilityHeader(UtilityDescription):
    """The same with what computing it took, and the hash.

    `pool_sha256`: of the pool that it was computed for.
    """

    cost: Mapping[str, Number] = Field(description="By unit, such as cpu_seconds; in no hash.")
    sha256: Sha256 = Field(description="Of everything else in the file but the cost.")


class UtilityFileBegin(Part):
    """The first line."""

    utility: UtilityHeader


class ItemValue(Part):
    """An item."""

    id: Name
    value: Number = Field(description="Higher is better.")


def utility_file_schema() -> dict[str, Any]:
    """The JSON Schema of a line of a utility file."""
    return schema_of(UtilityFileBegin | ItemValue, title="one line of a utility file")


class UtilitySaved(Document):
    """What `utility knn --json`, `ifd` and `student` print: a utility file, without its values.

    `pool`: what it is a utility of, where that was written beside it.
    """

    absent: ClassVar[frozenset[str]] = frozenset({"pool"})

    file: str
    name: str
    kind: UtilityKind
    rater: str | None
    reliability: Share | None
    items: Count
    cost: Mapping[str, Number] = Field(description="By unit, such as cpu_seconds.")
    sha256: Sha256 = Field(description="As the header of the file has it.")
    pool: str | None = None


class Correlation(Part):
    """Spearman's, -1 to 1, with its two-sided `p` and interval of 95 %; null where undefined."""

    value: Coefficient | None = None
    p: Share | None = None
    low: Number | None = None
    high: Number | None = None


class Validation(Document):
    """How far the sums of a utility over random subsets foretold what training on them gained.

    `status`: validated if `lds` is above 0 with `p_above` at most .05. `notes`: why it is not, and
    what else to know.
    """

    utility: str
    utility_sha256: Sha256 = Field(description="Of its values.")
    pool_sha256: Sha256
    student: str = Field(description="What was trained.")
    size: int = Field(ge=1, description="Items of a subset.")
    subsets: int = Field(ge=1)
    status: Standing
    lds: Correlation = Field(
        Correlation(),
        description="The linear datamodelling score: Spearman of the utility's sums over the "
        "subsets with what training on them gained.",
    )
    p_above: Share | None = Field(None, description="Of lds, one-sided, by permutation.")
    partial: Correlation = Field(
        Correlation(), description="lds given the tokens that were learned."
    )
    tokens: Correlation = Field(Correlation(), description="Of these tokens alone with the gains.")
    reliability: Share | None = Field(
        None, description="Of the gains over training seeds, 0 to 1; null: unknown."
    )
    gain: Literal["per_token", "per_item"] | None = Field(
        None, description="How a gain is a mean over the test items."
    )
    tests_sha256: Sha256 | None = Field(None, description="Of the test items.")
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> ValidationSummary:
        """What is printed beside every agreement with the utility."""
        return ValidationSummary(self.status, self.lds.value, self.p_above, self.subsets)


class ValidationFile(Validation):
    """A validation as its file holds it."""

    model_config = ConfigDict(
        title="a validation of a utility, as `selectllm utility validate` writes it"
    )

    format: Literal[1] = 1
    sha256: Sha256 = Field(description="Of the rest.")


class Validations(Document):
    """What `utility validate` found of every utility, all on the same subsets."""

    format: Literal[1] = 1
    validations: tuple[Validation, ...]


class PreferenceAgreement(Part):
    """Of pairs of items in one cluster of which people prefer one.

    `odds`: what one standard deviation of the judge's differences multiplies the odds by that
    people prefer the item, 1: nothing (Bradley and Terry); null where the judge orders every pair
    as people do, or has no preferences.
    """

    pairs: Count | Literal[0]
    agree: Share | None = Field(description="The judge prefers the same; no preference is half.")
    odds: Number | None


class Leaning(Part):
    """Spearman's correlation of ratings with something that should not matter."""

    human: Correlation
    judge: Correlation
    excess: Correlation = Field(description="Of what the judge gives more than people.")


class Disagreement(Part):
    """An item that the judge and people rate differently. `judge`: on people's scale."""

    id: str
    instruction: str = Field(description="Its beginning.")
    human: Number
    judge: Number
    difference: Number = Field(description="By how much the judge rates it higher.")


class JudgeSavings(Part):
    """What the judge saves where it helps people's ratings (gate.assisted_by).

    `correlation`: of d of two random pickers, in the clusters that people rated in full; null:
    there are none. `saved`: the share of human ratings at ten judged clusters for each rated one.
    """

    clusters: Count | Literal[0]
    correlation: Coefficient | None
    saved: Share | None


class Calibration(Document):
    """How a judge rates the items that people have rated.

    `scale`: on which values are compared, people's; null: the two are not on one scale, or it is
    not known, and what needs one is null, differences being in standard deviations.
    """

    model_config = ConfigDict(title="what `selectllm utility calibrate --json` prints")

    format: Literal[1] = 1
    suite: str
    human: UtilitySummary
    judge: UtilitySummary
    items: Count = Field(description="That both rated.")
    unjudged: int = Field(ge=0, description="That people rated and the judge did not.")
    scale: Range | None
    alpha: Number | None = Field(description="Krippendorff's, interval level.")
    kappa: Number | None = Field(description="Cohen's, quadratic weights.")
    spearman: Correlation
    mean_difference: Number | None = Field(description="Judge less people.")
    preferences: PreferenceAgreement
    length: Leaning = Field(description="With the characters of instruction and input.")
    position: Leaning = Field(description="With the place in the pool.")
    disagreements: tuple[Disagreement, ...] = Field(description="The largest first.")
    savings: JudgeSavings
    notes: tuple[str, ...] = ()
