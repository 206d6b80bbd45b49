"""docs/provider-errors.md shows what the commands print, by either way to the provider."""

from __future__ import annotations

import pytest

from tests.support.provider_messages import CASES, PAGE, Case, said, said_by_litellm, shown, table


def test_the_page_shows_what_the_command_prints_of_every_fault() -> None:
    again = "out of date; run: python -m tests.support.provider_messages"
    assert shown(PAGE.read_text("utf-8")).splitlines() == table().splitlines(), again


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_the_direct_transport_says_the_same(case: Case) -> None:
    assert said(case, transport="direct") == said_by_litellm(case)
