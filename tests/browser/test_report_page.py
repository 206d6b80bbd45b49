"""A report in a browser: nothing leaves it, cases are found, ratings come back, all can read it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

import selectllm as sl
from selectllm.core.files import write_text
from selectllm.jobs.importing import import_sheets
from selectllm.jobs.options import RatingRequest
from selectllm.jobs.rating import ask
from selectllm.jobs.sync import finished
from selectllm.prompting.library import PromptLibrary
from selectllm.prompting.prompt import render
from selectllm.utility.annotation.asked import read_asking
from tests.browser.conftest import HARM, Opened
from tests.browser.large_page import large_page
from tests.browser.looking import (
    address,
    counts,
    fragment_of,
    reads,
    scrolled_through,
    serious_faults,
    unfold,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTHS = (1200, 800, 360)
A, B, SILENT = (f"criteria@1 + {model}" for model in ("mock/first", "mock/oracle", "silent"))


def fragment(**state: object) -> str:
    """What the explorer is asked for in the address."""
    return f"#{urlencode(state)}"


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


def test_what_a_pool_says_stays_text(opened: Opened, file: Path) -> None:
    page = opened.open(file, fragment(same="yes", text="window.harmed"))
    assert page.evaluate("window.harmed") is None
    unfold(page, "All candidates, and who picked them")
    assert page.locator("article table").get_by_text(HARM).count() == 1
    page.get_by_label("text of an item").fill("txt.exe")
    page.get_by_label("text of an item").press("Enter")
    shown = unfold(page, "All candidates, and who picked them").locator("table").inner_text()
    assert all(code in shown for code in ("U+202E", "U+202C", "U+001B", "U+0007"))
    assert "\u202e" not in shown


def test_filters_find_what_they_say_and_a_link_keeps_it(
    opened: Opened, file: Path, run: sl.Evaluation
) -> None:
    page = opened.open(file)
    clusters = len(run.run.clusters)
    assert f"of {clusters} clusters" in page.locator("#explorer [role=status]").first.inner_text()
    page.get_by_label("with status").select_option("invalid")
    page.get_by_label("with a decision of").select_option(label=A)
    counts(page.locator("article"), 0)
    page.get_by_label("with a decision of").select_option(label=SILENT)
    page.locator("article").first.wait_for()
    assert "status=invalid" in address(page)
    again = opened.open(file, fragment_of(page))
    assert again.get_by_label("with status").input_value() == "invalid"
    case = again.locator("article").first
    name = case.locator("h3").inner_text()
    case.get_by_role("link").click()
    reads(again.locator("article h3"), name)
    fresh = opened.open(file, fragment_of(again))
    reads(fresh.locator("article h3"), name)


def test_the_worst_change_comes_first(opened: Opened, file: Path) -> None:
    """B is the oracle by default, which loses nothing: turned round, A's losses come first."""
    page = opened.open(file, fragment(a=B, b=A))
    lost = [
        float(text.rpartition(" ")[2].replace("nothing", "0"))
        for text in page.locator("article header > span").all_inner_texts()
    ]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > 0


def test_prompt_and_replies_are_those_that_were_sent(
    opened: Opened, file: Path, run: sl.Evaluation
) -> None:
    decision = next(d for d in run.decisions if d.model == "silent")
    page = opened.open(file, fragment(cluster=decision.cluster, a=SILENT, b=A))
    unfold(page, "The rendered prompts")
    items = [run.run.pool.by_id[item] for item in decision.shown]
    messages = render(PromptLibrary().load("criteria@1"), items, 2)
    shown = page.locator("article details[open] pre").all_text_contents()
    plain = [m["content"] for m in messages if "\u202e" not in m["content"]]
    assert all(text in shown for text in plain)
    unfold(page, "Every reply with every attempt")
    replies = page.get_by_text("I will not say", exact=True)
    assert replies.count() == len(decision.attempts)
    assert len(decision.attempts) > 1


