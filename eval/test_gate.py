"""The repository's own gate: the shipped prompts pick what the baseline recorded.

Its 18 clusters are too few for any other pass: suites/gate.yaml says what that means.
"""

from __future__ import annotations

from selectllm.pytest_plugin import SelectionGate


def test_the_prompts_have_not_got_worse(selection_gate: SelectionGate) -> None:
    selection_gate("suites/gate.yaml", "baselines/gate.json")
