"""What `regress` holds against what: runs that become baselines, pairs, suites."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.errors import RunError
from selectllm.core.types import Decision
from selectllm.evaluation.comparison.baseline import SETTINGS, Baseline, Entry
from selectllm.evaluation.comparison.regress import baseline_of, check_suite, gated, matched
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign, RunInputs
from selectllm.evaluation.suite import Suite
from tests.evaluation.comparison.test_regress import EQUAL, MANIFEST, recorded
from tests.support.verdict_cases import A, B, Case, even


class TestMatching:
    """By prompt name without its version, and model name."""

    def test_another_version_is_tested_against_the_recorded_one(self) -> None:
        baseline = recorded(EQUAL)
        assert matched(baseline, [("p@7", "m")])["p@7", "m"].prompt == "p@1"

    def test_whatever_has_no_counterpart_is_named(self) -> None:
        baseline = recorded(EQUAL, EQUAL)
        with pytest.raises(RunError) as error:
            matched(baseline, [("p@2", "m"), ("new@1", "m"), ("p@2", "n")])
        assert "the baseline contains no picks of new@1 + m, p@2 + n" in str(error.value)
        assert "the suite no longer names q@1 + m" in str(error.value)

    def test_an_entry_that_the_suite_dropped_is_an_error_by_itself(self) -> None:
        with pytest.raises(RunError, match=r"the suite no longer names q@1 \+ m"):
            matched(recorded(EQUAL, EQUAL), [("p@1", "m")])


class TestSettingABaseline:
    """What a run must have to become one."""

    def run(self, **changes: Any) -> tuple[RunInputs, tuple[Decision, ...]]:
        case = Case.of(even(5), EQUAL, EQUAL, comparison=None, pairs=(("p@1", "m"), ("p@2", "m")))
        case = case.where(**changes)
        return case.inputs, case.decisions

    def test_it_keeps_picks_and_g_of_every_pair(self) -> None:
        inputs, decisions = self.run(pairs=(("p@1", "m"),))
        (entry,) = baseline_of(MANIFEST, inputs, decisions).entries
        assert isinstance(entry, Entry)
        assert entry.gain == {0: 1.0, 1: 0.75, 2: 0.5, 3: 0.25, 4: 0.0}
        assert [d.picks for d in entry.decisions] == [d.picks for d in decisions[:5]]

    @pytest.mark.parametrize(
        ("changes", "prompts", "message"),
        [
            ({"utilities": ()}, (), "no utility that covers its clusters"),
            (
                {"comparison": ComparisonDesign("ab", (A, B), differing=True)},
                (),
                "no utility that cov",
            ),
            (
                {"comparison": ComparisonDesign("ab", (A, B), looks=((5, 5),))},
                (),
                "run is sequential",
            ),
            ({}, (), "the run has 2 versions of p with m"),
            ({}, ("p@1", "p@3"), "--prompt 'p@3': "),
            ({"pairs": ()}, (), "no pair of a prompt and a model"),
        ],
    )
    def test_other_runs_are_refused(
        self, changes: dict[str, Any], prompts: tuple[str, ...], message: str
    ) -> None:
        inputs, decisions = self.run(**changes)
        with pytest.raises(RunError) as error:
            baseline_of(MANIFEST, inputs, decisions, prompts)
        assert message in str(error.value)

    def test_one_of_two_versions_may_be_chosen(self) -> None:
        inputs, decisions = self.run()
        (entry,) = baseline_of(MANIFEST, inputs, decisions, ["p@2"]).entries
        assert entry.prompt == "p@2"


class TestTheSuite:
    """Must be the one that the baseline was set from."""

    suite = Suite.model_validate(
        {
            "name": "made-up",
            "pool": "pool.jsonl",
            "utilities": [
                {"name": "first", "source": "ratings", "column": "f"},
                {"name": "u", "source": "ratings", "column": "u"},
            ],
            "clusters": {"by": "random", "size": 5},
            "picks": 1,
            "prompts": ["p@2"],
            "models": ["mock/m"],
            "gate": {"utility": "u"},
        }
    )

    @property
    def baseline(self) -> Baseline:
        ours = self.suite.model_dump(mode="json")
        return replace(recorded(EQUAL), settings={name: ours[name] for name in SETTINGS})

    def test_the_same_settings_are_accepted(self) -> None:
        check_suite(self.baseline, self.suite, Path("s.yaml"))

    def test_every_other_setting_is_named(self) -> None:
        changed = self.suite.model_copy(update={"picks": 2, "seed": 7, "name": "x"})
        with pytest.raises(RunError) as error:
            check_suite(self.baseline, changed, Path("s.yaml"))
        for word in (
            'name is "x" and was "made-up"',
            "picks is 2 and was 1",
            "seed is 7 and was 0",
        ):
            assert word in str(error.value)

    def test_another_deciding_utility_is_named(self) -> None:
        changed = self.suite.model_copy(update={"gate": self.suite.gate.model_copy()})
        changed = Suite.model_validate(changed.model_dump() | {"gate": {}})
        with pytest.raises(RunError, match='gate\'s utility is "first" and was "u"'):
            check_suite(self.baseline, changed, Path("s.yaml"))

    def test_only_the_utility_that_decides_is_kept(self) -> None:
        assert [each.name for each in gated(self.suite, self.baseline).utilities] == ["u"]
