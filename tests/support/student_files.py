"""A tiny model, a selection and held-out items on disk; tests train and score with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from selectllm.jobs.training_options import StudentSettings
from tests.conftest import write_jsonl
from tests.downstream.student.test_training import items, made
from tests.support.made_vectors import random_vectors

SUITE: dict[str, Any] = {
    "name": "demo",
    "pool": "pool.jsonl",
    "utilities": [{"name": "length", "source": "ratings", "column": "length", "kind": "proxy"}],
    "clusters": {"by": "random", "size": 5},
    "sets": {"budgets": [6], "seeds": [0, 1], "groups": 4},
    "strategies": ["random", "longest", "shortest", "first"],
}


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Items that a student can learn, as rows of a file, with their length as a rating."""
    names = ("id", "instruction", "input", "response")
    return [
        {name: getattr(item, name) for name in names} | {"length": len(item.response or "")}
        for item in items(count, start)
    ]


def student_files(folder: Path) -> Path:
    """A tiny model, a selection of 8, 9 test items and 4 dev items."""
    made(folder / "tiny")
    write_jsonl(folder / "selection.jsonl", rows(8))
    write_jsonl(folder / "test.jsonl", rows(9, 100))
    write_jsonl(folder / "dev.jsonl", rows(4, 200))
    return folder


def trial_files(folder: Path) -> Path:
    """A tiny model, a pool of 40 with its vectors, 12 test items, 6 dev items and a suite."""
    made(folder / "tiny")
    np.save(folder / "v.npy", random_vectors(40))
    write_jsonl(folder / "pool.jsonl", rows(40))
    write_jsonl(folder / "test.jsonl", rows(12, 100))
    write_jsonl(folder / "dev.jsonl", rows(6, 200))
    (folder / "suite.yaml").write_text(json.dumps(SUITE), encoding="utf-8")
    return folder


def tiny(folder: Path, **settings: Any) -> StudentSettings:
    """How the tiny model of a folder is trained, quickly."""
    named: dict[str, Any] = {"max_length": 128, "blocks": 2, "learning_rate": 1e-2}
    return StudentSettings(model=str(folder / "tiny"), **(named | settings))
