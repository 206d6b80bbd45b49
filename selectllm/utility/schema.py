"""What our files say of a utility; nothing here computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from selectllm.core.document import Correlation, Part, Share

Kind = Literal["outcome", "human", "model", "proxy"]
Standing = Literal["validated", "unvalidated"]


@dataclass(frozen=True, slots=True)
class ValidationSummary:
    """What validating a utility by training showed, in short (see utility/validation.py).

    `lds`: how far its sums over random subsets order what training on these gained, -1 to 1;
    `p`: one-sided, by permutation, that they say nothing of it; None where undefined. `subsets`:
    how many.
    """

    status: Standing
    lds: Correlation | None
    p: Share | None
    subsets: Annotated[int, Field(ge=1)]


class UtilityOrigin(Part):
    """Where a utility comes from and how far it can be trusted.

    Files of earlier versions told its kind and its rater alone.
    """

    later: ClassVar[frozenset[str]] = frozenset({"source", "reliability", "ceiling", "validation"})

    kind: Kind
    rater: str | None = Field(description="Who or what the values come from; null: nobody said.")
    source: str | None = Field(None, description="What computed it, such as ratings or knn.")
    reliability: Share | None = Field(None, description="How far the values would repeat.")
    ceiling: Share | None = Field(
        None,
        description="Square root of the reliability: no agreement can be expected above it.",
    )
    validation: ValidationSummary | None = Field(
        None, description="By training; null: nobody validated it."
    )


class UtilitySummary(UtilityOrigin):
    """A utility as it is named beside every figure that rests on it."""

    name: str
