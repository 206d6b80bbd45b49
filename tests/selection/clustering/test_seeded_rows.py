"""The seeded order of ids: by their hashes, and by the ids themselves where those are equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.codec import seeded_hash
from selectllm.selection.clustering.seeded_rows import seeded_order


@given(st.lists(st.text(max_size=3), unique=True, max_size=12), st.sampled_from([2, 2**64]))
def test_ids_are_ordered_by_hash_and_then_by_themselves(ids: list[str], hashes: int) -> None:
    def drawn(*parts: str | int) -> int:
        return seeded_hash(*parts) % hashes

    def all_drawn(*parts: str | int, each: Iterable[str]) -> Iterator[int]:
        return (drawn(*parts, id) for id in each)

    with patch("selectllm.selection.clustering.seeded_rows.seeded_hashes", all_drawn):
        order = seeded_order(ids, "partition", 3)
    expected = sorted(ids, key=lambda id: (drawn("partition", 3, id), id))
    assert [ids[place] for place in order.tolist()] == expected


@pytest.mark.parametrize("ids", [[], ["one"]])
def test_few_ids_are_an_order_too(ids: list[str]) -> None:
    assert seeded_order(ids, "tie", 0).tolist() == list(range(len(ids)))
