"""What jobs are told by options: frozen values, which load nothing but the errors that they raise.

The command line gathers options into them without the jobs that take them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from selectllm.core.choices import EngineName, Keep, LayoutName, TargetName
from selectllm.core.errors import UsageError, check_whole

if TYPE_CHECKING:
    from selectllm.downstream.outcomes.exported import SetReference
    from selectllm.evaluation.suite import Suite
    from selectllm.jobs.engine import Engine


@dataclass(frozen=True, slots=True)
class Evaluating:
    """What every job that evaluates a suite is told of it.

    `out`: the run folder; None for eval/runs/SUITE-<hash> in the workspace. `seed`, `limit`:
    instead of the suite's seed and number of clusters. `record`: a file to write the replies to,
    for the suite's `replies`, which need not exist then.
    """

    out: Path | str | None = None
    seed: int | None = None
    limit: int | None = None
    record: Path | str | None = None

    def applied(self, suite: Suite) -> Suite:
        """The suite with what was said instead. Raises UsageError for a limit below 1."""
        check_whole("seed", self.seed)
        check_whole("limit", self.limit)
        if self.seed is not None:
            suite = suite.model_copy(update={"seed": self.seed})
        if self.limit is not None:
            if self.limit < 1:
                raise UsageError(f"`limit` {self.limit} is below 1", argument="limit")
            clusters = suite.clusters.model_copy(update={"limit": self.limit})
            suite = suite.model_copy(update={"clusters": clusters})
        return suite


@dataclass(frozen=True, slots=True)
class Auditing:
    """What is audited of a suite, and how; see the job `audit`.

    `prompt`, `model`: the pair; None for the suite's only one. `compare_prompt`: other prompts,
    whose resistance to attacks is compared. `probe`: names of probes, () for all. `orders`: in
    which each cluster is shown. `repeats`: replies to one question. `again`: cached calls that are
    asked again at most. `baseline`: a recorded audit, its folder or its file.
    """

    prompt: str | None = None
    model: str | None = None
    compare_prompt: Sequence[str] = ()
    probe: Sequence[str] = ()
    orders: int = 14
    repeats: int = 3
    again: int = 20
    baseline: Path | str | None = None

    def check(self) -> None:
        """Raise UsageError for numbers that cannot be."""
        for name, least, most in (("orders", 1, 100), ("repeats", 1, 100), ("again", 0, 10_000)):
            value = getattr(self, name)
            check_whole(name, value)
            if not least <= value <= most:
                raise UsageError(f"`{name}` {value} is not from {least} to {most}", argument=name)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Where the work is done: `local`, on this machine, or by `ray`, on the machines of a cluster.

    `ray_address`: HOST:PORT of its head; None starts Ray on this machine alone.
    """

    engine: EngineName = "local"
    ray_address: str | None = None

    def opened(self) -> Engine:
        """The engine, of which nothing is started yet.

        Raises ExtraMissing without Ray, UsageError for an address of no cluster.
        """
        if self.engine == "ray":
            from selectllm.jobs.ray import RayEngine

            return RayEngine(self.ray_address)
        if self.ray_address is not None:
            raise UsageError(
                f"`ray_address` {self.ray_address} is the address of a Ray cluster. Add `engine` "
                "ray",
                argument="ray_address",
            )
        from selectllm.jobs.engine import LocalEngine

        return LocalEngine()


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What is said of the one model that is named: its server, and settings as `KEY=VALUE`."""

    api_base: str | None
    model_arg: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return self.api_base is not None or bool(self.model_arg)


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Where the items come from, and how they are written.

    `out`: the folder. `pool`: the file that the sets of a folder were selected from; a selection
    holds its items itself. `columns`: of that file, canonical name -> its column. `layout`: names
    of LAYOUTS, () for all. `unanswered`: whether items without a response are written too.
    """

    out: Path
    pool: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    layout: tuple[LayoutName, ...] = ()
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """Where the training file goes, and how answers are joined.

    `out`: JSON lines. `columns`: as the items were selected with. `keep`: of different answers to
    one item the first or the last; None leaves the item out and counts it.
    """

    out: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    keep: Keep | None = None


