"""How far utilities foretell outcomes, typed: of whole sets, by selector; nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field

from selectllm.core.document import Document, Number, Part, Sha256, Share, Tally
from selectllm.evaluation.sets.schema import Budget
from selectllm.utility.schema import UtilitySummary


class AgreementFigure(Part):
    """A measure of agreement with its two-sided `p` and interval of 95 %; null where undefined."""

    value: Number | None
    p: Share | None
    low: Number | None
    high: Number | None


class SetAgreementFigures(Part):
    """How far a foretelling number orders `arms` as their outcomes do; higher is better.

    `spearman`, `kendall` (tau-b), `partial` (Spearman given the tokens of the sets) and `tokens`
    (Spearman of the tokens themselves, what length alone foretells): -1 to 1, 0 by chance.
    `decisions`: the share of pairs of arms that both order alike, .5 by chance. `ceiling`: no
    correlation can be expected above it.
    """

    status: Literal["ok", "too few arms", "no spread"]
    arms: tuple[str, ...]
    spearman: AgreementFigure
    kendall: AgreementFigure
    decisions: AgreementFigure
    partial: AgreementFigure
    tokens: AgreementFigure
    reliability: Share | None = Field(description="Of the outcomes, over their runs.")
    foretold_reliability: Share | None
    ceiling: Share | None
    notes: tuple[str, ...]


class ForetellingUtility(UtilitySummary):
    """A utility, what the selectors' sets captured of it, and how far that foretells outcomes."""

    sha256: Sha256 = Field(description="Of its values, by item id.")
    captured: Mapping[str, Number] = Field(
        description="By selector, a mean over seeds; of whole sets: what they are worth."
    )
    agreement: SetAgreementFigures


class TestsCounted(Part):
    """Tests that every run was scored on, and those that were left out."""

    shared: Tally
    left_out: Tally


class OutcomeAgreement(Document):
    """How far the utilities of a folder of sets order its selectors as results do."""

    model_config = ConfigDict(title="what `selectllm utility agree --json` prints")

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
