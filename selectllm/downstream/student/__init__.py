"""A student: a causal language model fine-tuned on a selection, and measured on held-out items."""

from __future__ import annotations

from selectllm.data.leakage import check_no_leak, check_not_trained_on, leaked
from selectllm.downstream.student.adapter import Manifest, TrainingPlan, items_sha256, read_manifest
from selectllm.downstream.student.config import Mode, StudentConfig
from selectllm.downstream.student.failures import LossNotFinite
from selectllm.downstream.student.generation import Answer, answer, cosine_of
from selectllm.downstream.student.learning_rate import RateChoice, choose_learning_rate
from selectllm.downstream.student.network import Student, open_student
from selectllm.downstream.student.score import Band, ResponseLoss, length_edges, score
from selectllm.downstream.student.template import Cut
from selectllm.downstream.student.training import train

__all__ = [
    "Answer",
    "Band",
    "Cut",
    "LossNotFinite",
    "Manifest",
    "Mode",
    "RateChoice",
    "ResponseLoss",
    "Student",
    "StudentConfig",
    "TrainingPlan",
    "answer",
    "check_no_leak",
    "check_not_trained_on",
    "choose_learning_rate",
    "cosine_of",
    "items_sha256",
    "leaked",
    "length_edges",
    "open_student",
    "read_manifest",
    "score",
    "train",
]
