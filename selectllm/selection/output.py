"""What `select` leaves behind: the chosen rows, and what its decision log says it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selectllm.core.types import Pool
from selectllm.data.row_writers import write_rows
from selectllm.selection.by_model import Chosen, SelectSettings
from selectllm.selection.schema import SelectionMark
from selectllm.selection.selector import Selector
from selectllm.selection.strategies import Strategy

FORMAT = 1


def write_selection(out: Path, chosen: Sequence[Chosen]) -> None:
    """Rows in the order given, by the suffix of `out`; `_selectllm` is SelectionMark.

    Raises as `write_rows` does.
    """
    write_rows(
        out,
        [{**choice.item.row, "_selectllm": mark_of(choice).to_json()} for choice in chosen],
    )


def mark_of(choice: Chosen) -> SelectionMark:
    """What is written beside a selected item."""
    return SelectionMark(
        cluster=choice.cluster,
        round=choice.round,
        by=choice.by,
        filled=choice.filled,
        rank=choice.rank,
        score=choice.score,
        reason=choice.reason,
    )


def manifest_by_strategy(
    pool: Pool, strategy: Strategy, settings: SelectSettings
) -> dict[str, Any]:
    """What a selection by `strategy` is made from."""
    return _manifest(pool, settings) | {"strategy": strategy.name}


def manifest_by_model(
    pool: Pool, selector: Selector, settings: SelectSettings, by: Mapping[str, Any], encoder: str
) -> dict[str, Any]:
    """What a selection by `selector` is made from; `by` (partition.named) divided the pool.

    Not in it is what a rerun may change: `on_invalid` and how many calls are in flight.
    """
    return _manifest(pool, settings) | {
        "prompt": selector.prompt.ref,
        "prompt_sha256": selector.prompt.sha256,
        "model": selector.spec.recorded(selector.endpoint),
        **by,
        "cluster_size": "auto" if settings.size is None else str(settings.size),
        "reask": settings.ask.reask,
        "encoder": encoder,
    }


def _manifest(pool: Pool, settings: SelectSettings) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "verb": "select",
        "pool_sha256": pool.sha256,
        "budget": settings.budget,
        "seed": settings.seed,
    }
