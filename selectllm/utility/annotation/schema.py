"""Lines of a ratings file, typed; nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema

from selectllm.core.document import Document, Part, schema_of
from selectllm.core.figures import Amount, Number, Range, Sha256, Share
from selectllm.core.strict import Count, Name
from selectllm.utility.schema import DrawnSample

Alpha = Annotated[int | float, WithJsonSchema({"type": "number", "maximum": 1})]


class RatingsHeader(Part):
    """What the raters were asked, and how well they agree."""

    absent: ClassVar[frozenset[str]] = frozenset({"sample"})

    format: Literal[1] = 1
    suite: str = Field(description="The name of the suite.")
    pool_sha256: Sha256
    range: Range = Field(description="The lowest and the highest rating that is allowed.")
    raters: tuple[str, ...] = Field(min_length=1, json_schema_extra={"uniqueItems": True})
    items: Count = Field(description="The number of lines that follow.")
    asked: Count = Field(description="The number of items that the raters were asked about.")
    differing: bool = Field(
        description="Whether the raters were asked only about items that exactly one arm picked."
    )
    alpha: Alpha | None = Field(description="Krippendorff's alpha for interval data.")
    rater_noise: Amount | None = Field(
        description="The standard deviation of one rating, on the rating scale."
    )
    reliability: Share | None = Field(description="The reliability of the values.")
    sample: DrawnSample | None = Field(
        None,
        description="The clusters that the items come from, if they were drawn at random.",
        exclude_if=lambda sample: sample is None,
    )


class RatingsBegin(Part):
    """The first line of the file."""

    ratings: RatingsHeader


class RatedItem(Part):
    """An item with its ratings."""

    id: Name
    value: Number = Field(description="The mean of the ratings.")
    ratings: Mapping[str, Number] = Field(min_length=1, description="The rating of each rater.")


def ratings_schema() -> dict[str, Any]:
    """The JSON Schema of a line of a ratings file."""
    return schema_of(RatingsBegin | RatedItem, title="one line of a ratings file")


class SuiteRatings(Part):
    """How a suite names a ratings file."""

    name: str = "rating"
    source: Literal["import"] = "import"
    file: str
    range: Range


class RatingsImported(Document):
    """What `utility import --json` prints: what was asked for, and what came back."""

    file: str
    items: Count
    asked: Count
    raters: tuple[str, ...] = Field(min_length=1)
    raters_asked: Count
    alpha: Alpha | None = Field(description="Krippendorff's alpha for interval data.")
    rater_noise: Amount | None = Field(
        description="The standard deviation of one rating, on the rating scale."
    )
    utility: SuiteRatings
