"""One row of litellm's table is what the whole table says, read without the rest of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from selectllm.models.model import ModelSpec
from selectllm.models.providers import model_table
from selectllm.models.providers.model_table import openai_row, price_per_token, row_of, table

READ = (model_table.table, model_table._text, model_table._row)


@pytest.fixture
def forgotten() -> Iterator[None]:
    for kept in READ:
        kept.cache_clear()
    yield
    for kept in READ:
        kept.cache_clear()


def test_every_row_alone_is_the_row_of_the_whole_table() -> None:
    rows = table()
    assert len(rows) > 1000
    for name, row in rows.items():
        provider = name.partition("/")[0]
        if "/" in name and row.get("litellm_provider", "").startswith(provider):
            assert row_of(ModelSpec("m", name)) == row
        assert openai_row(name) == (row if row.get("litellm_provider") == "openai" else None)


def test_a_price_is_found_without_reading_the_other_rows(forgotten: None) -> None:
    assert price_per_token(ModelSpec("m", "openai/gpt-4o-mini")) is not None
    assert price_per_token(ModelSpec("m", "openai/no-such-model")) is None
    assert model_table.table.cache_info().misses == 0


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_a_table_written_in_another_way_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None, indent: int | None
) -> None:
    row = {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 0.0}
    file = tmp_path / "table.json"
    file.write_text(json.dumps({"é-1": row, "é-2": {}}, indent=indent), encoding="utf-8")
    monkeypatch.setattr(model_table, "FILE", str(file))
    price = price_per_token(ModelSpec("m", "openai/é-1"))
    assert price is not None
    assert price.input == 1.0
    assert openai_row("é-2") is None


@pytest.mark.parametrize("text", ["", "[]x", '{\n    "gpt": {"litellm_provider": "open'])
def test_a_table_that_cannot_be_read_knows_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None, text: str
) -> None:
    file = tmp_path / "table.json"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(model_table, "FILE", str(file))
    assert openai_row("gpt") is None
    assert dict(table()) == {}
