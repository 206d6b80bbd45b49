"""Whether results are of the very sets that a folder compares: names of arms are no proof. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from selectllm.errors import UtilityError
from selectllm.outcomes.results import ResultsFile
from selectllm.sets.log import SetKey


def check_source(content: ResultsFile, results: str, compared: Mapping[str, Any], of: str) -> None:
    """Raise UtilityError unless both are of one pool and suite.

    `compared`: the content of sets.json. `results`, `of`: what its file and that folder are called.
    """
    pool, suite = compared["pool"]["sha256"], compared["suite"]
    if content.pool_sha256 != pool:
        raise UtilityError(
            f"{results}: is of another pool (sha256 {content.pool_sha256[:12]}) than {of} "
            f"({pool[:12]}); name the folder whose sets were trained on"
        )
    if content.suite is None:
        raise UtilityError(
            f"{results}: is of one selection of `select`, and {of} holds the sets of suite "
            f"{suite!r}; export a folder that `sets` wrote, and train on its sets"
        )
    if content.suite != suite:
        raise UtilityError(
            f"{results}: is of sets of suite {content.suite!r}, and {of} holds those of suite "
            f"{suite!r}; name the folder that `sets` wrote for suite {content.suite!r}"
        )


def check_held(used: Collection[SetKey], compared: Mapping[str, Any], of: str) -> None:
    """Raise UtilityError unless the folder called `of` holds every set that was trained on."""
    seeds = compared["seeds"]
    rows = [(row["selector"], row["budget"]) for row in compared["sets"]]
    held = {(arm, budget, seed) for arm, budget in rows for seed in seeds}
    missing = sorted(set(used) - held)
    if not missing:
        return
    arm, budget, seed = missing[0]
    raise UtilityError(
        f"{of}: lacks {len(missing)} of the {len(set(used))} sets that the results are of, such as "
        f"{arm!r}, budget {budget}, seed {seed}; it has budgets "
        f"{', '.join(map(str, compared['budgets']))} and seeds {', '.join(map(str, seeds))}: name "
        "the folder that was exported, which has the others"
    )
