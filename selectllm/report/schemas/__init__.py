"""JSON Schemas of every file that selectllm reads or writes; they ship in the wheel.

Those of `generated` are made from the types of their files (`python -m
selectllm.report.schemas`); the others are written by hand, and the tests hold real files against
them.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

NAMES = (
    "suite",
    "run",
    "clusters",
    "utilities",
    "decision",
    "results",
    "pack",
    "selection",
    "baseline",
    "ratings",
    "plan",
    "sets",
    "plan_sets",
    "export",
    "outcomes",
    "compare",
    "validation",
    "student_scores",
    "utility_file",
    "optimize",
)


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema called `name`, one of NAMES. Raises KeyError for another name."""
    if name not in NAMES:
        raise KeyError(name)
    text = (files(__name__) / f"{name}.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert isinstance(content, dict)
    return content


def generated() -> dict[str, dict[str, Any]]:
    """By name, the schemas of files that are written from types, as these say it now."""
    from selectllm.core.document import Document
    from selectllm.downstream.outcomes.schema import ExportManifest, results_schema
    from selectllm.downstream.student.schema import StudentScores
    from selectllm.downstream.trials.schema import StudentsCompared
    from selectllm.evaluation.planning.schema import PlanResults, SetsPlanResults
    from selectllm.evaluation.runs.schema import RunResults
    from selectllm.evaluation.sets.schema import SetsResults
    from selectllm.evaluation.suite import Suite
    from selectllm.optimization.schema import json_schema as optimize
    from selectllm.utility.schema import ValidationFile

    documents: dict[str, type[Document]] = {
        "results": RunResults,
        "sets": SetsResults,
        "plan": PlanResults,
        "plan_sets": SetsPlanResults,
        "compare": StudentsCompared,
        "validation": ValidationFile,
        "student_scores": StudentScores,
        "export": ExportManifest,
    }
    made = {name: document.json_schema() for name, document in documents.items()}
    return {
        "suite": Suite.json_schema(),
        "optimize": optimize(),
        "outcomes": results_schema(),
        **made,
    }
