"""The pytest plugin `selectllm`: gates of selection prompts and models as tests.

    def test_the_prompts_did_not_get_worse(selection_gate):
        selection_gate("suites/gate.yaml", "baselines/gate.json")

Nothing of selectllm loads before a test calls its gate.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from selectllm.jobs.gating import GateResult

MARKER = "selection: gates of selection prompts and models; needs recorded replies or a provider"

NO_VERDICT = pytest.StashKey[bool]()


class SelectionGate(Protocol):
    """What the fixture `selection_gate` is."""

    def __call__(
        self, suite: Path | str, baseline: Path | str, *, offline: bool = True
    ) -> GateResult:
        """See `selection_gate`."""
        ...


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marker
def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark every test that uses the fixture, itself or through another fixture."""
    for item in items:
        if "selection_gate" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.selection)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """A test that reached no verdict is an error of its set-up, in every kind of report."""
    report = yield
    if item.stash.get(NO_VERDICT, False) and report.when == "call" and report.failed:
        report.when = "setup"
    return report


@pytest.fixture
def selection_gate(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> SelectionGate:
    """Test a suite's prompts x models against a baseline; the test fails unless all pass.

    Paths are relative to the test's file. An inconclusive gate fails too, or skips the test if
    the suite says `gate: {inconclusive: warn}`. What keeps a verdict from being reached, such as
    a missing reply with `offline`, is an error with the reason and the fix: no test that failed,
    which would be a regression. A prompt of which the suite does not test the newest version is a
    warning. The run folder is a temporary one. Returns the result of a gate
    that passed.
    """

    def judge(suite: Path | str, baseline: Path | str, *, offline: bool = True) -> GateResult:
        from selectllm.core.errors import SelectLLMError
        from selectllm.jobs.gating import gate

        folder, out = request.path.parent, tmp_path_factory.mktemp("selection_gate")
        try:
            result = gate(folder / suite, folder / baseline, offline=offline, out=out)
            for newer in result.newer:
                request.node.warn(pytest.PytestWarning(newer))
            return _passed(result)
        except SelectLLMError as error:
            reason = f"no verdict: {error}"
        request.node.stash[NO_VERDICT] = True
        pytest.fail(reason, pytrace=False)  # out here, or pytest would show the reason twice

    return judge


def _passed(result: GateResult) -> GateResult:
    """`result` if all of it passed; anything else ends the test."""
    if not result.passed:
        pytest.fail(f"{result.text}\n\nrun folder: {result.folder}", pytrace=False)
    if result.inconclusive:
        undecided = [each for each in result.verdicts if each["word"] == "inconclusive"]
        reasons = [f"{each['b']} is inconclusive: {each['reason']}" for each in undecided]
        pytest.skip("; ".join(reasons))
    return result
