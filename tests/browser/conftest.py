"""A browser, and the page of a run whose pool means harm."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import selectllm as sl
from selectllm.core.files import write_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HARM = "<script>window.harmed = 1</script><img src=x onerror='window.harmed = 1'>"
TURNED = "evil \u202etxt.exe\u202c and \x1b[31m bell \x07"
SUITE = """\
name: browsed
pool: pool.jsonl
utilities: [{name: rating, source: ratings, column: rating, kind: human, range: [1, 5]}]
clusters: {by: random, size: 5}
picks: 2
prompts: [criteria@1]
models: [mock/first, mock/oracle, {name: silent, id: "mock/reply:I will not say"}]
strategies: [longest]
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser; where there is none, it is left out and says why."""
    missing = _missing()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"{missing}; `make browser` installs it"))


def _missing() -> str | None:
    if shutil.which("chromium") is None:
        return "there is no chromium"
    absent = (name for name in ("playwright", "axe_playwright_python") if find_spec(name) is None)
    return next((f"there is no package {name}" for name in absent), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed with its module: Playwright keeps an event loop running, in which no job can start."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        # Root's browser has no sandbox, and what it opens is ours.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = started.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> sl.Evaluation:
    """60 items, the first of which means harm and the second of which turns the writing round."""
    folder = tmp_path_factory.mktemp("browsed")
    rows: list[dict[str, Any]] = [
        {"id": f"i{n:02}", "instruction": f"Explain number {n}.", "rating": n % 5 + 1}
        for n in range(60)
    ]
    rows[0]["instruction"], rows[1]["input"], rows[2]["id"] = HARM, TURNED, '=1+"2",\'x'
    write_text(folder / "pool.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    write_text(folder / "suite.yaml", SUITE)
    with sl.Session(folder, cache=folder / "cache") as session:
        return session.evaluate("suite.yaml", out="run")


@pytest.fixture(scope="session")
def file(run: sl.Evaluation) -> Path:
    """The page of that run."""
    written = run.folder / "report.html"
    write_text(written, run.report("html"))
    return written


class Opened:
    """A page of the browser, and all that it complained of and asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, file: Path, fragment: str = "") -> Page:
        """The page once its scripts have run. From nothing: a new fragment alone loads no page."""
        if self.page.url != "about:blank":
            self.page.goto("about:blank")
        self.page.goto(f"file://{file}{fragment}")
        self.page.wait_for_selector("html[data-ready=yes]")
        return self.page


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    context = browser.new_context(accept_downloads=True)
    yield Opened(context.new_page())
    context.close()
