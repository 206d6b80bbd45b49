"""How far each utility of compared sets foretells outcomes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selectllm.outcomes.agreement import set_agreement
from selectllm.outcomes.scores import Runs, captured_by_arm, set_values_by_arm


def agreement_by_utility(
    compared: Mapping[str, Any],
    outcomes: Mapping[str, Runs],
    budget: int,
    tokens: Mapping[str, float] | None = None,
    names: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """What sets.json says of each utility, or of those called `names`, and its `agreement`.

    `captured`: of the utility by each selector's sets, a mean over their seeds. A utility that
    knows what sets are worth as a whole (knn) has a second row, whose `captured` is that worth.

    `compared`: the content of sets.json. `outcomes`: of its selectors, arm -> run -> score, higher
    is better. `tokens`: of each arm's sets at `budget`. `agreement`: see `SetAgreement`.

    Raises UtilityError for a utility or budget that sets.json does not have.
    """
    known = {each["name"]: each for each in compared["utilities"]}
    rows = []
    for name in names or known:
        by_arm = captured_by_arm(compared, name, budget)
        told = {key: value for key, value in known[name].items() if key != "length"}
        rows.append(told | _held(by_arm, outcomes, tokens))
        if whole := set_values_by_arm(compared, name, budget):
            of_sets = {"name": f"{name} of whole sets", "validation": None, "ceiling": None}
            rows.append(told | of_sets | _held(whole, outcomes, tokens))
    return rows


def _held(
    by_arm: Mapping[str, float], outcomes: Mapping[str, Runs], tokens: Mapping[str, float] | None
) -> dict[str, Any]:
    found = set_agreement({arm: {"": value} for arm, value in by_arm.items()}, outcomes, tokens)
    return {"captured": dict(by_arm), "agreement": found.to_json()}
