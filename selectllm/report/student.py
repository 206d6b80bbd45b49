"""A student's training and its scores on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.downstream.student.schema import (
    Aggregation,
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
from selectllm.report.wording import counted, number

DIGITS = 3
BY: Mapping[Aggregation, tuple[str, str]] = {
    "per_token": ("loss per token", "nats, lower is better; long responses count more"),
    "per_item": (
        "loss per item",
        "the mean of each response's own loss per token; a short one counts as much",
    ),
}


def plan_text(plan: StudentPlan) -> str:
    """What is going to be computed, and about how long it takes here."""
    parts = []
    if plan.trainings:
        parts.append(
            f"{counted(plan.trainings, 'training')} with {counted(plan.items, 'item')} in "
            f"{counted(plan.epochs, 'epoch')}, {counted(plan.tokens, 'token')} in all"
        )
    if plan.scored_tokens:
        tests = counted(plan.tests, "held-out item")
        parts.append(f"{counted(plan.scored_tokens, 'token')} of {tests} to score")
    told = "; ".join(parts) or "nothing is left to compute"
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
        f"{counted(plan.items, 'item')}, {counted(plan.config.epochs, 'epoch')} of "
        f"{counted(plan.prompt_tokens + plan.response_tokens, 'token')}, "
        f"{plan.response_tokens:,} of them learned",
        _cut(plan.cut, plan.config.max_length, "learned"),
    ]
    if choice is not None:
        lines += _rates(choice, dev)
    losses = ", ".join(number(loss, DIGITS) for loss in trained.losses)
    lines.append(f"loss by epoch, while it ran: {losses} nats a learned token")
    lines.append(f"adapter: {trained.folder}, after {trained.seconds:.1f} seconds")
    return "\n".join(lines)


def _rates(choice: LearningRateChoice, dev: int) -> Iterator[str]:
    tried = ", ".join(f"{rate} {_loss(loss)}" for rate, loss in choice.losses.items())
    yield (
        f"learning rate {choice.rate:g}, chosen on {counted(dev, 'dev item')}; their loss per "
        f"token: {tried}; before training {number(choice.base_loss, DIGITS)}"
    )
    if choice.edge is not None:
        yield (
            f"Note: It is the {choice.edge} rate that was tried. A better one may lie beyond: "
            "try it with --learning-rate and `student score` on the dev items"
        )
    best = choice.losses[f"{choice.rate:g}"]
    if best is not None and best >= choice.base_loss:
        yield "Note: On the dev items no rate was better than no training"


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
        return f"nothing was cut: all fit into {max_length} tokens"
    return f"cut to fit into {max_length} tokens, and not {what}: {', '.join(lost)}"


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
        meaning
        + "; items: responses of that length; base: before training"
        + ("; tuned: after it; gain: base less tuned, higher is better" if tuned else ""),
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
        "the two losses disagree, at times on which of two students is better: name one before "
        "you look"
    )
    if _opposed(scores.losses.gain):
        yield "Note: Here one says that training helped, the other that it did harm"
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
        f"answers: {answers.stopped:,} of {answers.answers:,} stopped by themselves, the "
        f"others at {answers.new_tokens:,} tokens; with the references, on the mean: ROUGE-L "
        f"{number(answers.rouge_l)}, cosine {number(answers.cosine)}"
        + (f"; {counted(cut, 'prompt')} cut to leave room" if cut else "")
    )