def test_all_of_it_can_be_done_with_the_keyboard(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_label("order").focus()
    page.keyboard.press("ArrowDown")
    assert "sort=lost" in address(page)
    assert page.evaluate("document.activeElement.name") == "sort"
    page.locator("article summary").first.focus()
    page.keyboard.press("Enter")
    counts(page.locator("article details[open]"), 1)


def test_ratings_made_in_the_page_come_back_through_utility_import(
    opened: Opened, file: Path, run: sl.Evaluation, tmp_path: Path
) -> None:
    page = opened.open(file, fragment(a=A, b=B))
    page.get_by_text("in which A and B differ").click()
    page.locator(".rate").first.wait_for()
    while (more := page.get_by_role("button", name="Show more items")).is_visible():
        more.click()
    cards = page.locator(".rate")
    assert "mock/" not in page.locator("#rating").inner_text()  # arms are hidden
    for number in range(cards.count()):
        cards.nth(number).get_by_role("radio").nth(number % 5).check()
    page.get_by_label("Your name").fill("Ada")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the sheet").click()
    sheet = tmp_path / "sheet.csv"
    waiting.value.save_as(sheet)
    with sl.Session(run.folder.parent, cache=tmp_path / "cache") as session:
        imported = finished(import_sheets([sheet], session=session))
    rows = csv.DictReader(
        io.StringIO("".join(_rows(sheet.read_text(encoding="utf-8-sig")))), delimiter=","
    )
    rated = {row["id"].removeprefix("'"): float(row["rating"]) for row in rows}
    assert imported.ratings.values == rated
    assert imported.ratings.raters == ("Ada",)
    assert imported.asking.differing
    assert imported.asking.pool_sha256 == run.run.pool.sha256
    assert set(imported.asking.ids) == asked_by_the_command_line(run, tmp_path)


def _rows(text: str) -> list[str]:
    return [line for line in text.splitlines(keepends=True) if not line.startswith(("#", '"#'))]


def asked_by_the_command_line(run: sl.Evaluation, folder: Path) -> set[str]:
    """The items of `utility ask --differing` for the same two arms."""
    with sl.Session(run.folder.parent, cache=folder / "cache") as session:
        session.ab("suite.yaml", a="criteria@1+mock/first", b="criteria@1+mock/oracle", out="ab")
        request = RatingRequest(folder / "asked.csv", differing=True)
        finished(ask(Path("ab"), request, session=session))
    return set(read_asking(folder / "asked.ask.json").ids)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, file: Path, scheme: str) -> None:
    assert serious_faults(browser, file, scheme) == []


def test_legends_can_be_seen_in_the_dark(browser: Browser, file: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(f"file://{file}")
    scrolled_through(page)
    symbols = "[...document.querySelectorAll('.mark-symbol.role-legend-symbol path')]"
    fills = page.evaluate(f"{symbols}.map(path => getComputedStyle(path).fill)")
    page.close()
    assert fills
    assert "rgb(0, 0, 0)" not in fills


def test_where_no_picks_differ_it_says_how_to_see_the_cases(opened: Opened, file: Path) -> None:
    assert "tick the box" not in opened.open(file).inner_text("[role=status]")
    page = opened.open(file, fragment(a=A, b=B, text="no item says this"))
    assert "tick the box" in page.inner_text("[role=status]")


def test_print_leaves_the_tools_out(opened: Opened, file: Path) -> None:
    page = opened.open(file)
    page.emulate_media(media="print")
    assert not page.locator(".tools").is_visible()
    assert page.locator("article").first.is_visible()


@pytest.mark.parametrize("decisions", [2_000, 20_000])
def test_many_decisions_can_be_looked_at(opened: Opened, tmp_path: Path, decisions: int) -> None:
    """How soon is measured by eval/benchmarks/report.py --browser."""
    text = large_page(decisions)
    write_text(tmp_path / "large.html", text)
    assert len(text.encode()) < 10e6
    page = opened.open(tmp_path / "large.html")
    assert page.locator("article").count() > 0
    assert opened.complaints == []
