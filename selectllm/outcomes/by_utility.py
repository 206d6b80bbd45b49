"""How far each utility of compared sets foretells outcomes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selectllm.outcomes.agreement import set_agreement
from selectllm.outcomes.scores import Runs, captured_by_arm


def agreement_by_utility(
    compared: Mapping[str, Any],
    outcomes: Mapping[str, Runs],
    budget: int,
    tokens: Mapping[str, float] | None = None,
    names: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """What sets.json says of each utility, or of those called `names`, and its `agreement`.

    `captured`: of the utility by each selector's sets, a mean over their seeds.

    `compared`: the content of sets.json. `outcomes`: of its selectors, arm -> run -> score, higher
    is better. `tokens`: of each arm's sets at `budget`. `agreement`: see `SetAgreement`.

    Raises UtilityError for a utility or budget that sets.json does not have.
    """
    known = {each["name"]: each for each in compared["utilities"]}
    rows = []
    for name in names or known:
        captured = captured_by_arm(compared, name, budget)
        found = set_agreement({arm: {"": c} for arm, c in captured.items()}, outcomes, tokens)
        described = {key: value for key, value in known[name].items() if key != "length"}
        rows.append(described | {"captured": captured, "agreement": found.to_json()})
    return rows
