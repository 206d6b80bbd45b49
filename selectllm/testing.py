"""The gate as a function: what `selectllm regress` decides, for tests, notebooks and scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.cli.evaluation import Evaluating, shorter
from selectllm.cli.options import Common
from selectllm.cli.regress import gate_code, run_gate
from selectllm.cli.session import open_session
from selectllm.evaluation.comparison.schema import Verdict
from selectllm.evaluation.suite import load_suite

WIDTH = 100  # columns of an account


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate found.

    `verdicts`: one per prompt x model of the suite, as results.json has them. `passed`: whether
    `selectllm regress` ends with exit code 0. `inconclusive`: no pair failed, and at least one is
    not decided; such a gate has passed only with the suite's `gate: {inconclusive: warn}`.
    `text`: an account in plain text. `folder`: the run folder.
    """

    verdicts: tuple[Mapping[str, Any], ...]
    passed: bool
    inconclusive: bool
    text: str
    folder: Path


def gate(
    suite: Path | str, baseline: Path | str, *, offline: bool = True, out: Path | None = None
) -> GateResult:
    """Test every prompt x model of `suite` against what `baseline` recorded of it.

    `offline`: send nothing; replies come from the suite's `replies` or the cache. `out`: the run
    folder, by default eval/runs/SUITE-<hash> in the suite's workspace. Not for use inside a
    running event loop.

    Raises ReplyMissing, with the command that records them, if replies are missing offline;
    UsageError for a file that cannot be used or does not fit the others; ProviderError if a
    provider failed. None of these says anything about the prompts.
    """
    suite_file = shorter(Path(suite))
    loaded = load_suite(suite_file)
    session = open_session(Common(offline=offline, quiet=True), suite_file.resolve().parent)
    with closing(session.cache):
        evaluating = Evaluating(out=out)
        found, folder = run_gate(session, loaded, suite_file, shorter(Path(baseline)), evaluating)
    words = found.words
    return GateResult(
        verdicts=tuple(verdict.to_json() for verdict in found.verdicts),
        passed=gate_code(loaded, found) == 0,
        inconclusive="inconclusive" in words and "fail" not in words,
        text=_account(found.verdicts),
        folder=folder,
    )


def _account(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as a terminal shows them, without colour."""
    from rich.console import Console

    from selectllm.report.verdict import render_verdict

    console = Console(width=WIDTH, color_system=None)
    with console.capture() as captured:
        for verdict in verdicts:
            console.print(render_verdict(verdict))
            console.print()
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())
