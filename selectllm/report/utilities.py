"""What was imported, computed or agreed on about utilities, on a terminal."""

from __future__ import annotations

import yaml

from selectllm.downstream.outcomes.schema import ResultsImported
from selectllm.report.next_steps import command
from selectllm.report.wording import counted
from selectllm.utility.annotation.schema import RatingsImported
from selectllm.utility.schema import UtilitySaved


def valued_text(saved: UtilitySaved) -> str:
    """A utility file, and how a suite names it."""
    known = "not known" if saved.reliability is None else f"{saved.reliability:.2f}"
    name = _last(saved.file)
    entry = {"name": saved.name, "source": "import", "file": name}
    shown = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, width=10**6).strip()
    pool = "" if saved.pool is None else f"Change the suite's pool to: {_last(saved.pool)}\n"
    return (
        f"{saved.file} has the values of {counted(saved.items, 'item')} (kind: {saved.kind}). "
        f"Their reliability is {known}.\n"
        f"{pool}Add to the suite's utilities: {shown}"
    )


def _last(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def ratings_text(imported: RatingsImported) -> str:
    """A ratings file, and how a suite names it."""
    alpha, spread = imported.alpha, imported.rater_noise
    agreement = "" if alpha is None else f" Krippendorff's alpha is {alpha:.2f}."
    noise = ""
    if spread is not None:
        noise = f" One rating is off by {spread:.2f} on average (standard deviation)."
    raters = f"{counted(len(imported.raters), 'rater')}.{agreement}{noise}"
    entry = imported.utility
    low, high = entry.range
    return (
        f"{imported.file} has {imported.items} of {counted(imported.asked, 'item')}, rated by "
        f"{raters}\n"
        f"Add to the suite's utilities: {{name: {entry.name}, source: {entry.source}, "
        f"file: {entry.file}, range: [{low:g}, {high:g}]}}"
    )


def results_text(imported: ResultsImported) -> str:
    """A file of results of training elsewhere, and what to do with it."""
    lines = [
        f"{imported.file} has {counted(imported.results, 'result')} of "
        f"{counted(imported.runs, 'run')}.",
        f"The arms are {', '.join(imported.arms)}.",
        f"The sets have {', '.join(map(str, imported.budgets))} items.",
        *(
            f"The metric {metric} is known on {', '.join(names)}."
            for metric, names in imported.metrics.items()
        ),
        "Next, run: " + command("utility", "agree", "SETS_FOLDER", "--results", imported.file),
    ]
    return "\n".join(lines)
