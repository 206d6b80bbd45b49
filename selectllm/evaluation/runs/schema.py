"""results.json and run.json of a run folder, typed; nothing here computes."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from selectllm.core.document import Document, Part, Tally
from selectllm.core.figures import Number, Sha256, Share
from selectllm.core.verdict_words import VerdictKind, Word
from selectllm.evaluation.comparison.schema import (
    By,
    DecidingUtility,
    Noise,
    Verdict,
)
from selectllm.evaluation.metrics.schema import SlotHistogram, UtilityAgreement
from selectllm.stats.interval import Interval


class RunUtility(DecidingUtility):
    """A utility that covers the clusters of the run."""

    sha256: Sha256 = Field(description="Of its values, by item id.")


class ArmFigures(Part):
    """How one arm's picks agree with every utility, and what its calls took.

    `clusters`, `flat_clusters`: of the deciding utility, counted and left out.
    `replay_cost_usd`: what the replies cost when they were made; null: not all are priced.
    """

    absent: ClassVar[frozenset[str]] = frozenset({"tokens_reasoning"})

    clusters: Tally
    flat_clusters: Tally | None
    agreement: Mapping[str, UtilityAgreement] = Field(description="By the name of the utility.")
    tokens_in: int | None
    tokens_out: int | None
    replay_cost_usd: Number | None
    seconds: Number | None
    tokens_reasoning: Tally | None = Field(
        None,
        exclude_if=lambda count: count is None,
        description="Those of tokens_out that are thinking, as far as that is known; absent where "
        "none are.",
    )


class FixedVote(Part):
    """The vote that always has all its ballots, of the same prompt and model in the same clusters.

    `difference`: by utility, what the adaptive vote captured less what the fixed one did; below 0:
    agreement was lost. `same`: of the decisions, those with the same picks.
    """

    model: str
    ballots: Tally
    same: Share | None
    difference: Mapping[str, Interval | None]


class AdaptiveVote(Part):
    """What a vote asked that goes on only where its ballots disagree.

    `least`, `most`: ballots of a decision; `until`: the mean overlap of their picks that ends it.
    `ballots`: of all decisions; `ballots_fixed`: what always asking for `most` takes, less where a
    cluster has fewer orders. `ended_first`: decisions whose first ballots agreed.
    """

    absent: ClassVar[frozenset[str]] = frozenset({"fixed"})

    least: Tally
    most: Tally
    until: Share
    ballots: Tally
    ballots_fixed: Tally
    ended_first: Tally
    fixed: FixedVote | None = Field(
        None,
        exclude_if=lambda fixed: fixed is None,
        description="Absent unless the run has that model, too.",
    )


class PairFigures(ArmFigures):
    """A prompt with a model."""

    absent: ClassVar[frozenset[str]] = ArmFigures.absent | {"vote", "wins"}

    prompt: str
    model: str
    decisions: Tally
    valid_rate: Share | None = Field(description="Of the decisions: status ok or repaired.")
    status_counts: Mapping[str, Tally]
    order_consistency: Interval | None = Field(
        description="kappa of its picks over orders; null with one order."
    )
    slots: SlotHistogram
    vote: AdaptiveVote | None = Field(
        None,
        exclude_if=lambda vote: vote is None,
        description="What an adaptive vote asked; absent for everything else.",
    )
    wins: tuple[Tally, ...] | None = Field(
        None,
        exclude_if=lambda wins: wins is None,
        description="By place, how often what stood there was said to be better, of prompts that "
        "compare two or a few; absent for everything else.",
    )


class StrategyFigures(ArmFigures):
    """A strategy, in the same clusters."""

    strategy: str


Names = Annotated[tuple[str, str], Field(description="Prompt and model.")]


class Overlap(Part):
    """How far two pairs pick the same: 0 as random picks overlap, 1 the same picks."""

    a: Names
    b: Names
    kappa: Interval | None


class RunResults(Document):
    """Every figure of a run; the same decisions give the same bytes.

    What was spent this time, cache hits and clocks are not here; they live in decisions.jsonl.
    """

    model_config = ConfigDict(title="results.json of a run folder")

    format: Literal[1] = 1
    suite: str
    picks: Tally
    clusters: Tally
    cluster_sizes: tuple[Tally, ...]
    utilities: tuple[RunUtility, ...]
    pairs: tuple[PairFigures, ...]
    strategies: tuple[StrategyFigures, ...]
    overlaps: tuple[Overlap, ...]
    verdicts: tuple[Verdict, ...]
    noise: Noise | None = Field(None, description="What aa found; null for every other command.")

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of its verdicts."""
        return tuple(verdict.word for verdict in self.verdicts)


class ComparedArm(Part):
    """An arm: a prompt with a model, or a strategy; the rest is null."""

    prompt: str | None
    model: str | None
    strategy: str | None


class ManifestComparison(Part):
    """What the arms of a run are compared for."""

    kind: Literal["aa", VerdictKind]
    arms: tuple[ComparedArm, ...]
    by: By | None
    differing: bool
    looks: tuple[tuple[int, int], ...] = Field(
        description="Sequential: clusters asked, and how many of them decide, at each look."
    )
    retain: Number | None
    why: str | None


class RunManifest(Part):
    """What a run was made from: equal manifests and replies give equal results.

    Its hash is that of what was written, whatever the version, so it is open to further keys.
    `measures`: what the measures of strategies depend on, by strategy; absent without any.
    """

    model_config = ConfigDict(extra="allow")
    absent: ClassVar[frozenset[str]] = frozenset({"measures"})

    format: Any
    suite: Any
    pool_sha256: Any
    clusters_sha256: Any
    picks: Any
    orders: Any
    repeats: Any
    seed: Any
    gate: Any
    utilities: Any
    prompts: Any
    models: Any
    pairs: Any
    strategies: Any
    comparison: ManifestComparison | None = Field(
        description="What the arms are compared for; null in eval."
    )
    baseline_sha256: Sha256 | None
    measures: Mapping[str, Mapping[str, Any]] | None = None


class PoolPlace(Part):
    """Where the pool lay, from the folder of the run, and how its columns were named."""

    path: str
    columns: Mapping[str, Any]


class RunFile(Document):
    """What a run was made from, and by which versions."""

    model_config = ConfigDict(title="run.json of a run folder")

    manifest: RunManifest
    versions: Mapping[str, str | None]
    pool: PoolPlace
