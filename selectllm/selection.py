"""The file that `select` writes: the chosen rows with all their columns, and where each is from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from selectllm.files import atomic_write
from selectllm.select import Chosen
from selectllm.types import Pool


def write_selection(out: Path, pool: Pool, chosen: Sequence[Chosen]) -> None:
    """JSON lines in pool order; `_selectllm` is {cluster, round, by, filled}."""
    place = {item.id: position for position, item in enumerate(pool.items)}
    with atomic_write(out) as handle:
        for choice in sorted(chosen, key=lambda choice: place[choice.item.id]):
            mark = {
                "cluster": choice.cluster,
                "round": choice.round,
                "by": choice.by,
                "filled": choice.filled,
            }
            row = {**choice.item.row, "_selectllm": mark}
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")
