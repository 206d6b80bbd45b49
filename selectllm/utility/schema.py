"""What our files say of a utility; nothing here computes."""

from __future__ import annotations

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
    """The result of checking a utility against training results, in short.

    `lds` says how well the sums of the utility over random subsets order the gains from training on
    these subsets, from -1 to 1. `p` is one-sided, by permutation: the probability of such an `lds`
    or a higher one if the sums say nothing about the gains. Both are null if they are not defined.
    `subsets` is the number of subsets.
    """

    status: Standing
    lds: Coefficient | None
    p: Share | None
    subsets: Annotated[int, Field(ge=1)]


class UtilityOrigin(Part):
    """Where a utility comes from and how far it can be trusted.

    Files of earlier versions contain only its kind and its rater.
    """

    later: ClassVar[frozenset[str]] = frozenset({"source", "reliability", "ceiling", "validation"})

    kind: UtilityKind
    rater: str | None = Field(description="Who or what the values come from. Null if nobody said.")
    source: str | None = Field(
        None, description="What computed the values, such as ratings or knn."
    )
    reliability: Share | None = Field(None, description="How well the values would repeat.")
    ceiling: Share | None = Field(
        None,
        description="The square root of the reliability. No agreement can be expected to be "
        "higher.",
    )
    validation: ValidationSummary | None = Field(
        None, description="The check against training results. Null if nobody has validated it."
    )


class UtilitySummary(UtilityOrigin):
    """What is said about a utility beside every figure that depends on it."""

    name: str


class DrawnSample(Part):
    """Clusters that were drawn at random for people to rate.

    They are the first clusters of a seeded order.
    """

    clusters: Count = Field(description="The number of clusters that were drawn.")
    of: Count = Field(
        description="The number of clusters that they were drawn from: those with more items than "
        "are picked."
    )
    seed: int = Field(description="The seed of the order.")
    clusters_sha256: Sha256 = Field(
        description="The hash of the items of all these clusters, in that order."
    )


class ManifestUtility(Part):
    """A utility in a manifest or a baseline, with the hash of its values."""

    absent: ClassVar[frozenset[str]] = frozenset({"validation", "sample"})

    name: str
    source: str
    kind: UtilityKind
    rater: str | None
    reliability: Number | None
    range: Range | None
    sha256: Sha256
    validation: ValidationSummary | None = Field(
        default=None,
        description="The check against training results. Absent if nobody has validated it.",
    )
    sample: DrawnSample | None = Field(
        default=None,
        description="The clusters that were rated, if `utility ask` drew them.",
        exclude_if=lambda sample: sample is None,
    )


class UtilitiesBegin(Part):
    """The first line of utilities.jsonl."""

    utilities: tuple[ManifestUtility, ...]


class UtilityValues(Part):
    """The values of an item, by the name of the utility."""

    id: str
    values: Mapping[str, Number]


def utilities_schema() -> dict[str, Any]:
    """The JSON Schema of a line of utilities.jsonl."""
    return schema_of(UtilitiesBegin | UtilityValues, title="one line of utilities.jsonl")


class UtilityDescription(Part):
    """What the first line of a utility file says, as far as its hash covers it."""

    format: Literal[1] = 1
    name: str
    source: str = Field(description="What computed the values: a utility source, or module:attr.")
    kind: UtilityKind
    rater: str | None = Field(description="Who or what the values come from. Null if nobody said.")
    reliability: Reliability | None = Field(
        description="How well the values would repeat, on the scale of a correlation."
    )
    range: Range | None
    higher_is_better: Literal[True] = True
    pool_sha256: Sha256
    rows: Count = Field(description="The number of lines that follow.")


class UtilityHeader(UtilityDescription):
    """What a utility is, what it took to compute it, and the hash.

    `pool_sha256` is the hash of the pool that it was computed for.
    """

    cost: Mapping[str, Number] = Field(
        description="The cost by unit, such as cpu_seconds. No hash covers it."
    )
    sha256: Sha256 = Field(description="The hash of everything else in the file except the cost.")


class UtilityFileBegin(Part):
    """The first line of the file."""

    utility: UtilityHeader


class ItemValue(Part):
    """An item with its value."""

    id: Name
    value: Number = Field(description="Higher is better.")


def utility_file_schema() -> dict[str, Any]:
    """The JSON Schema of a line of a utility file."""
    return schema_of(UtilityFileBegin | ItemValue, title="one line of a utility file")


class UtilitySaved(Document):
    """What `utility knn --json`, `ifd` and `student` print: a utility file without its values.

    `pool` is the pool of the values, if it was written beside them.
    """

    absent: ClassVar[frozenset[str]] = frozenset({"pool"})

    file: str
    name: str
    kind: UtilityKind
    rater: str | None
    reliability: Share | None
    items: Count
    cost: Mapping[str, Number] = Field(description="The cost by unit, such as cpu_seconds.")
    sha256: Sha256 = Field(description="The hash in the first line of the file.")
    pool: str | None = None


