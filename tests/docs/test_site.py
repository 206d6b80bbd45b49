"""The site that `make docs` built: a Markdown twin of every page, and llms.txt with all of them."""

from __future__ import annotations

import re

import pytest

from tests.support.page_blocks import DOCS, PAGES

SITE = DOCS / "_build"
LISTED = SITE / "llms.txt"

pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(not LISTED.exists(), reason="no site is built; `make docs` does it"),
]


def test_every_page_has_a_twin_that_is_listed_and_has_its_pictures() -> None:
    listed = LISTED.read_text(encoding="utf-8")
    for name in (page.stem for page in PAGES):
        assert (SITE / f"{name}.html").exists()
        twin = (SITE / f"{name}.html.md").read_text(encoding="utf-8")
        assert twin.startswith("# ")
        assert f"({name}.html.md)" in listed
        pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", twin)
        assert all((SITE / picture).exists() for picture in pictures), name
    assert "&#" not in listed


def test_the_reference_names_what_is_public_in_plain_text() -> None:
    reference = (SITE / "api.html.md").read_text(encoding="utf-8")
    assert "mailto:" not in reference
    for name in ("select", "evaluate", "ab", "Session", "Strategy", "UtilitySource"):
        assert f"selectllm.{name}" in reference
