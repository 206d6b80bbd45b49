"""Pages of more than one run: compared, on one page, and those that `view` serves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

import selectllm as sl
from selectllm.core.files import write_text
from selectllm.jobs.comparing_runs import ComparedFolders, compare_folders, page_of_each
from selectllm.jobs.view_server import ViewServer
from selectllm.jobs.viewing import View
from selectllm.report.formats import report
from tests.browser.conftest import SUITE, Opened
from tests.browser.looking import (
    address,
    fragment_of,
    reads,
    scrolled_through,
    serious_of,
    unfold,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def second(run: sl.Evaluation) -> Path:
    """A run of the same clusters in which `silent` speaks and the oracle is another model."""
    folder = run.folder.parent
    text = SUITE.replace("mock/reply:I will not say", "mock/random").replace(
        "mock/oracle", '{name: mock/oracle, id: "mock/skill:0.3"}'
    )
    write_text(folder / "second.yaml", text)
    with sl.Session(folder, cache=folder / "cache") as session:
        return session.evaluate("second.yaml", out="second").folder


@pytest.fixture(scope="session")
def compared(run: sl.Evaluation, second: Path) -> ComparedFolders:
    return compare_folders(run.folder, second)


@pytest.fixture(scope="session")
def two(compared: ComparedFolders) -> Path:
    """The page of both, compared."""
    file = compared.folders[1] / "two.html"
    write_text(file, report(compared.results, "html", compared.place("html")))
    return file


@pytest.fixture(scope="session")
def each(run: sl.Evaluation, second: Path) -> Path:
    """The page of both, one below the other."""
    write_text(second / "each.html", page_of_each([run.folder, second]))
    return second / "each.html"


@pytest.fixture(scope="module")
def served(run: sl.Evaluation, second: Path) -> Iterator[str]:
    """The address of the list of both runs."""
    with ViewServer(View(run.folder.parent), 0) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        yield server.url
        server.shutdown()
        serving.join()


def ready(page: Page) -> Page:
    page.wait_for_selector("html[data-ready=yes]")
    return page


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("name", ["two", "each"])
def test_a_file_asks_for_nothing_complains_of_nothing_and_fits(
    opened: Opened, request: pytest.FixtureRequest, name: str, width: int
) -> None:
    file: Path = request.getfixturevalue(name)
    opened.page.set_viewport_size({"width": width, "height": 900})
    page = opened.open(file)
    scrolled_through(page)
    assert opened.complaints == []
    assert opened.requests == [f"file://{file}"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_of_two_runs_the_worst_change_comes_first_with_both_picks_and_a_link(
    opened: Opened, two: Path, compared: ComparedFolders
) -> None:
    page = opened.open(two)
    worst = compared.results.compared[0]
    assert page.locator("select[name=a] option:checked").inner_text() == (f"{worst.a.name} in run")
    names = page.locator("article h3").all_inner_texts()
    assert names[0] == f"Cluster {worst.clusters[0].b}"
    case = page.locator("article").first
    sides = case.locator(".two > div .side").all_inner_texts()
    assert [f"{worst.a.name} in run" in sides[0], f"{worst.b.name} in second" in sides[-1]] == [
        True,
        True,
    ]
    unfold(case, "Every reply with every attempt")
    assert case.locator("details[open] pre").count() > 1
    case.get_by_role("link").click()
    reads(page.locator("article h3"), *names[:1])
    again = opened.open(two, fragment_of(page))
    reads(again.locator("article h3"), *names[:1])


def test_on_one_page_a_link_finds_the_case_of_the_run_that_it_names(
    opened: Opened, each: Path, second: Path
) -> None:
    page = opened.open(each)
    before = page.locator("article .two").first.inner_text()
    page.locator("select[name=run]").select_option(label="second")
    page.locator("select[name=a]").select_option(label="criteria@1 + silent")
    assert "run=second" in address(page)
    name = page.locator("article h3").first.inner_text()
    page.locator("article").first.get_by_role("link").click()
    reads(page.locator("article h3"), name)
    fresh = opened.open(each, fragment_of(page))
    assert fresh.locator("select[name=run]").locator("option:checked").inner_text() == "second"
    reads(fresh.locator("article h3"), name)
    first = opened.open(each, "#" + urlencode({"cluster": 0, "same": "yes"}))
    assert first.locator("select[name=run]").locator("option:checked").inner_text() == "run"
    assert before


def test_view_leads_from_the_list_to_a_comparison_a_report_and_a_trend(
    opened: Opened, served: str
) -> None:
    page = opened.page
    page.goto(served)
    ready(page)
    for name in ("run", "second"):
        page.get_by_label(f"compare {name}", exact=True).check()
    page.get_by_role("button", name="Compare the two ticked runs").click()
    assert "no verdict" in ready(page).locator("main").inner_text()
    page.goto(served)
    page.get_by_role("link", name="second", exact=True).click()
    assert ready(page).locator("article").count() > 0
    page.goto(served)
    page.get_by_role("link", name="criteria + silent").click()
    scrolled_through(ready(page))
    assert page.locator(".chart svg").count() == 1
    page.get_by_role("link", name="All runs").click()
    assert ready(page).get_by_role("button", name="Compare the two ticked runs").is_visible()
    page.set_viewport_size({"width": 360, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert opened.complaints == []
    assert all(url.startswith(served) for url in opened.requests)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    browser: Browser, served: str, two: Path, each: Path, scheme: str
) -> None:
    # The policy of the page would keep axe out as well.
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    trend = urlencode(
        {"suite": "browsed", "prompt": "criteria", "model": "silent", "utility": "rating"}
    )
    places = [two.as_uri(), each.as_uri(), served, f"{served}trend?{trend}", f"{served}nosuch"]
    found = {}
    for place in places:
        page.goto(place)
        serious = serious_of(ready(page))
        found[place] = [(each["id"], each["nodes"][0]["html"][:200]) for each in serious]
    context.close()
    assert found == {place: [] for place in places}
