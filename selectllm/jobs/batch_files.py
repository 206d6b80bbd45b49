"""Batches by hand: the questions of an evaluation as a file, and the answers back from one.

For `vllm run-batch`, gateways, and providers' own pages: JSON lines of OpenAI's form, whose
`custom_id` is the request's key.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selectllm.core.errors import ModelError, ReplyMissing, UsageError
from selectllm.core.files import write_bytes
from selectllm.core.names import listed, unknown
from selectllm.core.shown import counted
from selectllm.core.types import empty
from selectllm.evaluation.suite import Suite
from selectllm.jobs.batch_taking import Taking
from selectllm.jobs.batching import noting
from selectllm.jobs.contents import BATCH
from selectllm.jobs.evaluating import evaluate, suite_of
from selectllm.jobs.options import Evaluating
from selectllm.jobs.outputs import check_written, read_by
from selectllm.jobs.session import Session
from selectllm.models.model import Request
from selectllm.models.providers.batch_lines import (
    BatchAnswers,
    openai_outcome,
    question_line,
    read_answers,
)
from selectllm.models.providers.failures import Fault
from selectllm.models.providers.openai_body import check_direct
from selectllm.models.providers.providers import provider_of
from selectllm.models.wrappers.batch import Batch
from selectllm.report.next_steps import command


@dataclass(frozen=True, slots=True)
class QuestionsWritten:
    """What `export_batch` wrote: `questions` of `model` to `file`; none if nothing is missing.

    `left_out`: models that run on this machine, with how many of their questions have no reply.
    """

    suite: Path
    file: Path
    questions: int
    model: str | None
    left_out: Mapping[str, int] = field(default_factory=empty)

    @property
    def text(self) -> str:
        """What was written, and where it goes next."""
        if not self.questions:
            what = "of other models is missing" if self.left_out else "is missing"
            run = command("eval", self.suite)
            return f"{self._left_out}Nothing {what}. To evaluate, run: {run}"
        return (
            f"{counted(self.questions, 'question')} of {self.model} written to "
            f"{self.file}.\n{self._left_out}To have them answered by vLLM, run: vllm run-batch -i "
            f"{shlex.quote(str(self.file))} -o ANSWERS.jsonl --model MODEL\nTo read the answers "
            f"back, run: {command('batch', 'import', self.suite, 'ANSWERS.jsonl')}"
        )

    @property
    def _left_out(self) -> str:
        return "".join(
            f"{counted(questions, 'question')} of {name} left out, because this model runs on "
            "your machine and is asked when you evaluate.\n"
            for name, questions in self.left_out.items()
        )

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        content = {"file": str(self.file), "questions": self.questions}
        return content | ({"left_out": dict(self.left_out)} if self.left_out else {})


@dataclass(frozen=True, slots=True)
class AnswersTaken:
    """What `import_batch` took.

    `kept`: answers that are in the reply cache now. `known`: whose questions had an answer
    before. `missing`: questions of the evaluation that are still without one. `errors`: answers
    that are faults; `first`: the first of them in words. `unknown`: lines that answer nothing that
    was asked; `doubled`: beyond the first of their question; `garbage`: that cannot be read.
    """

    suite: Path
    kept: int
    known: int
    missing: int
    errors: int
    unknown: int
    doubled: int
    garbage: int
    first: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every question that the file should answer is answered."""
        return not (self.missing or self.errors)

    def to_json(self) -> dict[str, Any]:
        """As --json prints it."""
        return {name: value for name, value in asdict(self).items() if name != "suite"}

    @property
    def text(self) -> str:
        """What there is to tell, and what comes next."""
        said = [f"{counted(self.kept, 'answer')} added to the reply cache."]
        counts = {
            "for questions that already had an answer": self.known,
            "with an error": self.errors,
            "for questions that were not asked": self.unknown,
            "that came twice": self.doubled,
            "that cannot be read": self.garbage,
        }
        said += [f"{counted(n, 'line')} {what}." for what, n in counts.items() if n]
        if self.first is not None:
            said.append(f"The first error: {self.first}")
        if self.missing:
            said.append(f"{counted(self.missing, 'question')} still without an answer.")
        if self.complete:
            said.append(f"To evaluate, run: {command('eval', self.suite)}")
        else:
            rest = command("batch", "export", self.suite, "REST.jsonl")
            said.append(f"To write the questions that are left to a file, run: {rest}")
        return "\n".join(said)


