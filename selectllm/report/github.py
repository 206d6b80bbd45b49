"""Verdicts as GitHub annotations: workflow commands, one a line, for a job's standard output.

The form and its escaping are those of actions/toolkit, packages/core/src/command.ts
(`escapeData`, `escapeProperty`); actions/runner, ActionCommand.cs, reads them back.
"""

# No `from __future__ import annotations` here: the name is that of the function below.
import os
from collections.abc import Mapping
from pathlib import Path

from selectllm.core.shown import visible
from selectllm.core.verdict_words import POLARITY
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.runs.schema import RunResults
from selectllm.report.verdict_basis import clusters, utility
from selectllm.report.verdict_sentences import difference, in_full, lead
from selectllm.report.wording import subject

LEVELS = {"bad": "error", "open": "warning", "good": "notice"}
DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
PROPERTY = DATA | str.maketrans({":": "%3A", ",": "%2C"})


def annotations(results: RunResults, root: Path | None, workspace: Path | None = None) -> list[str]:
    """One workflow command per verdict: an error, a warning if inconclusive, else a notice.

    `root`: the checkout (GITHUB_WORKSPACE), which GitHub shows files relative to. `workspace`:
    the folder that the verdicts' prompt paths are relative to, if it is not the checkout itself;
    both absolute. A verdict without a prompt file, or with one outside `root`, points at none.
    """
    return [_annotation(verdict, root, workspace) for verdict in results.verdicts]


def with_files(results: RunResults, workspace: Path) -> RunResults:
    """The results without the paths of prompts that the workspace does not hold (bundled ones)."""
    verdicts = []
    for verdict in results.verdicts:
        change = verdict.regress
        if change and change.path and not (workspace / change.path).is_file():
            change = change.model_copy(update={"path": None})
        verdicts.append(verdict.model_copy(update={"regress": change}))
    return results.model_copy(update={"verdicts": tuple(verdicts)})


def _annotation(verdict: Verdict, root: Path | None, workspace: Path | None) -> str:
    file = _file(verdict, root, workspace)
    where = {"file": file, "line": "1"} if file else {}
    told = in_full(verdict, verdict.word)
    message = [
        f"{subject(verdict)}: {told}",
        *(f"{label}: {text}" for label, text in lead(verdict)),
        f"difference: {difference(verdict)}",
        *(f"{label}: {text}" for label, text in clusters(verdict) if verdict.groups is not None),
        *(f"{label}: {text}" for label, text in utility(verdict)),
    ]
    level = LEVELS[POLARITY[verdict.word]]
    return command(level, where | {"title": f"selectllm {told}"}, "\n".join(message))


def _file(verdict: Verdict, root: Path | None, workspace: Path | None) -> str | None:
    """The prompt's file as GitHub names it: relative to the checkout, with slashes."""
    change = verdict.regress
    if change is None or change.path is None:
        return None
    path = Path(os.path.normpath((workspace or Path()) / change.path))
    if not path.is_absolute() or root is None:
        return path.as_posix()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


def command(name: str, properties: Mapping[str, str], message: str) -> str:
    """`::name key=value,key=value::message`, escaped so that it stays one command on one line."""
    pairs = ",".join(f"{key}={value.translate(PROPERTY)}" for key, value in properties.items())
    return f"::{name} {pairs}::{visible(message.translate(DATA))}"
