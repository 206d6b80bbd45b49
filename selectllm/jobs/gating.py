"""The gate: every prompt x model of a suite against what a baseline recorded; and baselines."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from selectllm.core.errors import ReplyMissing, RunError, blaming
from selectllm.core.files import read_json
from selectllm.core.verdict_words import POLARITY
from selectllm.evaluation.comparison.baseline import Baseline, read_baseline, write_baseline
from selectllm.evaluation.comparison.kinds import KINDS
from selectllm.evaluation.comparison.regress import baseline_of, check_suite, gated, matched
from selectllm.evaluation.comparison.run_inputs import (
    ComparisonDesign,
    read_manifest,
    read_run_inputs,
)
from selectllm.evaluation.runs.coverage import check_unassisted
from selectllm.evaluation.runs.prepare import load_prompts, newer_versions
from selectllm.evaluation.runs.run import Run
from selectllm.evaluation.runs.verify import finished_decisions
from selectllm.evaluation.suite import Suite
from selectllm.jobs.arguments import parted
from selectllm.jobs.batching import asked_in_batches
from selectllm.jobs.contents import BASELINE, PACK
from selectllm.jobs.evaluating import EvaluatingArguments, carry_out, open_run, suite_of
from selectllm.jobs.evaluation import Evaluation, TableName
from selectllm.jobs.options import Evaluating
from selectllm.jobs.outputs import check_written, nearby
from selectllm.jobs.session import Session, opened
from selectllm.jobs.sync import finished
from selectllm.jobs.workspace import find_workspace
from selectllm.prompting.library import PromptLibrary

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True, eq=False)
class GateResult:
    """The result of a gate.

    `verdicts`: one for each prompt and model of the suite, as in results.json. `passed`: whether
    `selectllm regress` would end with exit code 0. `inconclusive`: no pair failed, but at least one
    is not decided; such a gate passes only if the suite has `gate: {inconclusive: warn}`.
    `run`: the evaluation. `newer`: a sentence for each prompt whose newest version is not tested.
    """

    verdicts: tuple[Mapping[str, Any], ...] = field(repr=False)
    passed: bool
    inconclusive: bool
    run: Evaluation
    newer: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.run.folder

    @property
    def text(self) -> str:
        """An account of the verdicts in plain text."""
        from selectllm.jobs.reporting import account

        return account(self.run.results.verdicts)

    def to_polars(self, rows: TableName = "verdicts") -> pl.DataFrame:
        """The verdicts, or another table of the run; see Evaluation."""
        return self.run.to_polars(rows)

    def to_pandas(self, rows: TableName = "verdicts") -> pd.DataFrame:
        """The same as a pandas DataFrame."""
        return self.run.to_pandas(rows)

    def _repr_html_(self) -> str:
        return self.run._repr_html_()


async def regress(
    suite: Suite | Path | str,
    baseline: Path | str,
    *,
    session: Session | None = None,
    **arguments: Unpack[EvaluatingArguments],
) -> GateResult:
    """Test whether any prompt and model of `suite` has become worse than its `baseline`.

    Prompts and models are matched by name, and compared on the clusters of the baseline. For other
    arguments and for errors, see `evaluate`. Also raises UsageError if the baseline does not fit
    the suite.
    """
    evaluating, settings = parted(Evaluating, arguments)
    suite = evaluating.applied(suite_of(suite, session, settings))
    if (why := KINDS["regress"].unassisted) is not None:
        check_unassisted(suite, "regress", why)  # before a baseline, which it cannot have
    async with opened(session, settings, suite.folder) as session:
        path = session.path(baseline)
        if evaluating.record is not None:
            file = session.path(evaluating.record)
            check_written("record", file, PACK, {path}, session.workspace)
        with blaming("baseline"):
            _check_there(path, suite, session)
            recorded = read_baseline(path)
            check_suite(recorded, suite, path)
        prompts = load_prompts(suite, session.library)

        async def job(session: Session) -> Evaluation:
            run = open_run(
                session,
                gated(suite, recorded),
                ComparisonDesign("regress", ()),
                prompts=prompts,
                baseline=recorded,
                record=evaluating.record,
            )
            matched(recorded, run.inputs.pairs)  # before anything is paid for
            try:
                return await carry_out(session, run, evaluating)
            except ReplyMissing as error:
                raise ReplyMissing(f"{_moved(recorded, run)}{error}", pack=error.pack) from None

        done = await asked_in_batches(session, job)
        return _gate_result(done, suite, newer_versions(suite, prompts, session.library))


def _gate_result(run: Evaluation, suite: Suite, newer: tuple[str, ...]) -> GateResult:
    news = {POLARITY[word] for word in run.results.words}
    may_be_open = suite.gate.inconclusive == "warn"
    return GateResult(
        verdicts=tuple(verdict.to_json() for verdict in run.results.verdicts),
        passed="bad" not in news and ("open" not in news or may_be_open),
        inconclusive="open" in news and "bad" not in news,
        run=run,
        newer=newer,
    )


def recording(suite: Path, baseline: Path, pack: Path | None) -> str:
    """The shell command that records the replies that a gate lacks."""
    words = ["selectllm", "regress", str(suite), "--baseline", str(baseline)]
    return recorded_into([*words, "--record"], suite, pack)


def recorded_into(command: Sequence[str], suite: Path, pack: Path | None) -> str:
    """`command` with the file that it records replies in: the suite's own, else one beside it."""
    words = shlex.join([*command, str(nearby(pack or suite.with_suffix(".replies.jsonl")))])
    if pack is not None:
        return words
    return f"{words} Then add this line to {suite}: replies: {suite.stem}.replies.jsonl"


