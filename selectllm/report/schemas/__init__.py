"""JSON Schemas of every file that selectllm reads or writes; they ship in the wheel.

All are generated from the types of their files: `python -m selectllm.report.schemas`.
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
    "round",
    "results",
    "two_runs",
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
    "calibration",
    "student_scores",
    "utility_file",
    "optimize",
    "selection_summary",
    "audit",
    "plan_audit",
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
    """All of them by name, as the types say it now."""
    from selectllm.downstream.outcomes.schema import ExportManifest, results_schema
    from selectllm.downstream.student.schema import StudentScores
    from selectllm.downstream.trials.schema import StudentsCompared
    from selectllm.evaluation.audit.schema import AuditPlan, AuditResults
    from selectllm.evaluation.comparison.baseline_file import BaselineFile
    from selectllm.evaluation.planning.schema import PlanResults
    from selectllm.evaluation.planning.sets_schema import SetsPlanResults
    from selectllm.evaluation.runs.schema import RunFile, RunResults
    from selectllm.evaluation.sets.schema import SetsResults
    from selectllm.evaluation.suite import Suite
    from selectllm.evaluation.two_runs.schema import RunsCompared
    from selectllm.models.wrappers.schema import RecordedRequest
    from selectllm.optimization.schema import json_schema as optimize
    from selectllm.selection.schema import (
        ClustersFile,
        SelectedLine,
        SelectionSummary,
        decision_schema,
        round_schema,
    )
    from selectllm.utility.annotation.schema import ratings_schema
    from selectllm.utility.schema import (
        Calibration,
        ValidationFile,
        utilities_schema,
        utility_file_schema,
    )

    return {
        "suite": Suite.json_schema(),
        "run": RunFile.json_schema(),
        "clusters": ClustersFile.json_schema(),
        "utilities": utilities_schema(),
        "decision": decision_schema(),
        "round": round_schema(),
        "results": RunResults.json_schema(),
        "two_runs": RunsCompared.json_schema(),
        "pack": RecordedRequest.json_schema(),
        "selection": SelectedLine.json_schema(),
        "baseline": BaselineFile.json_schema(),
        "ratings": ratings_schema(),
        "plan": PlanResults.json_schema(),
        "sets": SetsResults.json_schema(),
        "plan_sets": SetsPlanResults.json_schema(),
        "export": ExportManifest.json_schema(),
        "outcomes": results_schema(),
        "compare": StudentsCompared.json_schema(),
        "validation": ValidationFile.json_schema(),
        "calibration": Calibration.json_schema(),
        "student_scores": StudentScores.json_schema(),
        "utility_file": utility_file_schema(),
        "optimize": optimize(),
        "selection_summary": SelectionSummary.json_schema(),
        "audit": AuditResults.json_schema(),
        "plan_audit": AuditPlan.json_schema(),
    }
