"""student_scores.json and what a training was, typed; losses in nats, lower is better.

Gains are the base model's loss less the student's, higher is better. Nothing here computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from selectllm.core.choices import Aggregation
from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Number, Sha256, Share
from selectllm.core.strict import Name

Positive = Annotated[int, Field(ge=1)]


class TrainingSettings(Part):
    """How a student was trained, whatever its model is."""

    mode: Literal["fast", "full"]
    rank: Positive
    alpha: Positive
    epochs: Positive
    batch_size: Positive
    max_length: Positive
    blocks: Positive
    learning_rate: Number


class SeededTraining(TrainingSettings):
    """How one student was trained."""

    seed: Tally


class LearningRateChoice(Document):
    """The learning rate that gave the lowest loss on the dev items."""

    rate: Number
    base_loss: Number
    losses: Mapping[str, Number | None] = Field(
        description="The loss per token on the dev items, by learning rate. Null if training "
        "diverged."
    )
    edge: Literal["lowest", "highest"] | None


class CutExamples(Part):
    """How many examples were cut to fit, and how many tokens they lost."""

    prompts: Tally
    prompt_tokens: Tally
    responses: Tally
    response_tokens: Tally


class TrainedConfig(SeededTraining):
    """How one student was trained, with the name of its model."""

    model: str


class TrainedPlan(Part):
    """What a training was to do. Tokens are those of one epoch."""

    identity: Name = Field(description="The name and hash of the base model.")
    config: TrainedConfig
    items_sha256: Sha256 = Field(description="The hash of the ids and texts, whatever their order.")
    items: Positive
    prompt_tokens: Tally
    response_tokens: Positive = Field(description="The number of tokens that are learned.")
    cut: CutExamples
    asked: tuple[str, ...]
    template: Sha256 = Field(description="The hash of the template that turns an item into text.")


class TrainedManifest(Document):
    """What student.json says about a finished training."""

    model_config = ConfigDict(title="student.json of a trained student")

    plan: TrainedPlan
    losses: tuple[Number, ...] = Field(description="The mean loss of each epoch during training.")
    adapter_sha256: Sha256


class TrainedStudent(TrainedManifest):
    """What `student train --json` prints: the manifest, the folder, the rate and the time."""

    model_config = ConfigDict(title="what `selectllm student train --json` prints")

    folder: str
    learning_rate: LearningRateChoice | None = Field(
        description="How the rate was chosen. Null if it was given."
    )
    seconds: Number


class MeanLoss(Part):
    """Mean losses in nats per token. They are null for a band without items."""

    per_token: Number | None
    per_item: Number | None

    def by(self, aggregation: Aggregation) -> float | None:
        """That of one of them."""
        return self.per_token if aggregation == "per_token" else self.per_item


class LossChange(Part):
    """Mean losses before and after training, and the gain.

    For a base model alone, `tuned` and `gain` are null.
    """

    base: MeanLoss
    tuned: MeanLoss | None
    gain: MeanLoss | None = Field(description="base minus tuned. Higher is better.")


class LengthBand(LossChange):
    """The items with more than `above` and at most `up_to` response tokens."""

    above: Tally
    up_to: int | None = Field(description="Null means that there is no upper limit.")
    items: Tally


class ItemLoss(Part):
    """The loss on the response of one item."""

    id: Name
    tokens: Positive = Field(
        description="The number of tokens in the response, including its end token."
    )
    base: Number = Field(description="The loss in nats, summed over the tokens.")
    tuned: Number | None


class AnswerSummary(Part):
    """The number of generated answers, and means over all of them."""

    answers: Positive
    new_tokens: Positive
    stopped: Tally = Field(description="How many answers the student ended by itself.")
    cut_prompts: Tally
    rouge_l: Share
    cosine: Number


class ScoredTraining(Part):
    """How the scored student was trained, and on which items."""

    adapter_sha256: Sha256
    config: SeededTraining
    items: Positive
    items_sha256: Sha256 = Field(description="The hash of the ids and texts, whatever their order.")
    learned_tokens: Positive


class StudentScores(Document):
    """The losses of all test items, their means, and the gain from training."""

    model_config = ConfigDict(title="scores of a student on held-out items")

    format: Literal[1] = 1
    student: Name = Field(description="The name and hash of the base model.")
    template: Sha256 = Field(description="The hash of the template that turns an item into text.")
    max_length: Positive = Field(description="The largest number of tokens of an item.")
    training: ScoredTraining | None = Field(
        description="How the student was trained. Null if only the base model was scored."
    )
    tests_sha256: Sha256 = Field(description="The hash of the ids and texts, whatever their order.")
    losses: LossChange
    bands: tuple[LengthBand, ...] = Field(
        min_length=1,
        description="The results by the number of response tokens, starting with the shortest.",
    )
    cut: CutExamples = Field(
        description="How many examples were cut, and how many tokens were therefore not scored."
    )
    items: tuple[ItemLoss, ...] = Field(min_length=1)
    answers: AnswerSummary | None = Field(description="Counts and means for all generated answers.")


class StudentPlan(Part):
    """What is going to be computed at most, and about how long that takes on this machine.

    `items`: different ones. `trainings`: how often a set of them is trained on, each time in
    `epochs` epochs; `tokens`: that all of this takes. `tests`: held-out items; `scored_tokens`: of
    theirs, each time counted. `seconds`: of all of it, one training at a time.
    `tokens_per_second`: of training, or of scoring where nothing is trained, as measured; 0 if
    nothing is due.
    """

    items: Tally
    trainings: Tally
    epochs: Tally
    tokens: Tally
    tests: Tally
    scored_tokens: Tally
    seconds: float
    tokens_per_second: float