async def export_batch(
    suite: Suite | Path | str,
    file: Path,
    evaluating: Evaluating,
    *,
    model: str | None = None,
    session: Session,
) -> QuestionsWritten:
    """Write the questions of an evaluation that have no reply yet to `file`, as JSON lines.

    They are those that `evaluate` would ask next, told the same: after a first round the ones that
    are asked again. `model`: only those of this model of the suite; a file holds those of one.
    Models that run on this machine are not asked, and their questions are left out. Raises
    UsageError for several other models or for none, and ModelError for one that OpenAI's API cannot
    ask.
    """
    suite, place = suite_of(suite, session, {}), session.path(file)
    check_written("file", place, BATCH, read_by(suite), session.workspace)
    _check_model(suite, model)
    wanted = await _wanted(suite, session, evaluating)
    requests = [
        each for each in wanted.values() if _elsewhere(each) and model in (None, each.model.name)
    ]
    left_out = Counter(each.model.name for each in wanted.values() if not _elsewhere(each))
    models = {request.model.name for request in requests}
    if len(models) > 1:
        raise UsageError(
            f"the questions are for several models ({', '.join(sorted(models))}), and a file can "
            "hold those of only one. Choose it with `model`",
            argument="model",
        )
    for request in requests[:1]:
        check_direct(request.model)
    lines = [_line(request) for request in requests]
    if lines:
        write_bytes(place, b"".join(lines))
    name = next(iter(models), None)
    return QuestionsWritten(_named(suite), file, len(lines), name, left_out)


async def import_batch(
    suite: Suite | Path | str, file: Path, evaluating: Evaluating, *, session: Session
) -> AnswersTaken:
    """Take the answers in `file`, JSON lines of OpenAI's form, into the reply cache.

    The rest is told as `export_batch` was. What is taken stays whatever is wrong with the rest.
    Raises UsageError for a file that cannot be read, or none of whose lines is an answer.
    """
    suite, answers = suite_of(suite, session, {}), _answers(session.path(file))
    noted = await _wanted(suite, session, evaluating)
    wanted = {key: request for key, request in noted.items() if _elsewhere(request)}
    session = noting(session, Batch(lambda spec: None))
    there = {key: request for key, request in wanted.items() if key in answers.outcomes}
    taking = Taking(session, there)
    failed = await taking.take(answers)
    await session.ledger.settle_part((), taking.spent)
    others = answers.unknown(wanted)
    known = sum(session.cache.get(key) is not None for key in others)
    return AnswersTaken(
        suite=_named(suite),
        kept=taking.kept,
        known=known,
        missing=len(wanted) - len(there),
        errors=len(failed),
        unknown=len(others) - known,
        doubled=answers.doubled,
        garbage=answers.garbage,
        first=str(taking.errors[0]) if taking.errors else None,
    )


def _check_model(suite: Suite, model: str | None) -> None:
    """Raise UsageError for a suite whose models all run here, and for a `model` that does."""
    ways = {spec.name: provider_of(spec).way for spec in suite.specs()}
    if model is not None and model not in ways:
        raise UsageError(f"`model`: {unknown('model', model, ways)}", argument="model")
    named = ways if model is None else {model: ways[model]}
    if named and "network" not in named.values():
        run = command("eval", _named(suite))
        raise UsageError(
            f"there is nothing to write for others to answer: {listed([*named])} "
            f"{'runs' if len(named) == 1 else 'run'} on this machine. To evaluate, run: {run}",
            argument="model",
        )


def _elsewhere(request: Request) -> bool:
    """Whether the model is asked over a network, and not on this machine."""
    return provider_of(request.model).way == "network"


def _named(suite: Suite) -> Path:
    return suite.source or Path("SUITE.yaml")


async def _wanted(suite: Suite, session: Session, evaluating: Evaluating) -> dict[str, Request]:
    """The questions that have no reply yet, as a job that asks in batches notes them.

    Nobody is asked: not the models that run on this machine either.
    """
    batch = Batch(lambda spec: None, whole=True)
    told = {"out": evaluating.out, "seed": evaluating.seed, "limit": evaluating.limit}
    try:
        await evaluate(suite, session=noting(session, batch), **told)  # type: ignore[arg-type]
    except ReplyMissing:
        if not batch.wanted:
            raise
    return batch.wanted


def _answers(file: Path) -> BatchAnswers:
    """The answers in a file. Raises UsageError for one that cannot be read, or holds none."""
    answers = BatchAnswers()
    try:
        with file.open("rb") as lines:
            read_answers(lines, answers, openai_outcome)
    except OSError as error:
        raise UsageError(
            f"{file}: The answers cannot be read ({error.strerror}).", argument="file"
        ) from None
    if not answers.outcomes:
        raise UsageError(
            f"{file}: None of its lines is an answer in OpenAI's batch format (custom_id, "
            "response). Name the file of results, such as vllm run-batch -o writes it",
            argument="file",
        )
    return answers


def _line(request: Request) -> bytes:
    line = question_line(request.model, request)
    if isinstance(line, Fault):
        raise ModelError(f"model {request.model.name!r}: {line.reason}. Correct its entry")
    return line
