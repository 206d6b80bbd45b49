"""optimize.json of a grid on a terminal: the plan beforehand, then settings, effects, verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selectllm.optimization.schema import (
    GridConfirmation,
    GridPlan,
    GridResults,
)
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.optimize import (
    CONSISTENCY,
    SPLITS,
    VALID,
    a_decision,
    around,
    noise_facts,
    utility_facts,
    written,
)
from selectllm.report.verdict import render_verdict
from selectllm.report.wording import (
    MEASURES,
    counted,
    estimate,
    explained,
    p_value,
    rate,
    spread,
)

ARMS = {
    "captured": MEASURES["captured"],
    "consistency": CONSISTENCY,
    "slots": "how often a candidate at the first, second, ... place was picked",
    "tokens": "the tokens of the prompt and of the reply of one decision",
    "valid": VALID,
}
"""What the columns of the confirmed arms say."""
MOST = 12  # settings in the table; all of them are in optimize.json


def plan_text(plan: GridPlan) -> str:
    """What a grid is about to ask, in lines."""
    lines = [
        f"The grid tries {counted(plan.settings, 'setting')} of {plan.parent} with {plan.model}, "
        f"in {counted(len(plan.rounds), 'round')} and {counted(plan.decisions, 'decision')}."
    ]
    for n, each in enumerate(plan.rounds, start=1):
        more = counted(each.clusters, "more cluster" if n > 1 else "cluster")
        lines.append(
            f"  Round {n} asks {counted(each.settings, 'setting')} about {more}, in "
            f"{counted(each.decisions, 'decision')}."
        )
    most = counted(plan.confirmation, "more decision")
    lines.append(f"  The confirmation takes at most {most}.")
    return "\n".join(lines)


def render_grid(told: GridResults) -> RenderableType:
    """What came of a grid, the verdicts first."""
    parts: list[RenderableType] = []
    confirmation = told.confirmation
    for verdict in confirmation.verdicts if confirmation else ():
        parts += [render_verdict(verdict), Text()]
    parts += [_settings(told), _effects(told)]
    if confirmation is not None:
        parts += [_optimism(told, confirmation), _arms(confirmation)]
    return Group(*parts, labelled(_facts(told)))


def _settings(told: GridResults) -> Table:
    """Settings by captured; those that went further have been asked on more clusters."""
    made = table(
        "settings, ordered by captured on the clusters that they were asked about",
        "0 = random picks, 1 = the best possible. The grid chose by these figures, so the best "
        "of them look better than they are. Rely only on the figures of the confirmation.",
        ["prompt"],  # a column for each variable would push the figures off a terminal
        ["clusters", "captured", "interval"],
    )
    for each in told.settings[:MOST]:
        captured = each.captured
        figures = str(each.clusters), estimate(captured), spread(captured)
        add_row(made, each.prompt, *figures)
    return made


def _effects(told: GridResults) -> Table:
    first = told.rounds[0]
    made = table(
        "effects, in captured",
        "effect: how much a value captures more than the default, on the "
        f"{counted(len(first.clusters), 'cluster')} of the first round, averaged over the values "
        "of the other variables. With one choice of these, or with another model, it may be "
        "different.\n"
        "interval: of each effect alone, with 95 % confidence.\n"
        "p (Holm): how likely chance alone is to show as much, corrected for the number of "
        "effects.",
        ["variable", "value"],
        ["effect", "interval", "p (Holm)"],
    )
    for each in told.effects:
        effect = each.effect
        shift = "-" if effect is None else f"{effect.estimate:+.3f}"
        p = "-" if each.p_holm is None else p_value(each.p_holm)
        value = f"{_value(each.value)}, not {_value(each.default)}"
        add_row(made, each.variable, value, shift, spread(effect, 3), p)
    return made


def _optimism(told: GridResults, confirmation: GridConfirmation) -> Table:
    """What the default and the finalists captured where they were chosen, and where not."""
    searched = {each.number: each.captured for each in told.settings}
    made = table(
        "captured on the clusters of the search and on others",
        "The search chose by its own figures, so rely only on those of the confirmation.",
        ["prompt"],
        ["in the search", f"confirmation ({told.confirmed_on})"],
    )
    for arm in confirmation.arms:
        add_row(made, arm.prompt, around(searched[arm.number]), around(arm.captured))
    return made


def _arms(confirmation: GridConfirmation) -> Table:
    """What a prompt must not buy its agreement with, of every arm that was confirmed."""
    columns = ["captured", "consistency", "slots", "tokens", "valid"]
    made = table(
        "on the confirmation clusters",
        explained(columns, ARMS),
        ["prompt"],
        columns,
    )
    for arm in confirmation.arms:
        add_row(
            made,
            arm.prompt,
            estimate(arm.captured),
            estimate(arm.order_consistency),
            " ".join(str(count) for count in arm.slots.counts),
            " + ".join(a_decision(t, arm.decisions) for t in (arm.tokens_in, arm.tokens_out)),
            rate(arm.valid_rate),
        )
    return made


def _facts(told: GridResults) -> Iterator[tuple[str, str]]:
    plan, left = told.plan, len(told.settings) - MOST
    defaults = (f"{each.name}={_value(each.values[0])}" for each in told.variables)
    yield "defaults", f"{plan.parent}: {', '.join(defaults)}"
    if left > 0:
        yield "more", f"optimize.json has {counted(left, 'more setting')}."
    yield (
        "search",
        f"The grid tried {counted(plan.settings, 'setting')} in "
        f"{counted(len(told.rounds), 'round')} and {counted(plan.decisions, 'decision')}.",
    )
    yield "controls", "; ".join(_controls(told))
    yield from utility_facts(told)
    yield from noise_facts(None if told.confirmation is None else told.confirmation.noise)
    yield "written", written(told, "No setting did better than the default one")


def _controls(told: GridResults) -> Iterator[str]:
    """What is captured without a model, on each part of the clusters."""
    for split in SPLITS:
        held = (f"{name} {around(each)}" for name, each in getattr(told.controls, split).items())
        yield f"on the {split} clusters {', '.join(held)}"


def _value(value: bool | float | str) -> str:
    """As YAML has it."""
    return value if isinstance(value, str) else json.dumps(value)
