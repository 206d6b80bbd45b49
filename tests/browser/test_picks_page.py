"""The page of a selection in a browser: picks beside their rivals, found by filters and links."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

import selectllm as sl
from selectllm.core.files import write_text
from selectllm.jobs.picks import read_picks
from selectllm.jobs.pool_of_picks import PoolOfPicks
from selectllm.jobs.workspace import find_workspace
from selectllm.report.formats import Place, report
from tests.browser.conftest import HARM, TURNED, Opened
from tests.browser.looking import (
    address,
    counts,
    fragment_of,
    reads,
    scrolled_through,
    serious_faults,
)
from tests.browser.test_report_page import WIDTHS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPLY = 'mock/reply:{"reasons": "<b>It asks</b> for steps.", "picks": [2]}'


def written(folder: Path, rows: list[dict[str, Any]], budget: int, **by: Any) -> Path:
    """The page of a selection from a pool of these rows."""
    write_text(folder / "pool.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    with sl.Session(folder, cache=folder / "cache") as session:
        log = f"{folder / 'pool.selected.jsonl'}.decisions.jsonl"
        chosen = session.select("pool.jsonl", budget=budget, log=log, seed=1, **by)
    chosen.write(folder / "pool.selected.jsonl")
    place, pool = find_workspace(folder), PoolOfPicks(chosen.pool)
    summary, evidence = read_picks(folder / "pool.selected.jsonl", place, pool)
    write_text(folder / "picks.html", report(summary, "html", Place(evidence=evidence)))
    return folder / "picks.html"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 items, the first of which means harm and the second of which turns the writing round."""
    rows = [{"id": f"i{n:02}", "instruction": f"Explain {n}" + " more" * n} for n in range(60)]
    rows[0]["instruction"], rows[1]["input"] = HARM, TURNED
    folder = tmp_path_factory.mktemp("picks")
    return written(folder, rows, 15, prompt="rubric@1", model=REPLY, by="random", cluster_size=4)


@pytest.mark.parametrize("width", WIDTHS)
def test_it_asks_for_nothing_complains_of_nothing_and_fits(
    opened: Opened, file: Path, width: int
) -> None:
    opened.page.set_viewport_size({"width": width, "height": 900})
    page = opened.open(file)
    scrolled_through(page)
    assert opened.complaints == []
    assert opened.requests == [f"file://{file}"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_strangers_wrote_stays_text(opened: Opened, file: Path) -> None:
    page = opened.open(file, f"#{urlencode({'text': 'window.harmed', 'among': 'rivals'})}")
    assert page.evaluate("window.harmed") is None
    assert page.locator("article").get_by_text(HARM).count() == 1
    assert page.locator("article .why").first.inner_text() == "<b>It asks</b> for steps."
    page.get_by_label("text or reason").fill("txt.exe")
    page.get_by_label("text or reason").press("Enter")
    counts(page.locator("article").get_by_text(HARM), 0)
    shown = page.locator("article").inner_text()
    assert "U+202E" in shown or "\\u202e" in shown
    assert "\u202e" not in shown


def test_filters_find_what_they_say_and_a_link_keeps_it(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    status = page.locator("#explorer [role=status]")
    assert status.inner_text() == "15 of 15 picks."
    while (more := page.get_by_role("button", name="Show")).count():
        more.click()
    counts(page.locator("article"), 15)
    page.get_by_label("order").select_option("long")
    assert "sort=long" in address(page)
    lengths = [
        int(text.split(", ")[1].split()[0])
        for text in page.locator("article .side:has-text('characters')").all_inner_texts()
    ]
    assert lengths == sorted(lengths, reverse=True)
    page.get_by_label("cluster").fill("3")
    page.get_by_label("cluster").press("Enter")
    reads(status, "1 of 15 picks.")
    assert page.locator("article h3").inner_text() == "Rank 1 of cluster 3"
    name = page.locator("article").get_attribute("aria-label")
    page.locator("article").get_by_role("link").click()
    page.wait_for_function("location.hash.includes('pick=')")
    fresh = opened.open(file, fragment_of(page))
    counts(fresh.locator("article"), 1)
    assert fresh.locator("article").get_attribute("aria-label") == name
    fresh.get_by_role("button", name="Show all picks").click()
    fresh.locator("article").nth(1).wait_for()


def test_every_pick_has_its_three_rivals(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    for article in page.locator("article").all():
        assert article.locator("li.rival").count() == 3


def test_all_of_it_can_be_done_with_the_keyboard(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    page.get_by_label("order").focus()
    page.keyboard.press("ArrowDown")
    assert "sort=rank" in address(page)
    assert page.evaluate("document.activeElement.name") == "sort"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, file: Path, scheme: str) -> None:
    assert serious_faults(browser, file, scheme) == []


def test_20_000_picks_can_be_looked_at(opened: Opened, tmp_path: Path) -> None:
    """How soon is measured by eval/benchmarks/report.py --browser."""
    rows = [{"id": f"i{n}", "instruction": f"Explain {n}" + " more" * 30} for n in range(40_000)]
    large = written(tmp_path, rows, 20_000, strategy="random")
    assert large.stat().st_size < 10e6
    page = opened.open(large)
    assert page.locator("article").count() > 0
    assert opened.complaints == []
