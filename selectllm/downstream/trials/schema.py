"""compare.json of `student compare`, typed; gains in nats, higher is better. Nothing computes."""

from __future__ import annotations

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
    """The gain per token and per item."""

    per_token: Number
    per_item: Number

    def by(self, aggregation: Aggregation) -> float:
        """That of one of them."""
        return self.per_token if aggregation == "per_token" else self.per_item


class GainNoise(Part):
    """How much gains vary without a reason, as standard deviations in nats.

    `sets` is the deviation between random sets, `seeds` that between trainings on the same set, and
    `items` the standard error of a gain that comes from the choice of the test items. They are null
    if they cannot be determined.

    The reliabilities say how well the order of all sets would repeat, from 0 to 1: with other
    training seeds, or with other tests. One set that is far from the others raises them.
    `random_reliability` is that of the random sets alone, with other training seeds.
    """

    sets: Number | None
    seeds: Number | None
    items: Number | None
    seed_reliability: Share | None
    test_reliability: Share | None
    random_reliability: Share | None = None


class GainDifference(Part):
    """One gain minus another, with its 95 % interval.

    The interval is null if the error is not known.
    """

    estimate: Number
    low: Number | None = None
    high: Number | None = None
    p: Share | None = Field(default=None, description="The two-sided p-value.")


class SelectorGain(Part):
    """The gain of one selector, averaged in one way.

    `gain` is the mean over its sets and trainings, compared with the student before training.
    `over_matched` is null if there are no such sets. `p_holm` is the p of `over_random`, adjusted
    for all selectors. `verdict` follows from it at 5 %. `worse_than_untrained` says whether
    training on the sets did harm, at 5 % after Holm's adjustment for all selectors. Both are null
    if verdicts are refused.
    """

    later: ClassVar[frozenset[str]] = frozenset({"over_untrained", "worse_than_untrained"})

    arm: str
    gain: Number
    over_untrained: GainDifference | None = Field(
        default=None, description="The gain itself, with its interval. Below 0, training did harm."
    )
    over_random: GainDifference = Field(description="The gain minus the mean of the random sets.")
    above: Share = Field(
        description="The share of random sets that gained less. A tie counts half."
    )
    over_matched: GainDifference | None = Field(
        default=None, description="The gain minus that of random items with as many tokens."
    )
    p_holm: Share | None = None
    verdict: TrialWord | None = None
    worse_than_untrained: bool | None = None


class GainComparison(Part):
    """All selectors, with gains averaged in one way."""

    noise: GainNoise
    refused: str | None = Field(description="Why there are no verdicts. Null if there are.")
    arms: tuple[SelectorGain, ...]


class GainComparisons(Part):
    """The comparison with gains per token and with gains per item."""

    per_token: GainComparison
    per_item: GainComparison

    def by(self, aggregation: Aggregation) -> GainComparison:
        """That by one of them."""
        return self.per_token if aggregation == "per_token" else self.per_item


class Foretellings(Part):
    """What predicts the gains per token and the gains per item."""

    per_token: tuple[ForetellingUtility, ...]
    per_item: tuple[ForetellingUtility, ...]

    def by(self, aggregation: Aggregation) -> tuple[ForetellingUtility, ...]:
        """Those by one of them."""
        return self.per_token if aggregation == "per_token" else self.per_item


class RunGains(Part):
    """The gains by training seed."""

    per_token: Mapping[str, Number]
    per_item: Mapping[str, Number]


class BandGains(Part):
    """The gains on short, medium and long test responses."""

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
    gain: BothGains = Field(description="The gain in nats, averaged over the trainings.")
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
    tests_sha256: Sha256 = Field(description="The hash of the test items.")
    student: str
    config: RecordedStudent
    learning_rate: LearningRateChoice | None
    agreement: Foretellings
