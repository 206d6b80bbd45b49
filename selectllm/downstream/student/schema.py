"""student_scores.json and what a training was, typed; losses in nats, lower is better.

Gains are the base model's loss less the student's, higher is better. Nothing here computes.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from selectllm.core.choices import Aggregation
from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Number, Sha256, Share
from selectllm.core.strict import Name

Positive = Annotated[int, Field(ge=1)]


class TrainingSettings(Part):
    """How a student was trained, whatever its model."""

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
    """The learning rate that did best on the dev items."""

    rate: Number
    base_loss: Number
    losses: Mapping[str, Number | None] = Field(
        description="Per token on the dev items, by rate; null where training diverged."
    )
    edge: Literal["lowest", "highest"] | None


class CutExamples(Part):
    """Examples that were cut to fit, and the tokens that they lost."""

    prompts: Tally
    prompt_tokens: Tally
    responses: Tally
    response_tokens: Tally


class TrainedConfig(SeededTraining):
    """How one student was trained, with what its model was called."""

    model: str


class TrainedPlan(Part):
    """What a training was to do; tokens are those of one epoch."""

    identity: Name = Field(description="Name and hash of the base model.")
    config: TrainedConfig
    items_sha256: Sha256 = Field(description="Of ids and texts, whatever their order.")
    items: Positive
    prompt_tokens: Tally
    response_tokens: Positive = Field(description="Those that are learned.")
    cut: CutExamples
    asked: tuple[str, ...]
    template: Sha256 = Field(description="Of the text that lays an item out.")


class TrainedManifest(Document):
    """What student.json says of a finished training."""

    model_config = ConfigDict(title="student.json of a trained student")

    plan: TrainedPlan
    losses: tuple[Number, ...] = Field(description="By epoch, while it ran.")
    adapter_sha256: Sha256


class TrainedStudent(TrainedManifest):
    """What `student train --json` prints: the manifest, with folder, choice and time."""

    model_config = ConfigDict(title="what `selectllm student train --json` prints")

    folder: str
    learning_rate: LearningRateChoice | None = Field(description="null: it was named.")
    seconds: Number


class MeanLoss(Part):
    """Nats per token; null for a band without items."""

    per_token: Number | None
    per_item: Number | None

    def by(self, aggregation: Aggregation) -> float | None:
        """That of one of them."""
        return self.per_token if aggregation == "per_token" else self.per_item


class LossChange(Part):
    """Both means before training, after it, and what was gained; null of a base model alone."""

    base: MeanLoss
    tuned: MeanLoss | None
    gain: MeanLoss | None = Field(description="base less tuned, higher is better")


class LengthBand(LossChange):
    """Items with more than `above` and up to `up_to` response tokens."""

    above: Tally
    up_to: int | None = Field(description="null: any number")
    items: Tally


class ItemLoss(Part):
    """What the response of one item costs."""

    id: Name
    tokens: Positive = Field(description="of the response, its end token among them")
    base: Number = Field(description="nats, summed over the tokens")
    tuned: Number | None


class AnswerSummary(Part):
    """Counts, and means over all answers."""

    answers: Positive
    new_tokens: Positive
    stopped: Tally = Field(description="ended by the student itself")
    cut_prompts: Tally
    rouge_l: Share
    cosine: Number


class ScoredTraining(Part):
    """What the scored student was trained with, and on what."""

    adapter_sha256: Sha256
    config: SeededTraining
    items: Positive
    items_sha256: Sha256 = Field(description="of ids and texts, whatever their order")
    learned_tokens: Positive


class StudentScores(Document):
    """Losses of every test item, their means, and what was gained."""

    model_config = ConfigDict(title="scores of a student on held-out items")

    format: Literal[1] = 1
    student: Name = Field(description="name and hash of the base model")
    template: Sha256 = Field(description="of the text that lays an item out")
    max_length: Positive = Field(description="tokens of an item at most")
    training: ScoredTraining | None = Field(description="null: the base model alone was scored")
    tests_sha256: Sha256 = Field(description="of ids and texts, whatever their order")
    losses: LossChange
    bands: tuple[LengthBand, ...] = Field(
        min_length=1, description="by tokens of the response, shortest first"
    )
    cut: CutExamples = Field(description="examples that were cut, and tokens that were not scored")
    items: tuple[ItemLoss, ...] = Field(min_length=1)
    answers: AnswerSummary | None = Field(description="counts, and means over all answers")


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
