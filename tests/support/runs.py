"""What a suite's plan, and the files of its run, say of the models that it asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from selectllm.core.files import read_json
from selectllm.jobs.planning import plan
from selectllm.jobs.sync import finished
from selectllm.report.schemas import schema
from tests.conftest import read_jsonl
from tests.support.cli_files import write_suite


def logged(folder: str = "run") -> list[dict[str, Any]]:
    """The decisions of models in a run, by model, cluster and order."""
    rows = [row for row in read_jsonl(Path(folder) / "decisions.jsonl")[1:] if "model" in row]
    return sorted(rows, key=lambda row: (row["model"], row["cluster"], row["order"], row["repeat"]))


def pair(folder: str = "run") -> Mapping[str, Any]:
    """What results.json says of the first pair."""
    pairs: list[Mapping[str, Any]] = read_json(Path(folder, "results.json"))["pairs"]
    return pairs[0]


def planned(*changes: str) -> Any:
    """What the plan of the suite says of its first pair, once it keeps to its schema."""
    content = json.loads(json.dumps(finished(plan(write_suite(*changes))).results.to_json()))
    Draft202012Validator(schema("plan")).validate(content)
    return content["pairs"][0]
