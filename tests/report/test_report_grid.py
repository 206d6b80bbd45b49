"""What `optimize --grid` tells on a terminal: every figure, however narrow the terminal is."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from selectllm.optimization.schema import GridPlan, GridResults
from selectllm.report.grid import plan_text, render_grid
from tests.report.test_report import open_question

VARIABLES: dict[str, list[bool | str]] = {
    "criteria": [True, False],
    "reasons": ["none", "before", "after"],
    "labels": ["numbers", "letters"],
    "instructions": ["first", "last"],
}
LONG = "parts[criteria=false, reasons=before, labels=letters, instructions=last]@draft"


def interval(estimate: float) -> dict[str, float]:
    return {"estimate": estimate, "low": estimate - 0.1234, "high": estimate + 0.1234}


def arm(prompt: str, number: int, captured: float) -> dict[str, Any]:
    return {
        "number": number,
        "prompt": prompt,
        "captured": interval(captured),
        "order_consistency": interval(0.89),
        "slots": {
            "counts": [146, 154, 110, 120, 130, 140, 150, 160, 170, 180],
            "expected": [146.0] * 10,
            **{"chi2": 20.1, "df": 9, "p": 0.017},
        },
        "tokens_in": 28_100,
        "tokens_out": 500,
        "decisions": 100,
        "valid_rate": 0.97,
    }


def setting(number: int, prompt: str, nth: int, clusters: int, captured: object) -> dict[str, Any]:
    """One in which every variable has the nth of its values."""
    values = {name: values[nth] for name, values in VARIABLES.items()}
    asked = {"number": number, "prompt": prompt, "clusters": clusters, "sha256": "a" * 64}
    return asked | {"settings": values, "captured": captured}


def told(settings: int = 2) -> dict[str, Any]:
    """As optimize.json has it."""
    return {
        **{"format": 1, "kind": "grid", "finalists": [1], "winner": 1},
        "plan": {
            **{"parent": "parts@1", "model": "m", "seed": 0, "settings": settings},
            "rounds": [{"settings": settings, "clusters": 5, "decisions": 5 * settings}],
            **{"budget": 300, "decisions": 240, "confirmation": 80},
        },
        "splits": {
            **{"training": 6, "validation": 4, "confirmation": 20, "left_out": 0},
            "sha256": "b" * 64,
        },
        "variables": [{"name": name, "values": values} for name, values in VARIABLES.items()],
        "settings": [
            setting(1, LONG, -1, 20, interval(0.4321)),
            setting(0, "parts@1", 0, 5, None),
            *(setting(n, f"other {n}", 0, 5, None) for n in range(2, settings)),
        ],
        "rounds": [{"clusters": [1, 2, 3, 4, 5], "settings": [0, 1], "survivors": [1]}],
        "effects": [
            {
                "variable": "criteria",
                "value": False,
                "default": True,
                "effect": interval(-0.0694),
                **{"p": 0.04, "p_holm": 0.165},
            }
        ],
        "confirmation": {
            "verdicts": [open_question()],
            "arms": [arm("parts@1", 0, 0.11), arm(LONG, 1, 0.37)],
            "noise": None,
        },
        "confirmed_on": 20,
        "utility": {
            "name": "rating",
            "kind": "human",
            "rater": None,
            "reliability": 0.81,
            "ceiling": 0.9,
            "source": "import",
        },
        "controls": {
            split: {"longest": interval(0.17)}
            for split in ("training", "validation", "confirmation")
        },
        "verdict": open_question(),
        "written": None,
    }


def rendered(report: dict[str, Any], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render_grid(GridResults.model_validate(report)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_figure_is_cut_off(width: int) -> None:
    lines = rendered(told(), width).splitlines()
    settings = next(line for line in lines if " 0.43 " in line)
    assert settings.split()[-5:] == ["20", "0.43", "+0.31", "to", "+0.56"]
    effect = next(line for line in lines if "false, not true" in line)
    assert effect.split()[-7:] == ["-0.069", "-0.193", "to", "+0.054", "p", "=", "0.165"]
    for captured in ("0.11", "0.37"):
        row = next(line.split() for line in lines if f" {captured} " in line and "0.89" in line)
        assert " 281 + 5" in " ".join(row)
        assert any(line.rstrip().endswith("97%") for line in lines)
    chosen = next(line.split() for line in lines if " 0.43 (+0.31 " in line)
    assert "0.37" in chosen


def test_the_names_of_prompts_are_no_markup() -> None:
    assert rendered(told(), 200).count(LONG) == 3


def test_the_defaults_are_told_since_names_say_only_what_differs() -> None:
    defaults = "parts@1: criteria=true, reasons=none, labels=numbers, instructions=first"
    assert defaults in rendered(told(), 200)


def test_an_effect_says_what_it_does_not_show() -> None:
    text = " ".join(rendered(told(), 200).split())
    for fact in ("the 5 clusters of the first round", "another model"):
        assert fact in text


def test_of_many_settings_the_best_are_shown_and_the_rest_counted() -> None:
    text = rendered(told(settings=24), 200)
    assert "other 11" in text
    assert "other 12" not in text
    assert re.search(r"optimize.json .*12 more settings", text)


def test_a_search_without_finalists_says_that_nothing_did_better() -> None:
    nothing = told() | {"confirmation": None, "verdict": None}
    text = " ".join(rendered(nothing).split())
    assert "No setting did better than the default one" in text
    assert "rating (kind: human; unvalidated)" in text
    assert "0.90 (reliability 0.81, over raters)" in text
    assert "on the training clusters longest 0.17" in text


def test_the_plan_names_every_round_and_what_it_takes() -> None:
    plan = {
        "parent": "parts@1",
        "model": "m",
        "settings": 24,
        "rounds": [
            {"settings": 24, "clusters": 5, "decisions": 120},
            {"settings": 8, "clusters": 15, "decisions": 120},
        ],
        **{"seed": 0, "budget": 240, "decisions": 240, "confirmation": 184},
    }
    facts = (
        ("24 settings", "parts@1", " m,", "2 rounds", "240 decisions"),
        ("Round 1", "24 settings", "5 clusters", "120 decisions"),
        ("Round 2", "8 settings", "15 more clusters", "120 decisions"),
        ("confirmation", "at most 184"),
    )
    lines = plan_text(GridPlan.model_validate(plan)).splitlines()
    for line, held in zip(lines, facts, strict=True):
        assert all(fact in line for fact in held), line
