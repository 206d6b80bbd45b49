"""What litellm's table says of a model: its price and what it takes.

The table is a file of the installed litellm; it is read as the data that it is, and nothing of
litellm is imported. How old it is, a plan says (evaluation/planning/prices.py).
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from selectllm.core.types import empty
from selectllm.models.model import ModelSpec, Price

FILE = "litellm/model_prices_and_context_window_backup.json"

_KEPT = (
    *("litellm_provider", "mode", "input_cost_per_token", "output_cost_per_token"),
    *("input_cost_per_token_batches", "output_cost_per_token_batches"),
    *("supports_system_messages", "supports_response_schema"),
    *("supports_parallel_function_calling", "default_reasoning_effort"),
    *("supports_reasoning", "output_cost_per_reasoning_token"),
)

Row = Mapping[str, Any]


@cache
def table() -> Mapping[str, Row]:
    """Every model that the table knows, in its order; none if it cannot be read.

    A row has what is of use here, and every `supports_..._reasoning_effort`.
    """
    try:
        rows = json.loads(_text())
    except ValueError:
        return empty()
    return {name: _kept(row) for name, row in rows.items()}


@cache
def _text() -> str:
    package = importlib.metadata.distribution("litellm")
    try:
        return Path(str(package.locate_file(FILE))).read_text(encoding="utf-8")
    except (OSError, ValueError):  # a version that has it elsewhere, or not at all
        return ""


@cache
def _row(name: str) -> Row:
    """The row of `name` in `table()`, empty if there is none; the other thousands stay unread."""
    written = json.dumps(name)
    found = _text().rfind(f"\n    {written}: {{")
    if found >= 0:
        with suppress(ValueError):  # cut off: told by the whole table
            return _kept(json.JSONDecoder().raw_decode(_text(), found + len(written) + 7)[0])
    return table().get(name, empty()) if written in _text() else empty()


def _kept(row: Row) -> Row:
    return {key: row[key] for key in row if key in _KEPT or key.endswith("_reasoning_effort")}


def row_of(spec: ModelSpec) -> Row | None:
    """What the table says of the model of `spec`; None if it knows none of its provider's."""
    return next(_rows(spec), None)


def _rows(spec: ModelSpec) -> Iterator[Row]:
    for key in (spec.id, spec.id.partition("/")[2]):
        row = _row(key)
        if row.get("litellm_provider", "").startswith(spec.provider):
            yield row


def openai_row(name: str) -> Row | None:
    """What the table says of OpenAI's model `name`; None if it is none of OpenAI's."""
    row = _row(name)
    return row if row.get("litellm_provider") == "openai" else None


def price_per_token(spec: ModelSpec) -> Price | None:
    """USD per million tokens: the entry's own, else the table's by `spec.id`, else None.

    The table's plain rates: discounts for cached prompts and surcharges for very long ones are
    left out.
    """
    return spec.price or _listed(spec, "")


def price_in_batches(spec: ModelSpec) -> Price | None:
    """The same for a question in a batch: the table's price of batches, else half of the usual."""
    usual = price_per_token(spec)
    if usual is None:
        return None
    listed = None if spec.price is not None else _listed(spec, "_batches")
    thought = None if usual.reasoning is None else usual.reasoning / 2
    return listed or Price(usual.input / 2, usual.output / 2, thought)


def _listed(spec: ModelSpec, kind: str) -> Price | None:
    for row in _rows(spec):
        read = row.get(f"input_cost_per_token{kind}")
        written = row.get(f"output_cost_per_token{kind}")
        if read is not None and written is not None:
            thought: Any = None if kind else row.get("output_cost_per_reasoning_token")
            dearer = None if thought in (None, written) else thought * 1e6
            return Price(read * 1e6, written * 1e6, dearer)
    return None
