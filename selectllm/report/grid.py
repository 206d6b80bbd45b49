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
    OptimizeResults,
)
from selectllm.report.layout import add_row, labelled, table
from selectllm.report.optimize import (
    SPLITS,
    a_decision,
    around,
    noise_facts,
    render_report,
    utility_facts,
    written,
)
from selectllm.report.verdict import render_verdict
from selectllm.report.wording import counted, estimate, p_value, rate, spread

MOST = 12  # settings in the table; all of them are in optimize.json


def render_optimized(told: OptimizeResults) -> RenderableType:
    """What came of a search or of a grid, the verdict first."""
    return render_grid(told) if isinstance(told, GridResults) else render_report(told)


def plan_text(plan: GridPlan) -> str:
    """What a grid is about to ask, in lines."""
    lines = [
        f"grid over {plan.parent} + {plan.model}: {counted(plan.settings, 'setting')}, "
        f"{counted(len(plan.rounds), 'round')}, {counted(plan.decisions, 'decision')}"
    ]
    for n, each in enumerate(plan.rounds, start=1):
        more = "more clusters" if n > 1 else "clusters"
        lines.append(
            f"  round {n}: {counted(each.settings, 'setting')} on {each.clusters} {more}, "
            f"{counted(each.decisions, 'decision')}"
        )
    lines.append(f"  confirmation: at most {counted(plan.confirmation, 'decision')} more")
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
        "settings, by captured on the clusters they were asked on",
        "0 = random picks, 1 = the best possible; chosen by these figures, so the best flatter "
        "themselves: only the confirmation is to be believed",
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
        f"each value against its default, on the {counted(len(first.clusters), 'cluster')} of "
        "round one, averaged over the values of the other variables; that does not show what it "
        "does beside one choice of them, nor with another model; interval: of 95 %, of each "
        "effect alone; p: by Holm over all of them",
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
        "captured, where it was searched and where it was not",
        "the search chose by its own figures, so that only the confirmation is to be believed",
        ["prompt"],
        ["in the search", f"confirmation ({told.confirmed_on})"],
    )
    for arm in confirmation.arms:
        add_row(made, arm.prompt, around(searched[arm.number]), around(arm.captured))
    return made


def _arms(confirmation: GridConfirmation) -> Table:
    """What a prompt must not buy its agreement with, of every arm that was confirmed."""
    made = table(
        "on the confirmation clusters",
        "consistency: 0 = as random picks overlap from one order to another, 1 = the same picks; "
        "slots: picks by place shown; tokens: in + out, of one decision; valid: share of answers "
        "that can be used; captured: 0 = random picks, 1 = the best possible",
        ["prompt"],
        ["captured", "consistency", "slots", "tokens", "valid"],
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
        yield "more", f"{counted(left, 'setting')} behind these in optimize.json"
    yield (
        "search",
        f"{counted(plan.settings, 'setting')}, {counted(len(told.rounds), 'round')}, "
        f"{counted(plan.decisions, 'decision')}",
    )
    yield "controls", "; ".join(_controls(told))
    yield from utility_facts(told)
    yield from noise_facts(None if told.confirmation is None else told.confirmation.noise)
    yield "written", written(told, "no setting did better than the default one")


def _controls(told: GridResults) -> Iterator[str]:
    """What is captured without a model, on each part of the clusters."""
    for split in SPLITS:
        held = (f"{name} {around(each)}" for name, each in getattr(told.controls, split).items())
        yield f"on {split} {', '.join(held)}"


def _value(value: bool | float | str) -> str:
    """As YAML has it."""
    return value if isinstance(value, str) else json.dumps(value)
