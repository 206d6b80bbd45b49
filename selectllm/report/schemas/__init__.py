"""JSON Schemas of every file that selectllm reads or writes; they ship in the wheel.

`suite.json` is generated from the suite's types (`python -m selectllm.report.schemas`), for
editors; the others are written by hand, and the tests hold real files against them.
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


def suite_schema() -> dict[str, Any]:
    """The schema of suite files as their types say it now."""
    from selectllm.evaluation.suite import Suite

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Suite.model_json_schema(),
    }
