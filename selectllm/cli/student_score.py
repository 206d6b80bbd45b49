"""`selectllm student score`: what a student makes of held-out items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from selectllm.cli.options import DIRECTORY, FILE, grouped
from selectllm.cli.session import CommandSession, open_session
from selectllm.cli.student_options import Local, answered_items, local_options, map_option
from selectllm.core.codec import canonical_json, pretty_json
from selectllm.core.errors import UsageError
from selectllm.core.files import write_text
from selectllm.core.types import Item
from selectllm.data.pool import parse_mapping
from selectllm.data.rouge import rouge_l_of_pairs
from selectllm.data.vector_store import VectorStore
from selectllm.downstream.student import (
    Manifest,
    ResponseLoss,
    Student,
    StudentConfig,
    answer,
    check_not_trained_on,
    cosine_of,
    open_student,
    read_manifest,
)
from selectllm.downstream.student import score as score_student
from selectllm.downstream.student.generation import NEW_TOKENS, check_new_tokens
from selectllm.downstream.student.scores_file import Answers, Scored, scores_json
from selectllm.selection.scorers.language_model import LOCAL


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """What is scored, by which student, and where results go."""

    test: str
    out: Path | None
    answers: Path | None
    new_tokens: int | None
    encoder: str | None
    columns: tuple[str, ...]

    @property
    def limit(self) -> int:
        """Tokens of an answer at most."""
        return NEW_TOKENS if self.new_tokens is None else self.new_tokens

    def check(self, config: StudentConfig) -> None:
        """Raise UsageError for what cannot be written, before anything is computed."""
        if self.answers is not None:
            check_new_tokens(self.limit, config)
        elif self.new_tokens is not None:
            raise UsageError("--new-tokens: is of answers; name a file for them with --answers")
        read = {Path(self.test).resolve()}
        for option, path in (("-o", self.out), ("--answers", self.answers)):
            if path is not None and path.resolve() in read:
                raise UsageError(f"{option} {path}: is read too, and not overwritten; name another")
            read |= {path.resolve()} if path else set()


score_options = grouped(
    "options",
    ScoreOptions,
    click.option("--test", metavar="FILE", required=True, help="Held-out items with responses."),
    click.option("-o", "--out", type=FILE, help="Write losses and gains to FILE, as JSON."),
    click.option(
        "--answers", type=FILE, help="Let the student answer; write what it says to FILE (JSONL)."
    ),
    click.option(
        "--new-tokens", type=int, help=f"Of an answer at most, with --answers [{NEW_TOKENS}]."
    ),
    click.option(
        "--encoder",
        metavar="NAME",
        help="Of the cosines of --answers: a sentence-transformers model [all-MiniLM-L6-v2].",
    ),
    map_option,
)


@dataclass(frozen=True, slots=True)
class Given:
    """Fields of StudentConfig that the command line names; None: as trained, or the default."""

    model: str | None
    mode: str | None
    max_length: int | None

    def over(self, config: StudentConfig) -> StudentConfig:
        """`config` with what is named instead."""
        named = {name: getattr(self, name) for name in ("model", "mode", "max_length")}
        return replace(config, **{name: v for name, v in named.items() if v is not None})


given_options = grouped(
    "given",
    Given,
    click.option(
        "--model",
        help=f"The base model, or where DIR's is now [DIR's, or {StudentConfig().model}].",
    ),
    click.option("--mode", type=click.Choice(["fast", "full"]), help="[DIR's, or fast]"),
    click.option("--max-length", type=int, help="Tokens of an item [DIR's, or 512]."),
)


@click.command()
@click.argument("folder", metavar="[DIR]", type=DIRECTORY, required=False)
@score_options
@given_options
@local_options
def score(folder: Path | None, options: ScoreOptions, given: Given, local: Local) -> None:
    """Held-out loss of the student in DIR, and of its base model.

    Without DIR the base model alone is scored. Test items are laid out and cut as they would be
    in training; those that the student was trained on are refused.
    """
    manifest = None if folder is None else read_manifest(folder)
    config = given.over(StudentConfig() if manifest is None else manifest.plan.config)
    if manifest is not None:
        _check_base(manifest, config.model)
    tests = answered_items(options.test, parse_mapping(options.columns))
    if manifest is not None:
        check_not_trained_on(tests, manifest.plan.asked)
    options.check(config)
    session = open_session(local.common(options.encoder), Path.cwd())
    student = open_student(config.model, session.workspace.cache)
    scoring = _Scoring(session, student, config, tests)
    tuned = None if folder is None else scoring.loss(folder)
    scored = Scored(tests, scoring.loss(None), tuned, manifest)
    answers = None
    if options.answers is not None:
        answers = scoring.answers(folder, options.limit)
        rows = (canonical_json(row) + "\n" for row in answers.rows())
        write_text(options.answers, "".join(rows))
    content = scores_json(student, config, scored, answers)
    if options.out is not None:
        write_text(options.out, pretty_json(content))
    _show(content, as_json=local.as_json)


def _check_base(manifest: Manifest, model: str) -> None:
    """Raise UsageError if the model was a folder that is gone, before the hub is asked for it."""
    from_folder = not model.startswith(LOCAL) and manifest.plan.identity != model
    if from_folder and not Path(model).expanduser().is_dir():
        raise UsageError(
            f"student: the base model {model} is not there; name its folder with --model"
        )


@dataclass(frozen=True, slots=True)
class _Scoring:
    """What is computed of the test items; `folder`: of a trained student, None the base model."""

    session: CommandSession
    student: Student
    config: StudentConfig
    tests: Sequence[Item]

    def loss(self, folder: Path | None) -> ResponseLoss:
        """What their responses cost."""
        with self.session.progress("scoring" if folder else "scoring the base model") as advance:
            return score_student(self.student, self.tests, self.config, folder, advance)

    def answers(self, folder: Path | None, new_tokens: int) -> Answers:
        """What is said instead of their responses, and how like these that is."""
        with self.session.progress("answering") as advance:
            found = answer(
                self.student,
                self.tests,
                self.config,
                folder,
                new_tokens=new_tokens,
                progress=advance,
            )
        texts = [each.text for each in found]
        references = [item.response or "" for item in self.tests]
        embedder = self.session.embedder()
        store = VectorStore(embedder.folder, embedder.encoder.identity)
        cosine = cosine_of(texts, references, embedder.encoder, store)
        return Answers(found, rouge_l_of_pairs(texts, references), cosine, new_tokens)


def _show(content: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the scores: as JSON alone, or as a table."""
    if as_json:
        click.echo(canonical_json(content))
        return
    from rich.console import Console

    from selectllm.report.student import print_scores

    print_scores(content, Console())
