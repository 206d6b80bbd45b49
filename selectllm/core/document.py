"""What our JSON files are written from and read into: frozen models, closed to unknown fields.

The models of a room's files lie in its `schema.py`, which computes nothing; the JSON Schemas that
ship with the package are generated from them (`python -m selectllm.report.schemas`).
"""

import json
from collections.abc import KeysView
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from selectllm.core.codec import pretty_json
from selectllm.core.errors import RunError
from selectllm.core.files import read_json, write_text
from selectllm.core.shown import excerpt, shortened
from selectllm.core.strict import DIALECT, Strict, reason_of

Tally = Annotated[int, Field(ge=0)]
"""How many there are."""


class Part(Strict):
    """A part of a file that we write.

    `later`: fields that files of earlier versions lack, which therefore have a default. `absent`:
    fields that are left out where they are None. All other fields are always there, and required
    in the JSON Schema, default or not.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)
    later: ClassVar[frozenset[str]] = frozenset()
    absent: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of the fields: `later` and `absent` not required, `absent` never null."""
        schema = handler(core_schema)
        fields = handler.resolve_ref_schema(schema)
        if "required" in fields:
            optional = cls.later | cls.absent
            fields["required"] = [name for name in fields["required"] if name not in optional]
        for name in cls.absent:
            fields["properties"][name] = _not_null(fields["properties"][name])
        return schema

    @classmethod
    def exactly(cls, content: Any) -> Self:
        """`content` as JSON has it, nothing converted. Raises ValueError with what does not fit."""
        try:
            return cls.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            raise ValueError(_why(error)) from None

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        content: dict[str, Any] = self.model_dump(mode="json", by_alias=True)
        left_out = [name for name in self.absent if content.get(name) is None]
        return {name: value for name, value in content.items() if name not in left_out}


class Document(Part):
    """A whole file that we write.

    Read as attributes (`results.pairs[0].model`, typed), or by key as its JSON has it
    (`results["pairs"][0]["model"]`, `dict(results)`).
    """

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON Schema of such files, as their types say it now."""
        return schema_of(cls)

    def keys(self) -> KeysView[str]:
        """The names of what the file holds; with them a document reads like its JSON."""
        return self.to_json().keys()

    def __getitem__(self, name: str) -> Any:
        """What the file has under `name`, as plain lists, objects and values.

        Raises KeyError for a name that it has not.
        """
        return self.to_json()[name]

    def __contains__(self, name: object) -> bool:
        return name in self.to_json()

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all; equal content gives equal bytes."""
        write_text(path, pretty_json(self.to_json()))

    @classmethod
    def of(cls, content: Any) -> Self:
        """`content` of a file as this document. Raises ValueError with what does not fit."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise ValueError(_why(error)) from None

    @classmethod
    def read(cls, path: Path, otherwise: str) -> Self:
        """The file at `path`. Raises RunError for one that is missing, no JSON, or not such a file.

        Also for one whose `format` is of a later version.

        `otherwise`: what to say in the last case, with `{why}` for what does not fit.
        """
        content = read_json(path)
        known = cls.model_fields["format"].default if "format" in cls.model_fields else None
        if isinstance(known, int) and isinstance(given := content.get("format"), int):
            if given > known:
                raise RunError(
                    f"{path} has format {given}, and this version of selectllm reads {known}. It "
                    "was written by a later version: update selectllm"
                )
        try:
            return cls.of(content)
        except ValueError as error:
            raise RunError(f"{path}: {otherwise.format(why=error)}") from None


def _not_null(field: JsonSchemaValue) -> JsonSchemaValue:
    """The schema of a field that may be null, as one that may not."""
    kind: JsonSchemaValue
    (kind,) = (each for each in field["anyOf"] if each != {"type": "null"})
    return kind | {name: field[name] for name in field if name not in ("anyOf", "default")}


class _Untitled(GenerateJsonSchema):
    """Without a title for every field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False


def schema_of(documents: Any, **beside: Any) -> dict[str, Any]:
    """The JSON Schema of a Document, or of a union of them; `beside`: further keywords."""
    schema = TypeAdapter(documents).json_schema(mode="serialization", schema_generator=_Untitled)
    return {"$schema": DIALECT, **schema, **beside}


def _why(error: ValidationError) -> str:
    """The first thing that does not fit: where, which value, what it should be."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"no {place}"
    if first["type"] == "extra_forbidden":
        return f"{place} is not known. Was it written by a later version?"
    value = first["input"]
    shown = excerpt(value) if isinstance(value, str) else shortened(value)
    return f"{place}: {shown} {reason_of(first)}"
