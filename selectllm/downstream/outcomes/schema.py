"""Exported sets, results of training on them, and how far utilities foretell these, typed.

Nothing here computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from selectllm.core.choices import LayoutName
from selectllm.core.document import Document, Part, Tally, schema_of
from selectllm.core.figures import Number, Sha256, Share
from selectllm.core.strict import Name
from selectllm.evaluation.sets.schema import Budget
from selectllm.utility.schema import UtilitySummary


class TrainingFile(Part):
    """A training file in an exported folder."""

    path: str = Field(description="The path, relative to the folder.")
    sha256: Sha256


class SetTokens(Part):
    """The numbers of tokens in a set."""

    read: Tally = Field(description="The tokens of the instructions and inputs.")
    written: Tally = Field(description="The tokens of the responses.")


class ManifestSet(Part):
    """An exported set."""

    name: Name = Field(description="The name of its files, which is different for every set.")
    arm: Name = Field(description="prompt + model, or strategy:NAME.")
    budget: Budget
    seed: int = Field(description="The seed of the selection.")
    items: Annotated[int, Field(ge=1)]
    unanswered: Tally = Field(
        description="The number of items without a response. Their output is empty."
    )
    tokens: SetTokens = Field(description="Estimated totals.")
    files: Mapping[str, TrainingFile] = Field(
        min_length=1, description="The training files, by layout."
    )


class ExportManifest(Document):
    """The sets in an exported folder, so that results can be assigned to them."""

    model_config = ConfigDict(title="manifest.json of an exported folder")

    format: Literal[1] = 1
    verb: Literal["export"] = "export"
    pool_sha256: Sha256
    suite: str | None = Field(
        description="The name of the suite. Null for a selection made by `select`."
    )
    layouts: tuple[LayoutName, ...] = Field(min_length=1, json_schema_extra={"uniqueItems": True})
    sets: tuple[ManifestSet, ...] = Field(min_length=1)


# As figures, texts that other tools wrote are told to be so, and not checked.
Text = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1})]
Cell = tuple[str, int, int, int | None, str, str | None, str]


class ResultsSource(Part):
    """The exported sets that the results in a file belong to."""

    format: Literal[1] = 1
    pool_sha256: Sha256
    suite: str | None
    export_sha256: Sha256 = Field(description="The hash of the manifest of the exported folder.")
    rows: Tally = Field(description="The number of lines that follow.")
    unsettled: Tally = Field(
        description="The number of rows in the sources that were left out because they have no "
        "value."
    )


class ResultsHeader(ResultsSource):
    """The sets that the results belong to, and a hash of the file."""

    sha256: Sha256 = Field(description="The hash of everything else in the file.")


class ResultsBegin(Part):
    """The first line of results.jsonl."""

    results: ResultsHeader


class Result(Part):
    """The score of a student that was trained on one set.

    The set is identified by `arm`, `budget` and `seed`.
    """

    arm: Text = Field(description="prompt + model, or strategy:NAME.")
    budget: Budget
    seed: int = Field(description="The seed of the selection.")
    training_seed: int | None = Field(
        description="The seed of the training. Null if it was not given."
    )
    benchmark: Text
    test_id: str | None = Field(
        description="The test that was scored. Null for the whole benchmark."
    )
    metric: Text
    value: Number = Field(description="The score as the source gives it.")
    higher_is_better: bool
    source_file_sha256: Sha256

    @property
    def cell(self) -> Cell:
        """What it is the value of."""
        of_set = self.arm, self.budget, self.seed, self.training_seed
        return *of_set, self.benchmark, self.test_id, self.metric


def results_schema() -> dict[str, Any]:
    """The JSON Schema of a line of results.jsonl."""
    return schema_of(ResultsBegin | Result, title="a line of results.jsonl")


class ResultsImported(Document):
    """What `utility import --export --json` prints: the results, and which are missing."""

    file: str
    results: Tally
    runs: Tally
    arms: tuple[str, ...]
    budgets: tuple[Budget, ...]
    metrics: Mapping[str, tuple[str, ...]] = Field(description="The benchmarks of each metric.")
    unsettled: Tally = Field(
        description="The number of rows in the sources that were left out because they have no "
        "value."
    )
    exported: Tally = Field(description="The number of sets that were exported.")
    without_result: tuple[str, ...] = Field(description="The names of the sets without a result.")


class AgreementFigure(Part):
    """A measure of agreement with its two-sided `p` and 95 % interval. Null if undefined."""

    value: Number | None = None
    p: Share | None = None
    low: Number | None = None
    high: Number | None = None


UNDEFINED = AgreementFigure()


class SetAgreement(Part):
    """How well a predictor orders `arms` in the same way as their outcomes. Higher is better.

    `spearman` and `kendall` (tau-b) lie between -1 and 1, with 0 by chance. `decisions` is the
    pairwise decision accuracy: the share of pairs of arms that both sides order alike, where a tie
    counts half. It lies between 0 and 1, with 0.5 by chance. `partial` is Spearman's correlation
    when the tokens of the sets are held constant. `tokens` is Spearman's correlation of the tokens
    themselves with the outcomes, that is, what length alone predicts. Both are undefined if the
    tokens are not known.

    `reliability` says how well the outcomes of the arms would repeat with as many other runs, and
    `foretold_reliability` says the same about the predictor. They are null if no arm has two runs.
    `ceiling` is the square root of their product, where an unknown one counts as 1. No correlation
    can be expected to be higher.
    """

    status: Literal["ok", "too few arms", "no spread"]
    arms: tuple[str, ...]
    spearman: AgreementFigure = UNDEFINED
    kendall: AgreementFigure = UNDEFINED
    decisions: AgreementFigure = UNDEFINED
    partial: AgreementFigure = UNDEFINED
    tokens: AgreementFigure = UNDEFINED
    reliability: Share | None = Field(
        default=None, description="The reliability of the outcomes over their runs."
    )
    foretold_reliability: Share | None = None
    ceiling: Share | None = None
    notes: tuple[str, ...] = ()


class ForetellingUtility(UtilitySummary):
    """A utility, what the selectors' sets captured of it, and how well that predicts outcomes."""

    sha256: Sha256 = Field(description="The hash of its values, by item id.")
    captured: Mapping[str, Number] = Field(
        description="By selector, the mean over seeds. For utilities of whole sets, what the sets "
        "are worth."
    )
    agreement: SetAgreement


