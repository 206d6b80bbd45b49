"""What every part of a suite file is made of: closed to keys it does not know, and frozen."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic import Strict as NoOther

from selectllm.core.codec import canonical_json
from selectllm.core.yaml_text import as_number

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""Of the JSON Schemas that are generated from types."""


_NUMERIC = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_NUMBER = "should be a number"
_WHOLE = "should be a whole number"


def _plain(kind: str) -> Callable[[Any], Any]:
    """Refuses text and truth values where a number should be, though Python reads both as one.

    Where YAML 1.1 reads 1e-2 as text, it becomes the number that it means.
    """

    def checked(value: Any) -> Any:
        value = as_number(value)
        if isinstance(value, bool):
            raise ValueError(f"{kind}, not true or false")
        if isinstance(value, str):
            quoted = _NUMERIC.fullmatch(value.strip()) is not None
            raise ValueError(f"{kind}, without quotes" if quoted else kind)
        return value

    return checked


WHOLE = BeforeValidator(_plain(_WHOLE))
NUMBER = BeforeValidator(_plain(_NUMBER))
"""Behind the limits of a number, which would not reach its JSON Schema otherwise."""
Whole = Annotated[int, WHOLE]
Number = Annotated[float, NUMBER]
Switch = Annotated[bool, NoOther()]
"""True or false, and neither 1 nor `"yes"`."""
Count = Annotated[int, Field(ge=1), WHOLE]
Name = Annotated[str, Field(min_length=1)]

_MAPPING = "should be a mapping, such as {{key: value}}"
_REASONS = {
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "too_short": "should have {min_length} or more entries",
    "string_type": "should be text",
    "string_too_short": "should not be empty",
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

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        defer_build=True,  # most verbs need few of the models that they import
    )


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