def _check_there(baseline: Path, suite: Suite, session: Session) -> None:
    """Raise RunError, with the commands that make it, if there is no baseline."""
    if baseline.exists():
        return
    run = str(nearby(session.workspace.runs / f"{suite.name}-baseline"))
    file = "the suite" if suite.source is None else str(suite.source)
    steps = (
        ["selectllm", "eval", file, "-o", run],
        ["selectllm", "baseline", "set", run, "-o", str(nearby(baseline))],
    )
    raise RunError(
        f"{baseline}: There is no such baseline. To make one of the suite as it is now, run: "
        f"{' && '.join(map(shlex.join, steps))}"
    )


def _moved(recorded: Baseline, run: Run) -> str:
    """Why recorded replies may not be found: models that now answer from another endpoint.

    Of an embedded model that is another version of the engine.
    """
    before = recorded.endpoints
    moved = [
        f"{spec['name']} (now {spec['endpoint']}, then {before[spec['name']]})"
        for spec in run.manifest["models"].values()
        if spec["endpoint"] != before.get(spec["name"], spec["endpoint"])
    ]
    if not moved:
        return ""
    return (
        "Recorded replies belong to the endpoint that gave them. Since the baseline, it has "
        f"changed: {', '.join(moved)}. Go back to it, or record the replies again. "
    )


def keep_baseline(folder: Path, out: Path, prompts: Sequence[str] = ()) -> Baseline:
    """Write the picks of a run's pairs, judged by its deciding utility, to a baseline file.

    `prompts`: only these prompts of the run. Raises RunError for a run that is not finished or
    can be no baseline.
    """
    check_written("out", out, BASELINE, (), find_workspace(folder))
    read_json(folder / "results.json")  # an unfinished run is no baseline
    inputs = read_run_inputs(folder)
    library = PromptLibrary(find_workspace(folder).prompts)
    prompts = tuple(map(library.numbered, prompts))
    decisions = finished_decisions(folder, inputs)
    baseline = baseline_of(read_manifest(folder), inputs, decisions, prompts)
    write_baseline(out, baseline)
    return baseline


def gate(
    suite: Path | str, baseline: Path | str, *, offline: bool = True, out: Path | None = None
) -> GateResult:
    """`regress` as tests want it: offline, waiting, and with the command that records replies.

    `out`: the run folder, by default eval/runs/SUITE-<hash> in the suite's workspace. Raises as
    `regress` does.
    """
    suite, baseline = nearby(Path(suite)), nearby(Path(baseline))
    try:
        return finished(regress(suite, baseline, offline=offline, out=out))
    except ReplyMissing as error:
        command = recording(suite, baseline, error.pack)
        raise ReplyMissing(f"{error}. To record them, run: {command}", pack=error.pack) from None