class TestsCounted(Part):
    """How many tests every run was scored on, and how many were left out."""

    shared: Tally
    left_out: Tally


class ImportedUntrained(Part):
    """The score of the model before training, and the arms whose models score lower on these tests.

    For `score`, higher is better. `below` says by how much the mean score of an arm is lower.
    `clearly` names the arms whose 95 % interval over runs (Student's t) does not reach the score.
    """

    score: Number
    below: Mapping[str, Number]
    clearly: tuple[str, ...]


class OutcomeAgreement(Document):
    """How well the utilities of a folder of sets order its selectors as the results do."""

    model_config = ConfigDict(title="what `selectllm utility agree --json` prints")
    absent: ClassVar[frozenset[str]] = frozenset({"untrained"})

    suite: str
    pool_sha256: Sha256
    metric: str
    budget: Budget
    benchmarks: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Number]] = Field(
        description="The scores by selector and run. Higher is better."
    )
    tests: TestsCounted
    agreement: tuple[ForetellingUtility, ...]
    untrained: ImportedUntrained | None = Field(
        None,
        exclude_if=lambda found: found is None,
        description="Absent if no results of the untrained model were named.",
    )


class ForetellingPart(Part):
    """How well a measure predicts the outcome in all strata, or in those with one value.

    `spearman` is the mean over strata, from -1 to 1; higher is better and 0 is chance. `low` and
    `high` are its 95 % interval over groups, and null with fewer than two groups. `decisions` is
    the mean share of pairs of arms that both order alike, from 0 to 1, with 0.5 by chance.
    """

    column: str = Field(description='The column. "" stands for all strata.')
    value: str
    strata: Tally
    groups: Tally = Field(
        description="The number of groups. Strata that differ only in the budget are one group."
    )
    spearman: Number | None
    low: Number | None
    high: Number | None
    decisions: Share | None


class Foretelling(Part):
    """One measure, and how well it predicts the outcome.

    `reliability` says how well the values of the arms would repeat with as many other seeds, as a
    mean over strata, from 0 to 1. It is null if no arm has two seeds. `outcome_reliability` says
    the same about the outcome.
    """

    measure: str
    lower_is_better: bool
    strata: Tally
    groups: Tally
    undefined: Tally = Field(
        description="The number of strata that are left out because all arms are equal."
    )
    overall: ForetellingPart
    parts: tuple[ForetellingPart, ...] = Field(
        description="The results for each value of each column."
    )
    reliability: Share | None
    outcome_reliability: Share | None


class BeyondUntrained(Part):
    """How many arms score higher than the untrained model, averaged over the strata of a value."""

    column: str
    value: str
    budget: str
    arms: Tally
    above: Tally
    best: str
    best_gain: Number = Field(
        description="How much higher the best arm scores than the untrained model."
    )


class ForetoldTable(Document):
    """Which measures in a long table of results predict its outcome."""

    model_config = ConfigDict(title="what `selectllm utility agree --table --json` prints")

    outcome: str
    strata_of: tuple[str, ...] = Field(
        description="The columns whose values are the same within a stratum."
    )
    rows: Tally
    arms: tuple[str, ...]
    measures: tuple[Foretelling, ...]
    untrained: str | None = Field(description="The arm that stands for the model before training.")
    beyond_untrained: tuple[BeyondUntrained, ...]
