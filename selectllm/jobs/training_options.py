"""What jobs that train or score students are told by options: frozen values that load no job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.choices import Aggregation
from selectllm.core.errors import UsageError
from selectllm.downstream.student.config import NEW_TOKENS, StudentConfig, check_new_tokens
from selectllm.downstream.student.failures import check_extra
from selectllm.jobs.contents import ANSWERS, SCORES
from selectllm.jobs.outputs import check_written

if TYPE_CHECKING:
    from selectllm.jobs.session import Session

DEFAULT = StudentConfig()


@dataclass(frozen=True, slots=True)
class StudentSettings:
    """The fields of StudentConfig but the seed; `learning_rate` is None where none is named."""

    model: str = DEFAULT.model
    mode: str = DEFAULT.mode
    epochs: int = DEFAULT.epochs
    batch_size: int = DEFAULT.batch_size
    rank: int = DEFAULT.rank
    alpha: int = DEFAULT.alpha
    blocks: int = DEFAULT.blocks
    learning_rate: float | None = None
    max_length: int = DEFAULT.max_length

    def config(self, seed: int = 0) -> StudentConfig:
        """The student's settings. Raises UsageError for a value out of range."""
        named = {name: value for name, value in asdict(self).items() if value is not None}
        return StudentConfig(**named, seed=seed)

    def check(self, dev: str | None) -> None:
        """Raise UsageError for a value out of range, a rate beside dev items, a missing extra.

        `dev`: the file of the items that are to choose it, None if none are.
        """
        self.config()
        check_extra()
        if dev is not None and self.learning_rate is not None:
            raise UsageError(
                "`dev` chooses the learning rate. Leave `learning_rate` out",
                argument="learning_rate",
            )


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """On what items students are tested, and how often sets are trained.

    `test`, `dev`: pool files with responses; the learning rate is chosen on those of `dev`.
    `seeds`: trainings of a set, at least 1. `jobs`: trainings at a time, at least 1.
    `test_columns`: of these files, canonical name -> the file's column, where they are called
    otherwise than the pool's.
    """

    test: str
    dev: str | None = None
    seeds: int = 2
    jobs: int = 1
    test_columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Where the student goes, and the other items that decide about it.

    `out`: its folder. `dev`: a pool file on whose items the learning rate is chosen. `test`: one
    of whose items none may be trained on. `seed`: of the order of the items and of the adapter.
    `columns`: of the selection, canonical name -> the file's column. `test_columns`: of the other
    files, where theirs are called otherwise. `drop_leaks`: leave out what is held out, too, rather
    than refuse.
    """

    out: Path
    dev: str | None = None
    test: str | None = None
    seed: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    test_columns: Mapping[str, str] = field(default_factory=dict)
    drop_leaks: bool = False


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """What is scored, and where results go.

    `test`: a pool file with responses. `out`: a JSON file for losses and gains. `answers`: a
    JSONL file for what the student says to the test items, each at most `new_tokens` long.
    `columns`: of the test file, canonical name -> the file's column.
    """

    test: str
    out: Path | None = None
    answers: Path | None = None
    new_tokens: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def limit(self) -> int:
        """Tokens of an answer at most."""
        return NEW_TOKENS if self.new_tokens is None else self.new_tokens

    def check(self, config: StudentConfig) -> None:
        """Raise UsageError for what cannot be written, before anything is computed."""
        if self.answers is not None:
            check_new_tokens(self.limit, config)
        elif self.new_tokens is not None:
            raise UsageError(
                "`new_tokens` limits answers. Name a file for them with `answers`",
                argument="new_tokens",
            )

    def check_files(self, session: Session) -> None:
        """Raise UsageError for files that would replace what is read, kept, or each other."""
        read: list[Path | str] = [session.path(self.test)]
        for argument, path, kind in (("out", self.out, SCORES), ("answers", self.answers, ANSWERS)):
            if path is not None:
                check_written(argument, session.path(path), kind, read, session.workspace)
                read.append(session.path(path))


@dataclass(frozen=True, slots=True)
class BaseSettings:
    """Fields of StudentConfig that are named; None: as trained, or the default."""

    model: str | None = None
    mode: str | None = None
    max_length: int | None = None

    def over(self, config: StudentConfig) -> StudentConfig:
        """`config` with what is named instead."""
        named = {name: getattr(self, name) for name in ("model", "mode", "max_length")}
        return replace(config, **{name: v for name, v in named.items() if v is not None})


@dataclass(frozen=True, slots=True)
class ComparedSets:
    """Which sets are compared.

    `pool`: the file that they were selected from, `columns` canonical name -> the file's column.
    `out`: the folder to write, students/ in that of the sets if None. `budget`: the size of the
    sets, None for the only one. `random`: random sets, at least 2. `only`: selectors, () for all.
    `matched`: those beside which random items of as many tokens are trained on, () for all,
    ("none",) for none. `primary`: the gain that verdicts are about. `drop_leaks`: leave what is
    held out, too, out of every set, rather than refuse.
    """

    pool: str
    out: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    budget: int | None = None
    random: int = 8
    only: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()
    primary: Aggregation = "per_token"
    drop_leaks: bool = False


@dataclass(frozen=True, slots=True)
class ValidateSettings:
    """By how many random subsets of what size.

    `out`: the folder to write, validations/ beside the suite if None. `utility`: names of those
    to be validated, () for all. `size`: items of a subset, the suite's first budget if None.
    `primary`: how a gain is a mean over the test items. `drop_leaks`: train on no item of the pool
    that is held out, too, rather than refuse.
    """

    out: Path | None = None
    utility: tuple[str, ...] = ()
    subsets: int = 16
    size: int | None = None
    primary: Aggregation = "per_token"
    drop_leaks: bool = False


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """By what trainings items are valued.

    `size`: items of a block. `passes`: times that the pool is divided; two or more tell the
    reliability. `seed`: of the blocks. `primary`: how a gain is a mean over the test items.
    """

    size: int = 20
    passes: int = 4
    seed: int = 0
    primary: Aggregation = "per_token"


@dataclass(frozen=True, slots=True)
class ValueSettings:
    """How the pool is read and where its utility goes.

    `out`: the file, by default beside the pool (see `out_file`). `columns`: of the pool, canonical
    name -> the file's column. `drop_leaks`: value the pool without the items that are held out,
    too, rather than refuse; that pool is written beside the file.
    """

    out: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    drop_leaks: bool = False
