"""Numbers of a pool whose rows stay in their files: packed, and the same as in a dict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from selectllm.core.errors import UtilityError
from selectllm.core.types import Pool
from selectllm.data import stored_items
from selectllm.data.packed_values import PackedValues
from selectllm.data.pool import load_pool
from selectllm.utility.ratings import ratings

ROWS = 97


@pytest.fixture(autouse=True)
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the current folder: the same rows in three files and in one; ids in no order."""
    monkeypatch.setattr(stored_items, "SLICE", 10)
    monkeypatch.chdir(tmp_path)
    rows: list[dict[str, Any]] = [
        {
            "id": f"{'aéz'[n % 3]}{n * 37 % ROWS}",
            "instruction": f"Explain {n}",
            "rating": n / 7,
            "gaps": n if n % 9 else None,
            "mixed": "1" if n != 40 else "good",
        }
        for n in range(ROWS)
    ]
    frame = pl.from_dicts(rows)
    frame.write_parquet("whole.parquet")
    Path("parts").mkdir()
    for start in range(0, ROWS, 40):
        frame[start : start + 40].write_parquet(f"parts/{start:03}.parquet")


def both() -> tuple[Pool, Pool]:
    return tuple(
        load_pool(name, in_place=Path("cache")).pool for name in ("parts", "whole.parquet")
    )  # type: ignore[return-value]


@pytest.mark.parametrize("column", ["rating", "gaps"])
def test_ratings_are_the_same_packed(column: str) -> None:
    stored, held = (ratings(pool, name="r", column=column, partial=True) for pool in both())
    assert isinstance(stored.values, PackedValues)
    assert isinstance(held.values, dict)
    assert stored.sha256 == held.sha256
    assert stored.values == held.values
    assert [*stored.values] == [*held.values]
    assert len(stored.values) == len(held.values)
    some = ["a0", "nosuch", *list(held.values)[:3]]
    assert stored.of(some).values == held.of(some).values
    assert [name in stored.values for name in some] == [name in held.values for name in some]


@pytest.mark.parametrize("column", ["gaps", "mixed", "nosuch"])
def test_what_is_wrong_with_ratings_is_said_in_the_same_words(column: str) -> None:
    said = []
    for pool in both():
        with pytest.raises(UtilityError) as error:
            ratings(pool, name="r", column=column)
        said.append(str(error.value))
    assert said[0] == said[1]