@dataclass(frozen=True, slots=True)
class HandoverSettings:
    """Which tool the items are for, and where they are written.

    `to`: a name of TARGETS. `out`: the file, with the tool's suffix; None for the name of the
    source with `.handover` before it. `pool`: the file that a selection was made from, whose texts
    are shown of the items that were not selected. `columns`: as it was selected with. `arm`: of a
    run of several pairs, PROMPT+MODEL.
    """

    to: TargetName
    out: Path | None = None
    pool: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class Searching:
    """What a search is told of its suite; see `optimize`."""

    prompt: str | None = None
    model: str | None = None
    grid: bool = False
    teacher: str | None = None
    budget: int | None = None
    demonstrations: int = 0
    force: bool = False
    out: Path | str | None = None
    seed: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class AgreeSettings:
    """Which results are held against which utilities.

    `results`: the file that results were imported into. `metric`, `budget`: None for the only
    one. `benchmark`, `utility`: () for all. `export`: a folder that was exported, to take the
    tokens of the sets from; None for those of the sets' folder. `untrained_results`: a file of
    results of the model before training.
    """

    results: Path | None = None
    metric: str | None = None
    budget: int | None = None
    benchmark: tuple[str, ...] = ()
    utility: tuple[str, ...] = ()
    export: Path | None = None
    untrained_results: Path | None = None


@dataclass(frozen=True, slots=True)
class TableSettings:
    """How a long table of published results is read and what it is asked.

    `table`: the file. `roles`: see `read_result_table`. `outcome`, `lower`, `untrained`: see
    `foretold`.
    """

    table: Path | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    outcome: str | None = None
    lower: tuple[str, ...] = ()
    untrained: str | None = None


@dataclass(frozen=True, slots=True)
class SheetSettings:
    """How filled-in sheets are read.

    `asked`: the .ask.json of the sheets, if elsewhere. `add`: a ratings file whose ratings are
    kept beside these. `partial`: whether items that nobody rated may be missing.
    """

    asked: Path | None = None
    add: Path | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class ResultSettings:
    """Of what exported sets results are, where the files do not say it.

    `export`: the folder that was exported; `arm`, `budget` and `seed`: the set that a file of one
    model is of; `training_seed`: of results that state none.
    """

    export: Path | None = None
    arm: str | None = None
    budget: int | None = None
    seed: int | None = None
    training_seed: int | None = None

    @property
    def given(self) -> SetReference | None:
        """The set that was named. Raises UsageError for a budget or seed of no arm."""
        if self.arm is None and (self.budget, self.seed) != (None, None):
            raise UsageError(
                "`budget` and `seed` say which set of an arm is meant. Name the `arm` as well",
                argument="arm",
            )
        from selectllm.downstream.outcomes.exported import SetReference

        return None if self.arm is None else SetReference(self.arm, self.budget, self.seed)


@dataclass(frozen=True, slots=True)
class RatingRequest:
    """What raters are to be asked, and how.

    `out`: the sheet, .csv, .jsonl, .argilla or .json (Label Studio). `differing`: only the items
    that exactly one arm of a run picked. `raters`: sheets, each in an order of its own. `scale`:
    lowest and highest rating; None for the suite's range, else 1 to 5. `sample`: only the items of
    so many clusters, drawn at random, for a judge to stand in for the rest. `rubric`: a file with
    what raters are told instead of ours. `rated`: a ratings file whose items are left out. `limit`:
    only the first clusters of a suite. `seed`: of the shuffle and of the sample.
    """

    out: Path
    differing: bool = False
    raters: int = 1
    scale: tuple[float, float] | None = None
    rubric: Path | None = None
    with_responses: bool = False
    rated: Path | None = None
    limit: int | None = None
    sample: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CalibrateSettings:
    """Which judge is held against whose ratings.

    `judge`: a utility of the suite, or a strategy that gives every item a number, such as
    rating:PROMPT+MODEL; None for the suite's gate.assisted_by. `human`: a utility of the suite,
    None for gate.utility. `worst`: disagreements that are listed. `out`: a utility file for the
    numbers of such a strategy, which then rates every item of the clusters, so that a suite can
    name it as a judge.
    """

    judge: str | None = None
    human: str | None = None
    worst: int = 10
    out: Path | None = None
