"""Exported sets, results of training on them, and how far utilities foretell these, typed.

Nothing here computes.
"""

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
    """A training file of an exported folder."""

    path: str = Field(description="below the folder")
    sha256: Sha256


class SetTokens(Part):
    """Tokens of a set."""

    read: Tally = Field(description="of instructions and inputs")
    written: Tally = Field(description="of responses")


class ManifestSet(Part):
    """An exported set."""

    name: Name = Field(description="of its files, different for every set")
    arm: Name = Field(description="prompt + model, or strategy:NAME")
    budget: Budget
    seed: int = Field(description="of the selection")
    items: Annotated[int, Field(ge=1)]
    unanswered: Tally = Field(description="items without a response: their output is empty")
    tokens: SetTokens = Field(description="sums, estimated")
    files: Mapping[str, TrainingFile] = Field(min_length=1, description="by layout")


class ExportManifest(Document):
    """What ties results to the sets of an exported folder."""

    model_config = ConfigDict(title="manifest.json of an exported folder")

    format: Literal[1] = 1
    verb: Literal["export"] = "export"
    pool_sha256: Sha256
    suite: str | None = Field(description="its name; null for a selection of select")
    layouts: tuple[LayoutName, ...] = Field(min_length=1, json_schema_extra={"uniqueItems": True})
    sets: tuple[ManifestSet, ...] = Field(min_length=1)


# As figures, texts that other tools wrote are told to be so, and not checked.
Text = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1})]
Cell = tuple[str, int, int, int | None, str, str | None, str]


class ResultsSource(Part):
    """Of what exported sets the results of a file are."""

    format: Literal[1] = 1
    pool_sha256: Sha256
    suite: str | None
    export_sha256: Sha256 = Field(description="of the manifest of the exported folder")
    rows: Tally = Field(description="how many lines follow")
    unsettled: Tally = Field(description="rows of the sources without a value, left out")


class ResultsHeader(ResultsSource):
    """The same with a hash of the file."""

    sha256: Sha256 = Field(description="of everything in the file but itself")


class ResultsBegin(Part):
    """The first line of results.jsonl."""

    results: ResultsHeader


class Result(Part):
    """What a student that was trained on one set scored; the set is (arm, budget, seed)."""

    arm: Text = Field(description="prompt + model, or strategy:NAME")
    budget: Budget
    seed: int = Field(description="of the selection")
    training_seed: int | None = Field(description="of the training; null if nobody said")
    benchmark: Text
    test_id: str | None = Field(description="null: of the whole benchmark")
    metric: Text
    value: Number = Field(description="as the source has it")
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
    """What `utility import --export --json` prints: the results of a file, and what it lacks."""

    file: str
    results: Tally
    runs: Tally
    arms: tuple[str, ...]
    budgets: tuple[Budget, ...]
    metrics: Mapping[str, tuple[str, ...]] = Field(description="By metric, its benchmarks.")
    unsettled: Tally = Field(description="Rows of the sources without a value, left out.")
    exported: Tally = Field(description="Sets that were exported.")
    without_result: tuple[str, ...] = Field(description="The names of those without any.")


class AgreementFigure(Part):
    """A measure of agreement with its two-sided `p` and interval of 95 %; null where undefined."""

    value: Number | None = None
    p: Share | None = None
    low: Number | None = None
    high: Number | None = None


UNDEFINED = AgreementFigure()


class SetAgreement(Part):
    """How far a foretelling number orders `arms` as their outcomes do; higher is better.

    `spearman`, `kendall` (tau-b): -1 to 1, 0 by chance. `decisions`: pairwise decision accuracy,
    the share of pairs of arms that both sides order alike, ties half; 0 to 1, .5 by chance.
    `partial`: Spearman given the tokens of the sets. `tokens`: Spearman of the tokens themselves
    with the outcomes: what length alone foretells. Undefined without tokens.

    `reliability`: of the arms' outcomes, how far they would repeat with as many other runs;
    `foretold_reliability` likewise; null where no arm has two runs. `ceiling`: the square root of
    their product, an unknown one taken as 1: no correlation can be expected above it.
    """

    status: Literal["ok", "too few arms", "no spread"]
    arms: tuple[str, ...]
    spearman: AgreementFigure = UNDEFINED
    kendall: AgreementFigure = UNDEFINED
    decisions: AgreementFigure = UNDEFINED
    partial: AgreementFigure = UNDEFINED
    tokens: AgreementFigure = UNDEFINED
    reliability: Share | None = Field(default=None, description="Of the outcomes, over their runs.")
    foretold_reliability: Share | None = None
    ceiling: Share | None = None
    notes: tuple[str, ...] = ()