class Correlation(Part):
    """Spearman's correlation from -1 to 1, with its two-sided `p` and 95 % interval.

    Null if it is not defined.
    """

    value: Coefficient | None = None
    p: Share | None = None
    low: Number | None = None
    high: Number | None = None


class Validation(Document):
    """How well a utility's sums over random subsets predicted the gains from training on them.

    `status` is validated if `lds` is above 0 and `p_above` is at most .05. `notes` say why it is
    not, and what else there is to know.
    """

    utility: str
    utility_sha256: Sha256 = Field(description="The hash of the values of the utility.")
    pool_sha256: Sha256
    student: str = Field(description="The model that was trained.")
    size: int = Field(ge=1, description="The number of items in a subset.")
    subsets: int = Field(ge=1)
    status: Standing
    lds: Correlation = Field(
        Correlation(),
        description="The linear datamodelling score: Spearman's correlation of the utility's sums "
        "over the subsets with the gains from training on them.",
    )
    p_above: Share | None = Field(None, description="The one-sided p-value of lds, by permutation.")
    partial: Correlation = Field(
        Correlation(), description="lds with the number of learned tokens held constant."
    )
    tokens: Correlation = Field(
        Correlation(),
        description="The correlation of the number of learned tokens alone with the gains.",
    )
    reliability: Share | None = Field(
        None,
        description="How well the gains repeat with other training seeds, from 0 to 1. Null if it "
        "is not known.",
    )
    gain: Literal["per_token", "per_item"] | None = Field(
        None, description="How a gain is averaged over the test items."
    )
    tests_sha256: Sha256 | None = Field(None, description="The hash of the test items.")
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> ValidationSummary:
        """What is printed beside every agreement with the utility."""
        return ValidationSummary(self.status, self.lds.value, self.p_above, self.subsets)


class ValidationFile(Validation):
    """The validation of a utility, as it is stored in a file."""

    model_config = ConfigDict(
        title="a validation of a utility, as `selectllm utility validate` writes it"
    )

    format: Literal[1] = 1
    sha256: Sha256 = Field(description="The hash of everything else in the file.")


class Validations(Document):
    """What `utility validate` found about each utility, all on the same subsets."""

    format: Literal[1] = 1
    validations: tuple[Validation, ...]


class PreferenceAgreement(Part):
    """How often the judge prefers the same item of a pair in one cluster as people do.

    `odds` is the factor by which one standard deviation of the judge's differences changes the odds
    that people prefer the item (Bradley and Terry); 1 means that the judge's ratings do not matter.
    It is null if the judge orders every pair as people do, or has no preferences.
    """

    pairs: Count | Literal[0]
    agree: Share | None = Field(
        description="The share of pairs in which the judge prefers the same item. If it prefers "
        "neither, the pair counts half."
    )
    odds: Number | None


class Leaning(Part):
    """Spearman's correlation of the ratings with something that should not matter."""

    human: Correlation
    judge: Correlation
    excess: Correlation = Field(
        description="The correlation of the difference between the judge's and people's ratings."
    )


class Disagreement(Part):
    """An item that the judge and people rate differently.

    `judge` is the judge's rating on people's scale.
    """

    id: str
    instruction: str = Field(description="The beginning of the instruction.")
    human: Number
    judge: Number
    difference: Number = Field(description="How much higher the judge rates it.")


class JudgeSavings(Part):
    """What the judge saves if it supplements people's ratings (gate.assisted_by).

    `correlation` is that of the d of two random pickers, in the clusters that people rated in full.
    It is null if there are none. `saved` is the share of human ratings that is saved with ten
    judged clusters for each rated one.
    """

    clusters: Count | Literal[0]
    correlation: Coefficient | None
    saved: Share | None


class Calibration(Document):
    """How a judge rates the items that people have rated.

    `scale` is people's scale, on which values are compared. It is null if the two are not on one
    scale, or if that is not known. What needs a common scale is then null, and differences are in
    standard deviations.
    """

    model_config = ConfigDict(title="what `selectllm utility calibrate --json` prints")

    format: Literal[1] = 1
    suite: str
    human: UtilitySummary
    judge: UtilitySummary
    items: Count = Field(description="The number of items that both rated.")
    unjudged: int = Field(
        ge=0, description="The number of items that people rated and the judge did not."
    )
    scale: Range | None
    alpha: Number | None = Field(description="Krippendorff's alpha for interval data.")
    kappa: Number | None = Field(description="Cohen's kappa with quadratic weights.")
    spearman: Correlation
    mean_difference: Number | None = Field(description="The judge's mean rating minus people's.")
    preferences: PreferenceAgreement
    length: Leaning = Field(
        description="The correlation with the number of characters in the instruction and input."
    )
    position: Leaning = Field(description="The correlation with the item's place in the pool.")
    disagreements: tuple[Disagreement, ...] = Field(
        description="The items with the largest differences, starting with the largest."
    )
    savings: JudgeSavings
    notes: tuple[str, ...] = ()
