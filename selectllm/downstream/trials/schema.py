"""compare.json of `student compare`, typed; gains in nats, higher is better. Nothing computes."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from selectllm.core.choices import Aggregation
from selectllm.core.document import Document, Part
from selectllm.core.figures import Number, Sha256, Share
from selectllm.downstream.outcomes.schema import ForetellingUtility
from selectllm.downstream.student.schema import LearningRateChoice, Positive, TrainingSettings
from selectllm.evaluation.sets.schema import Budget

TrialWord = Literal["better", "worse", "inconclusive"]
Role = Literal["selector", "random", "matched", "block"]

DRAWN = "drawn at random"
"""The arm of random sets that no selector chose."""


class BothGains(Part):
    """By both aggregations."""

    per_token: Number
    per_item: Number

    def by(self, aggregation: Aggregation) -> float:
        """That of one of them."""
        return self.per_token if aggregation == "per_token" else self.per_item


class GainNoise(Part):
    """How far gains move without any reason, as standard deviations in nats.

    `sets`: between random sets; `seeds`: between trainings on one set; `items`: a gain's standard
    error for the draw of the test items. null where it cannot be known. The reliabilities say how
    far the order of all sets would repeat, 0 to 1: with other training seeds, with other tests.
    One set far from the rest lifts them; `random_reliability` is that of the random sets alone,
    with other training seeds.
    """

    sets: Number | None
    seeds: Number | None
    items: Number | None
    seed_reliability: Share | None
    test_reliability: Share | None
    random_reliability: Share | None = None


class GainDifference(Part):
    """A gain less another, with its interval of 95 %; null where no error is known."""

    estimate: Number
    low: Number | None = None
    high: Number | None = None
    p: Share | None = Field(default=None, description="Two-sided.")


class SelectorGain(Part):
    """One selector by one aggregation.

    `gain`: mean over its sets and trainings, over the student before training. `over_matched`: null
    without such sets. `p_holm`: of `over_random`, over all selectors. `verdict`: by it at 5 %; null
    if one is refused. `worse_than_untrained`: training on its sets did harm, at 5 % after Holm over
    all selectors; null if a verdict is refused.
    """

    later: ClassVar[frozenset[str]] = frozenset({"over_untrained", "worse_than_untrained"})

    arm: str
    gain: Number
    over_untrained: GainDifference | None = Field(
        default=None, description="The gain itself, with its interval; below 0: harm."
    )
    over_random: GainDifference = Field(description="Less the mean of the random sets.")
    above: Share = Field(description="Share of random sets that gained less, ties half.")
    over_matched: GainDifference | None = Field(
        default=None, description="Less random items of as many tokens."
    )
    p_holm: Share | None = None
    verdict: TrialWord | None = None
    worse_than_untrained: bool | None = None


class GainComparison(Part):
    """All selectors by one aggregation."""

    noise: GainNoise
    refused: str | None = Field(description="Why there are no verdicts.")
    arms: tuple[SelectorGain, ...]


class GainComparisons(Part):
    """By both aggregations."""

    per_token: GainComparison
    per_item: GainComparison

    def by(self, aggregation: Aggregation) -> GainComparison:
        """That by one of them."""
        return self.per_token if aggregation == "per_token" else self.per_item


class Foretellings(Part):
    """What foretells the gains, by both aggregations."""

    per_token: tuple[ForetellingUtility, ...]
    per_item: tuple[ForetellingUtility, ...]

    def by(self, aggregation: Aggregation) -> tuple[ForetellingUtility, ...]:
        """Those by one of them."""
        return self.per_token if aggregation == "per_token" else self.per_item


class RunGains(Part):
    """By training seed."""

    per_token: Mapping[str, Number]
    per_item: Mapping[str, Number]


class BandGains(Part):
    """On short, middling and long test responses."""

    per_token: tuple[Number, ...]
    per_item: tuple[Number, ...]


class TrainedSet(Part):
    """One set that students were trained on, and what they gained."""

    arm: str
    role: Role
    seed: int
    sha256: Sha256
    items: Positive
    learned_tokens: Positive
    gain: BothGains = Field(description="In nats, mean over trainings.")
    runs: RunGains
    bands: BandGains


class RecordedStudent(TrainingSettings):
    """How every student was trained."""

    model: str


class TrialFigures(Document):
    """What the trainings themselves show."""

    primary: Aggregation
    training_seeds: tuple[int, ...] = Field(min_length=1)
    test_tokens: Positive
    base_loss: BothGains
    comparisons: GainComparisons
    sets: tuple[TrainedSet, ...]


class StudentsCompared(TrialFigures):
    """What `student compare` found."""

    model_config = ConfigDict(title="compare.json of student compare")

    format: Literal[1] = 1
    suite: str
    pool_sha256: Sha256
    budget: Budget
    tests: Positive
    tests_sha256: Sha256 = Field(description="Of the test items.")
    student: str
    config: RecordedStudent
    learning_rate: LearningRateChoice | None
    agreement: Foretellings
