"""What a model costs, and how old the table is that says so."""

from __future__ import annotations

import importlib.metadata
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selectllm.models.model import ModelSpec, Price
from selectllm.models.providers.litellm import price_per_token
from selectllm.models.providers.providers import provider_of

TABLE = "litellm/model_prices_and_context_window_backup.json"

_DATED = re.compile(r"(?<!\d)20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True, slots=True)
class Priced:
    """USD per million tokens, and who says so."""

    price: Price
    source: Literal["suite", "litellm", "free"]


@dataclass(frozen=True, slots=True)
class PriceTable:
    """litellm's table of prices. It carries no date of its own.

    `newest_model`: the latest date (YYYY-MM-DD) in the name of a model that it prices, so that
    the table is no older; None if it cannot be read.
    """

    version: str
    newest_model: str | None


def priced(spec: ModelSpec) -> Priced | None:
    """The price of `spec`: 0 where calls are free, else the suite's, else litellm's, else None.

    Imports litellm for a model that the suite does not price.
    """
    if provider_of(spec).free:
        return Priced(Price(0.0, 0.0), "free")
    price = price_per_token(spec)
    return None if price is None else Priced(price, "litellm" if spec.price is None else "suite")


def price_table() -> PriceTable:
    """The table of the installed litellm, which is not imported."""
    package = importlib.metadata.distribution("litellm")
    try:
        text = Path(str(package.locate_file(TABLE))).read_text(encoding="utf-8")
        dates = [date for name in json.loads(text) for date in _DATED.findall(name)]
    except (OSError, ValueError):
        dates = []
    return PriceTable(package.version, max(dates, default=None))
