"""`gate: {severe: ...}`: clusters that lose very much, beside the mean, in ab, regress and swap."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from selectllm.core.errors import SuiteError
from selectllm.core.shown import told_apart
from selectllm.evaluation.comparison.ab import ab, why_fixed
from selectllm.evaluation.comparison.regress import baseline_of, regress
from selectllm.evaluation.comparison.run_inputs import ComparisonDesign
from selectllm.evaluation.comparison.schema import SevereLosses, Verdict
from selectllm.evaluation.comparison.swap import swap
from selectllm.evaluation.suite import load_suite
from selectllm.evaluation.suite_entries import Gate, SevereEntry
from selectllm.report.verdict_sentences import brief, figures
from tests.support.verdict_cases import A, B, C, Case, even, verdict_of

N = 200
BEST, WORST, MIDDLE = 4, 0, 2
"""Columns of clusters whose utilities are 0 to 4; from BEST to WORST is a loss of 2 captured."""
GUARDED = Gate(severe=SevereEntry())


def made(losses: int, gains: int = 0, n: int = N, **gate: object) -> Case:
    """B does as A does, but in so many clusters worse, and in so many better."""
    before = [BEST] * losses + [MIDDLE] * (n - losses)
    after = [WORST] * losses + [BEST] * gains + [MIDDLE] * (n - losses - gains)
    picks = ([[each] for each in before], [[each] for each in after])
    return Case.of(even(n), *picks, gate=Gate(severe=SevereEntry(**gate)))


def guard(verdict: Verdict) -> SevereLosses:
    assert verdict.severe is not None
    return verdict.severe


def gated(case: Case) -> Verdict:
    """What regress says of B, with A as its baseline."""
    alone = replace(case.inputs, pairs=((A.prompt or "", A.model or ""),), comparison=None)
    of_a = [d for d in case.decisions if d.prompt == A.prompt]
    manifest = {"pool_sha256": "0" * 64} | dict.fromkeys(
        ("clusters", "picks", "orders", "repeats", "seed", "reask", "structured"), 1
    )
    baseline = baseline_of(manifest, alone, of_a)
    inputs = replace(
        case.inputs,
        pairs=((B.prompt or "", B.model or ""),),
        baseline=baseline,
        comparison=ComparisonDesign("regress", ()),
    )
    of_b = tuple(d for d in case.decisions if d.prompt == B.prompt)
    (verdict,) = regress(inputs, Case(inputs, of_b).arm_results)
    return verdict


def swapped(case: Case) -> Verdict:
    case = case.where(comparison=ComparisonDesign("swap", (A, B), retain=0.5))
    (verdict,) = swap(case.inputs, case.arm_results)
    return verdict


def test_losses_and_gains_are_counted_with_exact_figures() -> None:
    found = guard(verdict_of(made(14, 3)))
    assert (found.losses, found.gains) == (14, 3)
    interval = stats.binomtest(14, N).proportion_ci(0.9, "exact")
    assert (found.share.low, found.share.high) == pytest.approx(tuple(interval), abs=1e-9)
    assert found.p == pytest.approx(stats.binomtest(14, 17, 0.5, "greater").pvalue, abs=1e-9)


@pytest.mark.parametrize(
    ("losses", "gains", "broken"),
    [
        (14, 0, True),
        (14, 3, True),
        (14, 14, False),  # equal prompts lose and gain as often
        (4, 0, False),  # 2 % is what may be lost
        (0, 14, False),
    ],
)
def test_a_break_is_worse_a_failure_and_not_safe(losses: int, gains: int, broken: bool) -> None:
    case = made(losses, gains)
    words = [verdict_of(case).word, gated(case).word, swapped(made(losses, gains)).word]
    assert (words == ["worse", "fail", "not safe"]) == broken
    if not broken:
        without = case.where(gate=Gate())
        assert words == [verdict_of(without).word, gated(without).word, swapped(without).word]


def test_a_mean_that_would_pass_does_not_hide_a_break() -> None:
    """15 of 300 clusters lose all there is; every other one gains a little."""
    case = made(15, n=300).where(gate=Gate(margin=0.5))
    assert verdict_of(case).word == "equivalent"
    guarded = verdict_of(case.where(gate=Gate(margin=0.5, severe=SevereEntry())))
    assert guarded.word == "worse"
    assert "15" in guarded.reason


def test_strict_withholds_a_good_word_until_a_break_is_ruled_out() -> None:
    few, enough = made(0, n=120), made(0, n=150)
    assert verdict_of(few).word == "equivalent"
    strict = Gate(severe=SevereEntry(strict=True))
    assert verdict_of(few.where(gate=strict)).word == "inconclusive"
    assert verdict_of(enough.where(gate=strict)).word == "equivalent"


def test_strict_says_how_many_clusters_its_word_takes_or_that_none_would_do() -> None:
    strict = Gate(severe=SevereEntry(strict=True))
    few = verdict_of(made(0, n=120).where(gate=strict))
    assert any("149" in note for note in few.notes)
    never = verdict_of(made(6).where(gate=Gate(margin=0.5, severe=SevereEntry(strict=True))))
    assert never.word == "inconclusive"
    assert any("no number" in note for note in never.notes)
    assert not verdict_of(made(0, n=120)).notes
    assert not verdict_of(made(0, n=150).where(gate=strict)).notes


def test_a_share_that_is_not_the_limit_does_not_read_like_it() -> None:
    assert told_apart(0.0204, 0.02) == "2.04%"
    assert told_apart(0.02, 0.02) == "2.0%"
    assert told_apart(0.059, 0.02) == "5.9%"
    assert told_apart(0.02 + 1e-9, 0.02) == "2.0000%"


def test_a_loss_that_no_cluster_can_have_is_told() -> None:
    assert any("50" in note for note in verdict_of(made(14, loss=50)).notes)
    assert guard(verdict_of(made(14, loss=2))).losses == 14
    assert not any("gate.severe.loss" in note for note in verdict_of(made(14, loss=2)).notes)


def test_none_that_gain_are_none() -> None:
    assert "none gains" in verdict_of(made(14)).reason


def test_the_same_picks_as_recorded_pass_a_strict_guard_however_few_the_clusters() -> None:
    case = made(0, n=20).where(gate=Gate(severe=SevereEntry(strict=True)))
    assert gated(case).word == "pass"


def test_the_clusters_that_lost_most_are_listed_worst_first() -> None:
    found = guard(verdict_of(made(12)))
    assert len(found.worst) == 10
    assert [each.difference for each in found.worst] == [pytest.approx(-2)] * 10
    assert {each.cluster for each in found.worst} <= set(range(12))
    told = dict(figures(verdict_of(made(12))))
    assert "12 clusters" in told["severe losses"]
    assert "clusters 0" in dict(brief(verdict_of(made(12))))["lost most"]


def test_more_than_the_limit_that_may_be_chance_is_told_as_that() -> None:
    told = dict(figures(verdict_of(made(6, 5))))
    assert "6 clusters of 200" in told["severe losses"]
    assert "chance" in told["severe losses"]
    assert "chance" not in dict(figures(verdict_of(made(14))))["severe losses"]


def test_without_a_guard_nothing_is_counted_and_no_byte_is_added() -> None:
    verdict = verdict_of(made(14).where(gate=Gate()))
    assert verdict.severe is None
    assert "severe" not in verdict.to_json()
    assert "severe" not in Gate().recorded()
    assert Verdict.exactly(verdict.to_json()) == verdict


def test_a_guard_is_read_back_from_a_manifest() -> None:
    gate = Gate(severe=SevereEntry(loss=0.4, strict=True))
    assert Gate.model_validate(gate.recorded()) == gate
    verdict = verdict_of(made(14))
    assert Verdict.exactly(verdict.to_json()) == verdict


def test_several_arms_share_the_error_rate() -> None:
    before, after = ([[first]] * 8 + [[MIDDLE]] * (N - 8) for first in (BEST, WORST))
    design = ComparisonDesign("ab", (A, B, C))
    case = Case.of(even(N), before, after, after, comparison=design, gate=GUARDED)
    assert [guard(each).alpha for each in ab(case.inputs, case.arm_results)] == [0.025, 0.025]


def test_looking_early_is_not_for_a_guard() -> None:
    why = why_fixed(made(0, n=400).inputs)
    assert why is not None
    assert "severe" in why


def test_a_guard_of_grouped_clusters_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    suite = "name: s\npool: p.jsonl\nstrategies: [longest]\nclusters: {group: topic}\n"
    path.write_text(f"{suite}gate: {{severe: {{loss: 0.5}}}}\n", encoding="utf-8")
    with pytest.raises(SuiteError, match=r"gate\.severe.*clusters\.group"):
        load_suite(path)
