"""Make the pictures of a report that the documentation shows, at three widths.

    make browser                       # once: the browser and its driver
    .venv/bin/python tools/screenshots.py

The report is of the two simulated pickers that `make demo` compares; the pictures show what is seen
before anybody scrolls, and go to docs/images.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from selectllm.cli import main

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
SIZES = {"report": (1200, 800), "report-tablet": (800, 900), "report-phone": (360, 760)}


def take() -> None:
    """Compare, report, and photograph the report."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        suite = ROOT / "eval" / "suites" / "simulated.yaml"
        arms = ["--a", "careless", "--b", "skilled", "-o", str(run), "--quiet"]
        assert main(["ab", str(suite), *arms]) == 0
        assert main(["report", str(run), "--html"]) == 0
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        with sync_playwright() as started:
            chromium = shutil.which("chromium")
            browser = started.chromium.launch(executable_path=chromium, args=arguments)
            for name, (width, height) in SIZES.items():
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto((run / "report.html").as_uri())
                page.wait_for_selector("html[data-ready=yes]")
                page.wait_for_timeout(500)  # the charts draw themselves
                page.screenshot(path=IMAGES / f"{name}.png")
            browser.close()


if __name__ == "__main__":
    take()