class ForetellingUtility(UtilitySummary):
    """A utility, what the selectors' sets captured of it, and how far that foretells outcomes."""

    sha256: Sha256 = Field(description="Of its values, by item id.")
    captured: Mapping[str, Number] = Field(
        description="By selector, a mean over seeds; of whole sets: what they are worth."
    )
    agreement: SetAgreement


class TestsCounted(Part):
    """Tests that every run was scored on, and those that were left out."""

    shared: Tally
    left_out: Tally


class ImportedUntrained(Part):
    """The model before training on the same tests, and the arms whose models score below it.

    `score`: higher is better. `below`: arm -> how far its mean score lies below; `clearly`: those
    of them whose interval of 95 % over runs (Student's t) does not reach it.
    """

    score: Number
    below: Mapping[str, Number]
    clearly: tuple[str, ...]


class OutcomeAgreement(Document):
    """How far the utilities of a folder of sets order its selectors as results do."""

    model_config = ConfigDict(title="what `selectllm utility agree --json` prints")
    absent: ClassVar[frozenset[str]] = frozenset({"untrained"})

    suite: str
    pool_sha256: Sha256
    metric: str
    budget: Budget
    benchmarks: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Number]] = Field(
        description="By selector and run; higher is better."
    )
    tests: TestsCounted
    agreement: tuple[ForetellingUtility, ...]
    untrained: ImportedUntrained | None = Field(
        None,
        exclude_if=lambda found: found is None,
        description="Absent where no results of the untrained model are named.",
    )


class ForetellingPart(Part):
    """How far a measure foretells the outcome in some strata: all, or those with one value.

    `spearman`: the mean over strata, from -1 to 1; higher is better and 0 is chance. `low`, `high`:
    its interval of 95 %, over groups; null below two groups. `decisions`: the mean share of pairs
    of arms that both order alike, from 0 to 1; .5 by chance.
    """

    column: str = Field(description='"" for all strata')
    value: str
    strata: Tally
    groups: Tally = Field(description="Strata that differ in the budget alone are one group.")
    spearman: Number | None
    low: Number | None
    high: Number | None
    decisions: Share | None


class Foretelling(Part):
    """One measure, and how far it foretells the outcome.

    `reliability`: how far the arms' values would repeat with as many other seeds, a mean over
    strata, from 0 to 1; null where no arm has two seeds. `outcome_reliability`: of the outcome.
    """

    measure: str
    lower_is_better: bool
    strata: Tally
    groups: Tally
    undefined: Tally = Field(description="Strata in which all arms are equal: left out.")
    overall: ForetellingPart
    parts: tuple[ForetellingPart, ...] = Field(description="By the values of each column.")
    reliability: Share | None
    outcome_reliability: Share | None


class BeyondUntrained(Part):
    """How many arms score above the untrained model, on average over the strata of one value."""

    column: str
    value: str
    budget: str
    arms: Tally
    above: Tally
    best: str
    best_gain: Number = Field(description="Of the best arm over the untrained model.")


class ForetoldTable(Document):
    """Which measures of a long table of results foretell its outcome."""

    model_config = ConfigDict(title="what `selectllm utility agree --table --json` prints")

    outcome: str
    strata_of: tuple[str, ...] = Field(description="The columns that a stratum agrees in.")
    rows: Tally
    arms: tuple[str, ...]
    measures: tuple[Foretelling, ...]
    untrained: str | None = Field(description="The arm that is the model before training.")
    beyond_untrained: tuple[BeyondUntrained, ...]
