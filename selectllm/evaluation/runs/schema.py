"""results.json and run.json of a run folder, typed; nothing here computes."""

from __future__ import annotations

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
    """A utility that has values for the clusters of the run."""

    sha256: Sha256 = Field(description="The hash of its values, by item id.")


class ArmFigures(Part):
    """How well one arm's picks agree with each utility, and what its calls took.

    `clusters` and `flat_clusters` are the numbers of clusters that count for the deciding utility
    and that are left out. `replay_cost_usd` is what the replies cost when they were made. It is
    null if the price of any of them is not known.
    """

    absent: ClassVar[frozenset[str]] = frozenset({"tokens_reasoning"})

    clusters: Tally
    flat_clusters: Tally | None
    agreement: Mapping[str, UtilityAgreement] = Field(
        description="The agreement, by the name of the utility."
    )
    tokens_in: int | None
    tokens_out: int | None
    replay_cost_usd: Number | None
    seconds: Number | None
    tokens_reasoning: Tally | None = Field(
        None,
        exclude_if=lambda count: count is None,
        description="How many of tokens_out are known to be thinking. Absent if none are.",
    )


class FixedVote(Part):
    """The vote of the same prompt and model in the same clusters that always asks all ballots.

    `difference` is, for each utility, what the adaptive vote captured minus what the fixed one did.
    It is below 0 if agreement was lost. `same` is the share of decisions with the same picks.
    """

    model: str
    ballots: Tally
    same: Share | None
    difference: Mapping[str, Interval | None]


class AdaptiveVote(Part):
    """What an adaptive vote asked. It asks further ballots only if the first ones disagree.

    `least` and `most` are the smallest and largest number of ballots for a decision. A vote ends as
    soon as the mean overlap of the ballots' picks reaches `until`. `ballots` is the number of
    ballots of all decisions, and `ballots_fixed` the number if `most` had always been asked, or
    fewer if a cluster has fewer orders. `ended_first` is the number of decisions whose first
    ballots agreed.
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
        description="Absent unless the run also contains the model with a fixed vote.",
    )


class PairFigures(ArmFigures):
    """The figures of a prompt with a model."""

    absent: ClassVar[frozenset[str]] = ArmFigures.absent | {"vote", "wins"}

    prompt: str
    model: str
    decisions: Tally
    valid_rate: Share | None = Field(
        description="The share of decisions whose status is ok or repaired."
    )
    status_counts: Mapping[str, Tally]
    order_consistency: Interval | None = Field(
        description="The kappa of its picks in different orders. Null with one order."
    )
    slots: SlotHistogram
    vote: AdaptiveVote | None = Field(
        None,
        exclude_if=lambda vote: vote is None,
        description="What an adaptive vote asked. Absent without one.",
    )
    wins: tuple[Tally, ...] | None = Field(
        None,
        exclude_if=lambda wins: wins is None,
        description="For prompts that compare two or a few items: how often the item in each "
        "place won, starting with the first place. Absent for other prompts.",
    )


class StrategyFigures(ArmFigures):
    """The figures of a strategy in the same clusters."""

    strategy: str


Names = Annotated[tuple[str, str], Field(description="The names of the prompt and the model.")]


class Overlap(Part):
    """How similar the picks of two pairs are.

    0 means as similar as random picks, and 1 means that they are the same.
    """

    a: Names
    b: Names
    kappa: Interval | None


class RunResults(Document):
    """All figures of a run. The same decisions always give the same bytes.

    What was spent this time, cache hits and times are not included. They are in decisions.jsonl.
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
    noise: Noise | None = Field(None, description="What aa found. Null for every other command.")

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of its verdicts."""
        return tuple(verdict.word for verdict in self.verdicts)


class ComparedArm(Part):
    """An arm. It has either a prompt and a model, or a strategy; the other fields are null."""

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
        description="For a sequential design: how many clusters were asked, and how many of them "
        "count, at each look."
    )
    retain: Number | None
    why: str | None


class RunManifest(Part):
    """What a run was made from. Equal manifests and replies give equal results.

    Further keys are allowed, because the hash of a manifest covers whatever version wrote it.
    `measures` says, for each strategy, what the measure that it uses depends on. It is absent if
    there are none.
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
        description="What the arms are compared for. Null for eval."
    )
    baseline_sha256: Sha256 | None
    measures: Mapping[str, Mapping[str, Any]] | None = None


class PoolPlace(Part):
    """The path of the pool, relative to the folder of the run, and how its columns were named."""

    path: str
    columns: Mapping[str, Any]


class RunFile(Document):
    """What a run was made from, and with which versions."""

    model_config = ConfigDict(title="run.json of a run folder")

    manifest: RunManifest
    versions: Mapping[str, str | None]
    pool: PoolPlace
