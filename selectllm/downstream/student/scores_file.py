"""What a student's scores are: losses of every test item, their means, what was gained.

Losses are in nats, lower is better; gains are the base model's loss less the student's, higher is
better. What there is none of is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selectllm.core.arrays import Floats
from selectllm.core.types import Item
from selectllm.downstream.student.adapter import Manifest, items_sha256
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.generation import Answer
from selectllm.downstream.student.network import Student
from selectllm.downstream.student.schema import (
    AnswerSummary,
    CutExamples,
    ItemLoss,
    LengthBand,
    LossChange,
    MeanLoss,
    ScoredTraining,
    SeededTraining,
    StudentScores,
)
from selectllm.downstream.student.score import Band, ResponseLoss, length_edges
from selectllm.downstream.student.template import TEMPLATE, Cut


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered, and how like the references: (n,) ROUGE-L and cosine of each."""

    answers: Sequence[Answer]
    rouge_l: Floats
    cosine: Floats
    new_tokens: int

    def rows(self) -> list[dict[str, Any]]:
        """One object per answer: id, text, tokens, stopped, rouge_l, cosine."""
        return [
            {
                "id": each.id,
                "text": each.text,
                "tokens": each.tokens,
                "stopped": each.stopped,
                "rouge_l": float(rouge_l),
                "cosine": float(cosine),
            }
            for each, rouge_l, cosine in zip(self.answers, self.rouge_l, self.cosine, strict=True)
        ]

    def summary(self) -> AnswerSummary:
        """Counts and means over all answers."""
        return AnswerSummary(
            answers=len(self.answers),
            new_tokens=self.new_tokens,
            stopped=sum(each.stopped == "end" for each in self.answers),
            cut_prompts=sum(each.lost_prompt > 0 for each in self.answers),
            rouge_l=float(self.rouge_l.mean()),
            cosine=float(self.cosine.mean()),
        )


@dataclass(frozen=True, slots=True)
class StudentLosses:
    """Losses of the test items, in their order; `tuned` and `manifest` are of a trained student."""

    tests: Sequence[Item]
    base: ResponseLoss
    tuned: ResponseLoss | None = None
    manifest: Manifest | None = None


def student_scores(
    student: Student, config: StudentConfig, scored: StudentLosses, answers: Answers | None = None
) -> StudentScores:
    """The scores of `student`, as `config` cuts items."""
    base, tuned, manifest = scored.base, scored.tuned, scored.manifest
    return StudentScores(
        student=student.identity,
        template=TEMPLATE,
        max_length=config.max_length,
        training=None if manifest is None else _training(manifest),
        tests_sha256=items_sha256(scored.tests),
        losses=_losses(base, tuned),
        bands=_bands(base, tuned),
        cut=cut_examples(base.cut),
        items=_items(base, tuned),
        answers=None if answers is None else answers.summary(),
    )


def cut_examples(cut: Cut) -> CutExamples:
    """What was cut, as files have it."""
    return CutExamples(
        prompts=cut.prompts,
        prompt_tokens=cut.prompt_tokens,
        responses=cut.responses,
        response_tokens=cut.response_tokens,
    )


def _training(manifest: Manifest) -> ScoredTraining:
    plan = manifest.plan
    config = plan.config
    return ScoredTraining(
        adapter_sha256=manifest.adapter_sha256,
        config=SeededTraining(
            mode=config.mode,
            rank=config.rank,
            alpha=config.alpha,
            epochs=config.epochs,
            batch_size=config.batch_size,
            max_length=config.max_length,
            blocks=config.blocks,
            learning_rate=config.learning_rate,
            seed=config.seed,
        ),
        items=plan.items,
        items_sha256=plan.items_sha256,
        learned_tokens=plan.response_tokens,
    )


def _losses(base: ResponseLoss, tuned: ResponseLoss | None) -> LossChange:
    """Both means before training, after it, and what was gained."""
    before, after = _means(base), None if tuned is None else _means(tuned)
    return LossChange(base=before, tuned=after, gain=_gain(before, after))


def _means(loss: ResponseLoss | Band) -> MeanLoss:
    return MeanLoss(per_token=loss.token_weighted, per_item=loss.per_item)


def _gain(before: MeanLoss, after: MeanLoss | None) -> MeanLoss | None:
    if after is None:
        return None
    return MeanLoss(
        per_token=_less(before.per_token, after.per_token),
        per_item=_less(before.per_item, after.per_item),
    )


def _less(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before - after


def _bands(base: ResponseLoss, tuned: ResponseLoss | None) -> tuple[LengthBand, ...]:
    """The losses by length of the response, in about as many items each."""
    edges = length_edges(base.tokens)
    ours: Sequence[Band | None] = [None] * (len(edges) + 1)
    if tuned is not None:
        ours = tuned.bands(edges)
    return tuple(
        _length_band(before, after) for before, after in zip(base.bands(edges), ours, strict=True)
    )


def _length_band(base: Band, tuned: Band | None) -> LengthBand:
    before, after = _means(base), None if tuned is None else _means(tuned)
    return LengthBand(
        above=base.above,
        up_to=base.up_to,
        items=base.items,
        base=before,
        tuned=after,
        gain=_gain(before, after),
    )


def _items(base: ResponseLoss, tuned: ResponseLoss | None) -> tuple[ItemLoss, ...]:
    after: Sequence[float | None] = [None] * len(base.ids)
    if tuned is not None:
        after = tuned.nats.tolist()
    columns = (base.ids, base.tokens.tolist(), base.nats.tolist(), after)
    return tuple(
        ItemLoss(id=id, tokens=tokens, base=before, tuned=ours)
        for id, tokens, before, ours in zip(*columns, strict=True)
    )
