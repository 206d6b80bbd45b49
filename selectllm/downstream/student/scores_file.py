"""What a student's scores are as JSON: losses of every test item, their means, what was gained.

Losses are in nats, lower is better; gains are the base model's loss less the student's, higher is
better. What there is none of is null. The schema is schemas/student_scores.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from selectllm.core.arrays import Floats
from selectllm.core.types import Item
from selectllm.downstream.student.adapter import Manifest, items_sha256
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.generation import Answer
from selectllm.downstream.student.network import Student
from selectllm.downstream.student.score import Band, ResponseLoss, length_edges
from selectllm.downstream.student.template import TEMPLATE

FORMAT = 1


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

    def to_json(self) -> dict[str, Any]:
        """Counts and means over all answers."""
        return {
            "answers": len(self.answers),
            "new_tokens": self.new_tokens,
            "stopped": sum(each.stopped == "end" for each in self.answers),
            "cut_prompts": sum(each.lost_prompt > 0 for each in self.answers),
            "rouge_l": float(self.rouge_l.mean()),
            "cosine": float(self.cosine.mean()),
        }


@dataclass(frozen=True, slots=True)
class StudentLosses:
    """Losses of the test items, in their order; `tuned` and `manifest` are of a trained student."""

    tests: Sequence[Item]
    base: ResponseLoss
    tuned: ResponseLoss | None = None
    manifest: Manifest | None = None


def scores_json(
    student: Student, config: StudentConfig, scored: StudentLosses, answers: Answers | None = None
) -> dict[str, Any]:
    """The scores of `student`, as `config` cuts items."""
    base, tuned, manifest = scored.base, scored.tuned, scored.manifest
    return {
        "format": FORMAT,
        "student": student.identity,
        "template": TEMPLATE,
        "max_length": config.max_length,
        "training": None if manifest is None else _training(manifest),
        "tests_sha256": items_sha256(scored.tests),
        "losses": _losses(base, tuned),
        "bands": _bands(base, tuned),
        "cut": asdict(base.cut),
        "items": _items(base, tuned),
        "answers": answers and answers.to_json(),
    }


def _training(manifest: Manifest) -> dict[str, Any]:
    plan = manifest.plan
    return {
        "adapter_sha256": manifest.adapter_sha256,
        "config": {name: value for name, value in asdict(plan.config).items() if name != "model"},
        "items": plan.items,
        "items_sha256": plan.items_sha256,
        "learned_tokens": plan.response_tokens,
    }


def _losses(base: ResponseLoss | Band, tuned: ResponseLoss | Band | None) -> dict[str, Any]:
    """Both means before training, after it, and what was gained."""
    before = _means(base)
    after = None if tuned is None else _means(tuned)
    gain = after and {by: _gain(before[by], after[by]) for by in before}
    return {"base": before, "tuned": after, "gain": gain}


def _means(loss: ResponseLoss | Band) -> dict[str, float | None]:
    return {"per_token": loss.token_weighted, "per_item": loss.per_item}


def _gain(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before - after


def _bands(base: ResponseLoss, tuned: ResponseLoss | None) -> list[dict[str, Any]]:
    """The losses by length of the response, in about as many items each."""
    edges = length_edges(base.tokens)
    after: Sequence[Band | None] = [None] * (len(edges) + 1)
    if tuned is not None:
        after = tuned.bands(edges)
    return [
        {"above": band.above, "up_to": band.up_to, "items": band.items, **_losses(band, ours)}
        for band, ours in zip(base.bands(edges), after, strict=True)
    ]


def _items(base: ResponseLoss, tuned: ResponseLoss | None) -> list[dict[str, Any]]:
    after: Sequence[float | None] = [None] * len(base.ids)
    if tuned is not None:
        after = tuned.nats.tolist()
    columns = (base.ids, base.tokens.tolist(), base.nats.tolist(), after)
    return [
        {"id": id, "tokens": tokens, "base": before, "tuned": ours}
        for id, tokens, before, ours in zip(*columns, strict=True)
    ]
