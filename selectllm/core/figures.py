"""Types of single values in our files, with what their JSON Schema says of them.

pydantic reads the marks below by their methods, so that nothing of it has to be loaded to name one.
Bounds of figures are told, not checked: a run that was paid for must not fail of a last digit. And
they stay what was computed: 0 is not turned into 0.0, which would be other bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any


class _Told:
    """What the JSON Schema says of a value instead of what its type would say."""

    def __init__(self, **keywords: Any) -> None:
        self._keywords = keywords

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return dict(self._keywords)


@dataclass(frozen=True, slots=True)
class _Matching:
    """A text that matches a pattern, which is checked."""

    pattern: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        return {**handler(source), "pattern": self.pattern}


Number = Annotated[int | float, _Told(type="number")]
Amount = Annotated[int | float, _Told(type="number", minimum=0)]
"""A figure that cannot be below 0."""
Share = Annotated[int | float, _Told(type="number", minimum=0, maximum=1)]
"""From 0 (none) to 1 (all); of p-values and reliabilities as well."""
Coefficient = Annotated[int | float, _Told(type="number", minimum=-1, maximum=1)]
Sha256 = Annotated[str, _Matching("^[0-9a-f]{64}$")]
Range = tuple[Number, Number]
"""The lowest and the highest value of a scale."""
