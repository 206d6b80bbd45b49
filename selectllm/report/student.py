"""A student's training and its scores on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.core.choices import Aggregation
from selectllm.downstream.student.schema import (
    AnswerSummary,
    CutExamples,
    LearningRateChoice,
    LengthBand,
    LossChange,
    MeanLoss,
    StudentPlan,
    StudentScores,
    TrainedStudent,
)
from selectllm.report.layout import add_row, table
from selectllm.report.wording import counted, explained, number

DIGITS = 3
BY: Mapping[Aggregation, tuple[str, str]] = {
    "per_token": (
        "loss per token",
        "The loss is in nats, and lower is better. Long responses count more than short ones.",
    ),
    "per_item": (
        "loss per item",
        "The loss is in nats, and lower is better. It is averaged over the responses, so that a "
        "short one counts as much as a long one.",
    ),
}
COLUMNS = {
    "items": "the number of responses of that length",
    "base": "the loss before training",
    "tuned": "the loss after training",
    "gain": "how much training lowered the loss. Higher is better",
}
"""What the columns of losses say."""


def plan_text(plan: StudentPlan) -> str:
    """What is going to be computed, and about how long it takes here."""
    parts = []
    if plan.trainings:
        parts.append(
            f"{counted(plan.trainings, 'training')} of {counted(plan.epochs, 'epoch')} with "
            f"{counted(plan.items, 'item')}, which are {counted(plan.tokens, 'token')} in all"
        )
    if plan.scored_tokens:
        tests = counted(plan.tests, "held-out item")
        parts.append(f"the scoring of {counted(plan.scored_tokens, 'token')} in {tests}")
    told = f"To compute: {' and '.join(parts)}" if parts else "Nothing is left to compute"
    rate = (
        f" ({plan.tokens_per_second:,.0f} tokens a second, measured)"
        if plan.tokens_per_second
        else ""
    )
    return f"{told}. This takes {about(plan.seconds)} here{rate}."


def about(seconds: float) -> str:
    """`about 12 seconds`, `about 5 minutes`, `about 2.5 hours`."""
    if seconds < 100:
        return f"about {counted(max(1, round(seconds)), 'second')}"
    if seconds < 6000:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.1f} hours"


def trained_text(trained: TrainedStudent, dev: int = 0) -> str:
    """What a training was, line by line; `dev`: items that its learning rate was chosen on."""
    plan, choice = trained.plan, trained.learning_rate
    lines = [
        f"The student was trained on {counted(plan.items, 'item')} in "
        f"{counted(plan.config.epochs, 'epoch')} of "
        f"{counted(plan.prompt_tokens + plan.response_tokens, 'token')}. It learned the "
        f"{plan.response_tokens:,} that belong to responses.",
        _cut(plan.cut, plan.config.max_length, "learned"),
    ]
    if choice is not None:
        lines += _rates(choice, dev)
    losses = ", ".join(number(loss, DIGITS) for loss in trained.losses)
    lines.append(f"The loss while each epoch ran was {losses} nats per learned token.")
    lines.append(f"The adapter is in {trained.folder}, after {trained.seconds:.1f} seconds.")
    return "\n".join(lines)


def _rates(choice: LearningRateChoice, dev: int) -> Iterator[str]:
    tried = ", ".join(f"{rate} {_loss(loss)}" for rate, loss in choice.losses.items())
    yield (
        f"The learning rate {choice.rate:g} was chosen on {counted(dev, 'dev item')}. Their loss "
        f"per token was {number(choice.base_loss, DIGITS)} before training, and with each rate: "
        f"{tried}."
    )
    if choice.edge is not None:
        yield (
            f"Note: It is the {choice.edge} rate that was tried. A better one may lie beyond: "
            "try it with --learning-rate and `student score` on the dev items."
        )
    best = choice.losses[f"{choice.rate:g}"]
    if best is not None and best >= choice.base_loss:
        yield "Note: On the dev items no rate was better than no training."


def _loss(loss: float | None) -> str:
    return "diverged" if loss is None else number(loss, DIGITS)


def _cut(cut: CutExamples, max_length: int, what: str) -> str:
    """`what`: what is not done with the tokens that did not fit."""
    parts = (
        (cut.prompt_tokens, cut.prompts, "prompt"),
        (cut.response_tokens, cut.responses, "response"),
    )
    lost = [
        f"{counted(tokens, 'token')} of {counted(examples, part)}"
        for tokens, examples, part in parts
        if examples
    ]
    if not lost:
        return f"Nothing was cut: all items fit into {max_length} tokens."
    return f"To fit into {max_length} tokens, these were cut and not {what}: {', '.join(lost)}."


def render_scores(scores: StudentScores) -> RenderableType:
    """Each mean loss by length of the response, then cuts and answers."""
    parts: list[RenderableType] = []
    for by in BY:
        parts += [_table(scores, by), Text()]
    return Group(*parts, *map(Text, _sentences(scores)))


def _table(scores: StudentScores, by: Aggregation) -> Table:
    tuned = scores.losses.tuned is not None
    whose = ("base", "tuned", "gain") if tuned else ("base",)
    title, meaning = BY[by]
    made = table(
        f"{title}, {scores.student}",
        f"{meaning}\n{explained(('items', *whose), COLUMNS)}",
        ["response"],
        ["items", *whose],
    )
    for band in scores.bands:
        add_row(made, _length(band), f"{band.items:,}", *_figures(band, by))
    add_row(made, "all", f"{len(scores.items):,}", *_figures(scores.losses, by))
    return made


def _figures(losses: LossChange, by: Aggregation) -> list[str]:
    """Before training, and if there was one, after it and what was gained."""
    means = (losses.base, losses.tuned, losses.gain)
    return [number(mean.by(by), DIGITS) for mean in means if mean is not None]


def _length(band: LengthBand) -> str:
    if band.up_to is None:
        return f"{band.above + 1:,} tokens or more"
    return f"{band.above + 1:,} to {band.up_to:,} tokens"


def _sentences(scores: StudentScores) -> Iterator[str]:
    yield (
        "The two losses may disagree on which of two students is better. Decide which one counts "
        "before you look."
    )
    if _opposed(scores.losses.gain):
        yield "Note: Here one says that training helped, and the other that it did harm."
    yield _cut(scores.cut, scores.max_length, "scored")
    if scores.answers is not None:
        yield _answers(scores.answers)


def _opposed(gain: MeanLoss | None) -> bool:
    if gain is None or gain.per_token is None or gain.per_item is None:
        return False
    return gain.per_token * gain.per_item < 0


def _answers(answers: AnswerSummary) -> str:
    cut = answers.cut_prompts
    return (
        f"{answers.stopped:,} of {counted(answers.answers, 'answer')} ended by themselves, the "
        f"others at {answers.new_tokens:,} tokens. Compared with the references they have, on "
        f"average, a ROUGE-L of {number(answers.rouge_l)} and a cosine of "
        f"{number(answers.cosine)}."
        + (f" {counted(cut, 'prompt')} had to be cut to leave room." if cut else "")
    )
