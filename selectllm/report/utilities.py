"""What was imported, computed or agreed on about utilities, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

Content = Mapping[str, Any]


def valued_text(content: Content) -> str:
    """A utility file, and how a suite names it."""
    reliability = content["reliability"]
    known = "unknown" if reliability is None else f"{reliability:.2f}"
    name = content["file"].replace("\\", "/").rpartition("/")[2]
    entry = {"name": content["name"], "source": "import", "file": name}
    shown = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10**6).strip()
    return (
        f"{content['file']}: {content['items']} items, kind: {content['kind']}, "
        f"reliability {known}\nin the suite: {shown}"
    )


def ratings_text(content: Content) -> str:
    """A ratings file, and how a suite names it."""
    alpha, spread = content["alpha"], content["rater_noise"]
    agreement = "" if alpha is None else f", Krippendorff's alpha {alpha:.2f}"
    noise = "" if spread is None else f", noise of one rating {spread:.2f}"
    raters = f"{len(content['raters'])} rater(s){agreement}{noise}"
    entry = content["utility"]
    low, high = entry["range"]
    return (
        f"{content['file']}: {content['items']} of {content['asked']} items, {raters}\n"
        f"in the suite: {{name: {entry['name']}, source: {entry['source']}, file: {entry['file']}, "
        f"range: [{low:g}, {high:g}]}}"
    )


def results_text(content: Content) -> str:
    """A file of results of training elsewhere, and what to do with it."""
    measured = content["metrics"].items()
    lines = [
        f"{content['file']}: {content['results']} results of {content['runs']} runs",
        f"arms: {', '.join(content['arms'])}",
        f"budgets: {', '.join(map(str, content['budgets']))}",
        *(f"metric {metric}: on {', '.join(names)}" for metric, names in measured),
        f"next: selectllm utility agree SETS_FOLDER --results {content['file']}",
    ]
    return "\n".join(lines)
