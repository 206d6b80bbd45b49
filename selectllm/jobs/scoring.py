"""What a student makes of held-out items: what `student score` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.codec import canonical_json
from selectllm.core.errors import UsageError
from selectllm.core.files import write_text
from selectllm.core.types import Item
from selectllm.data.leakage import check_not_trained_on
from selectllm.data.rouge import rouge_l_of_pairs
from selectllm.data.vector_store import VectorStore
from selectllm.downstream.student.adapter import Manifest, read_manifest
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.failures import check_extra
from selectllm.downstream.student.generation import answer, cosine_of
from selectllm.downstream.student.network import Student, open_student
from selectllm.downstream.student.pace import student_plan
from selectllm.downstream.student.schema import StudentPlan, StudentScores
from selectllm.downstream.student.score import ResponseLoss
from selectllm.downstream.student.score import score as score_student
from selectllm.downstream.student.scores_file import Answers, StudentLosses, student_scores
from selectllm.jobs.computing import interruptible
from selectllm.jobs.training_options import BaseSettings, ScoreSettings
from selectllm.jobs.workshop import answered_items
from selectllm.report.student import plan_text
from selectllm.selection.scorers.language_model import LOCAL

if TYPE_CHECKING:
    from selectllm.jobs.session import Session

ANSWERING = " Answers take longer, by how much depends on their length."


@dataclass(frozen=True, slots=True)
class Scores:
    """Losses and gains of a student; `results`: as the file has them."""

    results: StudentScores


async def score(
    folder: Path | None,
    settings: ScoreSettings,
    base: BaseSettings | None = None,
    *,
    session: Session,
) -> Scores:
    """Held-out loss of the student in `folder`, and of its base model, or of a base model alone.

    Test items are laid out and cut as they would be in training. Raises UsageError for test items
    that the student was trained on, and for a base model that is not there.
    """
    ready = _ready(folder, settings, base or BaseSettings(), session)
    config, tests, place, manifest = ready.config, ready.tests, ready.place, ready.manifest
    with interruptible():
        student = open_student(config.model, session.workspace.cache)
        session.note(f"{plan_text(ready.plan(student))}{ANSWERING if settings.answers else ''}")
        scoring = _Scoring(session, student, config, tests)
        tuned = None if place is None else scoring.loss(place)
        scored = StudentLosses(tests, scoring.loss(None), tuned, manifest)
        answers = None
        if settings.answers is not None:
            answers = scoring.answers(place, settings.limit)
            rows = (canonical_json(row) + "\n" for row in answers.rows())
            write_text(session.path(settings.answers), "".join(rows))
    results = student_scores(student, config, scored, answers)
    if settings.out is not None:
        results.write(session.path(settings.out))
    return Scores(results)


async def plan_scoring(
    folder: Path | None,
    settings: ScoreSettings,
    base: BaseSettings | None = None,
    *,
    session: Session,
) -> StudentPlan:
    """What `score` would compute, and how long that takes here, but for answers.

    Raises as `score` does.
    """
    ready = _ready(folder, settings, base or BaseSettings(), session)
    with interruptible():
        return ready.plan(open_student(ready.config.model, session.workspace.cache))


@dataclass(frozen=True, slots=True)
class _Ready:
    """A scoring that was checked and not begun; `place`: of a trained student, if there is one."""

    config: StudentConfig
    tests: tuple[Item, ...]
    place: Path | None
    manifest: Manifest | None

    def plan(self, student: Student) -> StudentPlan:
        """The base model is scored, and the trained one if there is one."""
        return student_plan(student, self.config, (), self.tests, 1 if self.place is None else 2)


def _ready(
    folder: Path | None, settings: ScoreSettings, base: BaseSettings, session: Session
) -> _Ready:
    place = None if folder is None else session.path(folder)
    manifest = None if place is None else read_manifest(place)
    config = base.over(StudentConfig() if manifest is None else manifest.plan.config)
    if manifest is not None:
        _check_base(manifest, config.model)
    tests = answered_items(session, settings.test, settings.columns)
    if manifest is not None:
        check_not_trained_on(tests, manifest.plan.asked)
    settings.check(config)
    settings.check_files(session)
    check_extra()
    if settings.answers is not None:
        session.check_encoder()
    return _Ready(config, tuple(tests), place, manifest)


def _check_base(manifest: Manifest, model: str) -> None:
    """Raise UsageError if the model was a folder that is gone, before the hub is asked for it."""
    from_folder = not model.startswith(LOCAL) and manifest.plan.identity != model
    if from_folder and not Path(model).expanduser().is_dir():
        raise UsageError(
            f"student: the base model {model} is not there. Name its folder with `model`",
            argument="model",
        )


@dataclass(frozen=True, slots=True)
class _Scoring:
    """What is computed of the test items; `folder`: of a trained student, None the base model."""

    session: Session
    student: Student
    config: StudentConfig
    tests: Sequence[Item]

    def loss(self, folder: Path | None) -> ResponseLoss:
        """What their responses cost."""
        with self.session.progress(
            f"scoring{'' if folder else ' the base model'} (tokens)"
        ) as progress:
            return score_student(self.student, self.tests, self.config, folder, progress)

    def answers(self, folder: Path | None, new_tokens: int) -> Answers:
        """What is said instead of their responses, and how like these that is."""
        with self.session.progress("answering (items)") as progress:
            said = answer(
                self.student,
                self.tests,
                self.config,
                folder,
                new_tokens=new_tokens,
                progress=progress,
            )
        texts = [one.text for one in said]
        references = [item.response or "" for item in self.tests]
        embedder = self.session.embedder()
        store = VectorStore(embedder.folder, embedder.encoder.identity)
        cosine = cosine_of(texts, references, embedder.encoder, store)
        return Answers(said, rouge_l_of_pairs(texts, references), cosine, new_tokens)
