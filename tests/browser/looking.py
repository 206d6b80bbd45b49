"""Looking at whole pages: everything scrolled past, everything opened, and judged by axe.

What a page does after a click comes a moment later: what is asked here waits for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.conftest import Opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page


def unfold(part: Page | Locator, summary: str) -> Locator:
    """The first part under the words `summary`, opened and filled."""
    details = part.locator("details", has_text=summary).first
    details.locator("summary").first.click()
    details.locator("xpath=*[2]").wait_for()
    return details


def address(page: Page) -> str:
    """The address as the page itself has it now."""
    return str(page.evaluate("location.href"))


def fragment_of(page: Page) -> str:
    return f"#{address(page).partition('#')[2]}"


def reads(texts: Locator, *expected: str) -> None:
    """That exactly these texts come to be shown."""
    from playwright.sync_api import expect

    expect(texts).to_have_text(list(expected))


def counts(parts: Locator, number: int) -> None:
    """That the page comes to show this many of them."""
    from playwright.sync_api import expect

    expect(parts).to_have_count(number)


def scrolled_through(page: Page) -> None:
    """To the end, so that every chart is drawn."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for at in range(0, height, 500):
        page.evaluate(f"window.scrollTo(0, {at})")
        page.wait_for_timeout(30)
    page.wait_for_function(
        "[...document.querySelectorAll('.chart')].every(c => c.querySelector('svg'))"
    )


def serious_of(page: Page) -> list[dict[str, Any]]:
    """What axe calls serious or critical on a page all of whose parts are opened."""
    from axe_playwright_python.sync_playwright import Axe

    scrolled_through(page)
    for part in page.locator("details").all():
        part.evaluate("part => { part.open = true; }")
    page.wait_for_timeout(200)
    violations = Axe().run(page).response["violations"]
    return [each for each in violations if each["impact"] in ("serious", "critical")]


def serious_faults(browser: Browser, file: Path, scheme: str) -> list[str]:
    """The names of these on the page in `file`, in light or dark."""
    # The policy of the page would keep axe out as well.
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)  # type: ignore[arg-type]
    found = serious_of(Opened(context.new_page()).open(file))
    context.close()
    return [each["id"] for each in found]
