"""What every part of a suite file is made of: closed to keys it does not know, and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from selectllm.core.codec import canonical_json
from selectllm.core.yaml_text import as_number

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""Of the JSON Schemas that are generated from types."""

Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    """Every part of a suite: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _json(value: Any) -> Any:
    """`value`, if JSON can carry it; YAML also has dates, infinity and keys that are numbers.

    Where YAML 1.1 reads 1e-2 as text, it becomes the number that it means.
    """
    value = as_number(value)
    try:
        canonical_json(value)
    except (TypeError, ValueError):
        raise ValueError("should hold only what JSON can carry. Put a date into quotes") from None
    return value


JsonMapping = Annotated[Mapping[str, Any], AfterValidator(_json)]
