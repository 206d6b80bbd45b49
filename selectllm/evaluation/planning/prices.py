"""What a model costs, and how old the table is that says so."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable
from dataclasses import dataclass

from selectllm.evaluation.planning.schema import LitellmPrices, PriceSource, TokenPrice
from selectllm.models.model import ModelSpec, Price
from selectllm.models.providers.model_table import price_in_batches, price_per_token, table
from selectllm.models.providers.providers import provider_of

_DATED = re.compile(r"(?<!\d)20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True, slots=True)
class Priced:
    """USD per million tokens, and who says so."""

    price: Price
    source: PriceSource

    def told(self) -> TokenPrice:
        """As a plan has it."""
        return TokenPrice(input=self.price.input, output=self.price.output, source=self.source)


def priced(spec: ModelSpec) -> Priced | None:
    """The price of `spec`: 0 where calls are free, else the suite's, else litellm's, else None."""
    if provider_of(spec).free:
        return Priced(Price(0.0, 0.0), "free")
    price = price_per_token(spec)
    return None if price is None else Priced(price, "litellm" if spec.price is None else "suite")


def usd_in_batches(spec: ModelSpec, tokens_in: int, tokens_out: int) -> float | None:
    """What so many tokens would cost in batches; None if the model takes none, or has no price."""
    price = None if provider_of(spec).batches is None else price_in_batches(spec)
    return None if price is None else price.cost(tokens_in, tokens_out)


def table_behind(prices: Iterable[Priced | None]) -> LitellmPrices | None:
    """Litellm's table, if one of `prices` was taken from it."""
    by_table = any(price is not None and price.source == "litellm" for price in prices)
    return price_table() if by_table else None


def price_table() -> LitellmPrices:
    """The table of the installed litellm, which is not imported."""
    dates = [date for name in table() for date in _DATED.findall(name)]
    return LitellmPrices(
        version=importlib.metadata.version("litellm"), newest_model=max(dates, default=None)
    )
