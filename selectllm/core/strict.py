"""What every part of a suite file is made of: closed to keys it does not know, and frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from selectllm.core.codec import canonical_json
from selectllm.core.yaml_text import as_number

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""Of the JSON Schemas that are generated from types."""

Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]


_NUMBER = "should be a number"
_WHOLE = "should be a whole number"
_MAPPING = "should be a mapping, such as {{key: value}}"
_REASONS = {
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "string_type": "should be text",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "greater_than": "should be above {gt:g}",
    "greater_than_equal": "should be at least {ge:g}",
    "less_than": "should be below {lt:g}",
    "less_than_equal": "should be at most {le:g}",
}
"""What a value should be, by pydantic's name of the error."""


def reason_of(error: Mapping[str, Any]) -> str:
    """What a value should be that pydantic refused, in words that know nothing of pydantic."""
    if (reason := _REASONS.get(error["type"])) is not None:
        return reason.format(**error.get("ctx", {}))
    return re.sub(r"^(Input should|Value error, should)", "should", error["msg"])


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
