"""Fine-tune a student on a selection: what `student train` does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectllm.core.errors import RunError
from selectllm.core.types import Item
from selectllm.downstream.student.adapter import Manifest, copy_trained, is_begun, recorded
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.learning_rate import (
    GRID,
    RateChoice,
    choose_learning_rate,
    rate_folder,
)
from selectllm.downstream.student.network import Student, open_student
from selectllm.downstream.student.pace import student_plan
from selectllm.downstream.student.schema import StudentPlan, TrainedStudent
from selectllm.downstream.student.training import train as train_student
from selectllm.jobs.computing import interruptible
from selectllm.jobs.leaks import Dropping, Source
from selectllm.jobs.training_options import StudentSettings, TrainSettings
from selectllm.jobs.workshop import answered_items, held_out, recorded_choice
from selectllm.report.student import plan_text, trained_text

if TYPE_CHECKING:
    from selectllm.jobs.session import Session

RATES = "rates"  # inside the folder of the student: a training for every rate that was tried


@dataclass(frozen=True, slots=True)
class Trained:
    """A student in `folder`.

    `choice`: of its learning rate on `dev_items` items, None where it was named; `begun`: whether
    the folder held this training already; `seconds`: wall time of this call.
    """

    folder: Path
    manifest: Manifest
    choice: RateChoice | None
    dev_items: int
    begun: bool
    seconds: float

    @property
    def results(self) -> TrainedStudent:
        """The manifest with folder, choice and time."""
        manifest = recorded(self.manifest)
        return TrainedStudent(
            plan=manifest.plan,
            losses=manifest.losses,
            adapter_sha256=manifest.adapter_sha256,
            folder=str(self.folder),
            learning_rate=None if self.choice is None else recorded_choice(self.choice),
            seconds=round(self.seconds, 1),
        )

    @property
    def text(self) -> str:
        """The same in sentences."""
        return trained_text(self.results, self.dev_items)

    def to_json(self) -> dict[str, Any]:
        """The same as JSON."""
        return self.results.to_json()


async def train(
    selection: str,
    settings: TrainSettings,
    student: StudentSettings | None = None,
    *,
    session: Session,
) -> Trained:
    """Fine-tune a student on `selection`, a pool file with responses.

    Writes a peft adapter and a manifest to a folder. Run again, it goes on after the last whole
    epoch, and ends with the same adapter. Raises UsageError for items without responses, for
    items that are in two of the files unless they are to be dropped, and RunError if the folder
    holds another training.
    """
    ready = _ready(selection, settings, student or StudentSettings(), session)
    config, items, dev, out = ready.config, ready.items, ready.dev, ready.out
    begun, started = is_begun(out), time.monotonic()
    with interruptible():
        opened = open_student(config.model, session.workspace.cache)
        if not begun:
            session.note(plan_text(ready.plan(opened)))
        choice = None
        if dev:
            choice = _chosen_rate(session, opened, items, dev, config, out / RATES)
            manifest = copy_trained(rate_folder(out / RATES, choice.rate), out)
        else:
            with session.progress("training (tokens)") as progress:
                manifest = train_student(opened, items, config, out, progress)
    if begun:
        session.note(
            f"Note: {settings.out} already held this training, so it was not started again"
        )
    seconds = time.monotonic() - started
    return Trained(settings.out, manifest, choice, len(dev), begun, seconds)


async def plan_training(
    selection: str,
    settings: TrainSettings,
    student: StudentSettings | None = None,
    *,
    session: Session,
) -> StudentPlan:
    """What `train` would compute, and how long that takes here: a few timed steps tell.

    The folder of the student is not written. Raises as `train` does.
    """
    ready = _ready(selection, settings, student or StudentSettings(), session)
    with interruptible():
        return ready.plan(open_student(ready.config.model, session.workspace.cache))


@dataclass(frozen=True, slots=True)
class _Ready:
    """A training that was checked and not begun; `dev`: items that choose its learning rate."""

    config: StudentConfig
    items: tuple[Item, ...]
    dev: tuple[Item, ...]
    out: Path

    def plan(self, student: Student) -> StudentPlan:
        """With dev items: a training for every rate, each scored, and no training scored, too."""
        times = len(GRID) if self.dev else 1
        scorings = times + 1 if self.dev else 0
        return student_plan(student, self.config, [self.items] * times, self.dev, scorings)


def _ready(
    selection: str, settings: TrainSettings, student: StudentSettings, session: Session
) -> _Ready:
    config = student.config(settings.seed)
    student.check(settings.dev)
    items = answered_items(session, selection, settings.columns)
    _note_conversations(session, items)
    if settings.dev is not None:
        _check_folder(session.path(settings.out), settings.out)
    chosen = Source("the selection", selection, items)
    dropping = Dropping(settings.drop_leaks, settings.out)
    held = held_out(session, settings, chosen, dropping, settings.columns)
    return _Ready(config, tuple(held.rest), tuple(held.dev), session.path(settings.out))


def _note_conversations(session: Session, items: Sequence[Item]) -> None:
    """Say what a student sees of items that have more turns than a question and its answer."""
    if talks := sum(item.is_conversation for item in items):
        session.note(
            f"Note: {talks:,} of {len(items):,} items are conversations. The student is trained on "
            "their instruction, input and response; other turns, such as calls of tools, are not "
            "trained on. To train on every turn elsewhere, write training files with `export`."
        )


def _check_folder(out: Path, name: Path) -> None:
    if is_begun(out) and not (out / RATES).is_dir():
        raise RunError(
            f"{name} holds a training whose learning rate was not chosen with `dev`. Take another "
            "folder",
            argument="out",
        )


def _chosen_rate(
    session: Session,
    student: Student,
    items: Sequence[Item],
    dev: Sequence[Item],
    config: StudentConfig,
    folder: Path,
) -> RateChoice:
    with session.progress("trying learning rates (trainings)") as progress:
        if progress is not None:
            progress(0, len(GRID))
        return choose_learning_rate(student, items, dev, config, folder, progress=progress)
