"""What results.json says of a comparison: on a terminal, in Markdown, JUnit XML and annotations."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, RenderableType

from selectllm.core.shown import visible
from selectllm.evaluation.comparison.schema import Noise, Verdict
from selectllm.evaluation.runs.schema import RunResults
from selectllm.report import github, terminal
from selectllm.report import junit as junit_xml
from selectllm.report import markdown as comment
from selectllm.report import verdict as on_terminal
from selectllm.report.schemas import schema

# Any character that UTF-8 can carry, and often one that has a meaning in some format.
CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    "|`<>&*_[]()!\\~$#:,%=\r\n\0"
)
TEXT = st.text(CHARACTERS)
NASTY = "<b>x</b> [a](b) `c` **d** _e_ | f\n| - |\r\n# <!-- g --> ::error::h, i: j%0A"
VALID = Draft202012Validator(schema("results"))
SHA = {"before": "a" * 64, "after": "b" * 64}
FIXED = {"kind": "fixed", "looks": [], "calls": 240} | dict.fromkeys(("why", "cap", "calls_saved"))
BAD = ("worse", "fail", "not safe")


def interval(estimate: float, half: float = 0.09) -> dict[str, float]:
    return {"estimate": estimate, "low": estimate - half, "high": estimate + half}


def ab(**changes: Any) -> dict[str, Any]:
    """A finding that b is better than a, with `changes`."""
    return {
        "kind": "ab",
        "word": "better",
        "reason": "the 95 % interval lies above 0",
        "a": "short@1 + gpt",
        "b": "criteria@1 + gpt",
        "utility": {"name": "rating", "kind": "human", "rater": "two annotators"},
        **{"unit": "captured", "alpha": 0.05, "margin": 0.1, "margin_share": 1 / 3},
        **{"clusters": 120, "flat_clusters": 2, "nonzero": 55},
        "captured": {"a": interval(0.3), "b": interval(0.42)},
        "difference": interval(0.12),
        "inner": interval(0.12, 0.075),
        **{"betting": None, "p": 0.012, "p_holm": None},
        **{"design": FIXED, "others": [], "controls": []},
        "valid_rate": {"a": 1.0, "b": 0.98},
        "overlap": interval(0.45),
        "needed": None,
        "notes": [],
        "swap": None,
        "regress": None,
    } | changes


def regress(**changes: Any) -> dict[str, Any]:
    """A prompt change that fails."""
    change = {
        "prompt_before": "criteria@1",
        "prompt_after": "criteria@2",
        "sha256_before": SHA["before"],
        "sha256_after": SHA["after"],
        "model_changed": [],
        "identical": False,
        "changed": 12,
        "path": "prompts/criteria/v2.jinja",
    }
    usual = {
        "kind": "regress",
        "word": "fail",
        "reason": "the 90 % interval lies below 0",
        "a": "criteria@1 + gpt",
        "b": "criteria@2 + gpt",
        "difference": interval(-0.12),
        "regress": change | changes.pop("regress", {}),
    }
    return ab(**usual | changes)


def swap(**changes: Any) -> dict[str, Any]:
    """A model that may take another's place."""
    figures = {
        "retain": 0.9,
        "retention": interval(0.05, 0.03),
        "assay": interval(0.3),
        "valid_rate_drop": 0.02,
        "order_consistency": {"a": interval(0.6), "b": None},
        "usd_per_1000": {"a": 1.2, "b": None},
        "seconds_per_1000": {"a": 10.0, "b": 50.0},
    }
    usual = {
        "kind": "swap",
        "word": "safe",
        "reason": "the retention lies above 0",
        "b": "short@1 + llama",
        "swap": figures | changes.pop("swap", {}),
    }
    return ab(**usual | changes)


def sequential(**changes: Any) -> dict[str, Any]:
    """A comparison that stopped at its second look."""
    looks = [
        {"clusters": 100, "low": -0.1, "high": 0.2},
        {"clusters": 150, "low": 0.01, "high": 0.2},
    ]
    design = {"kind": "sequential", "why": None, "cap": 300, "looks": looks}
    return ab(design=design | {"calls": 300, "calls_saved": 300}, p=None, **changes)


def open_question(make: Callable[..., dict[str, Any]] = ab, **changes: Any) -> dict[str, Any]:
    """An inconclusive verdict, with what would decide it."""
    needed = {"clusters": 340, "calls": 680, "ratings": 3400, "usd": 1.25}
    return make(word="inconclusive", reason="0 and the margin are inside", needed=needed, **changes)


def differing(**changes: Any) -> dict[str, Any]:
    """A verdict on differing items alone: no figure of captured."""
    nothing = {"margin": None, "margin_share": None, "captured": {"a": None, "b": None}}
    return ab(unit="range", difference=interval(0.031, 0.02), **nothing, **changes)


NOISE: dict[str, Any] = {
    "pair": "short@1 + gpt",
    "by": "orders",
    "utility": {"name": "rating", "kind": "human", "rater": None},
    **{"clusters": 98, "flat_clusters": 2, "nonzero": 40, "sd": 0.21},
    "difference": interval(0.0, 0.03),
    "consistency": interval(0.55),
    "false_alarms": {"ab": 0.05, "regress": 0.04, "naive": 0.47},
    **{"resamples": 2000, "detectable": 0.12, "alpha": 0.05, "margin": 0.1},
}
ONE_MORE = {"low": 0.01, "high": 0.24}
# Nothing is known: every field that may be null is.
NEITHER = {"a": None, "b": None}
EMPTY_AB = {
    **dict.fromkeys(("utility", "margin", "margin_share", "flat_clusters", "difference")),
    **dict.fromkeys(("inner", "p", "overlap")),
    **dict.fromkeys(("captured", "valid_rate"), NEITHER),
    **{"word": "inconclusive", "design": FIXED | {"calls": None}},
}
EMPTY_SWAP = {
    **dict.fromkeys(("retention", "assay", "valid_rate_drop")),
    **dict.fromkeys(("order_consistency", "usd_per_1000", "seconds_per_1000"), NEITHER),
}
EMPTY_NOISE = {
    **dict.fromkeys(("utility", "flat_clusters", "sd", "difference", "consistency")),
    **{"detectable": None, "margin": None},
    "false_alarms": dict.fromkeys(("ab", "regress", "naive")),
}
EVERY = {
    "ab": ab(),
    "of 0.1.0": ab(betting={"low": -0.05, "high": 0.3}, clusters=60),
    "one more": ab(one_more=ONE_MORE),
    "groups": ab(one_more=ONE_MORE, groups=10),
    "several arms": ab(p_holm=0.024),
    "sequential": sequential(),
    "differing": differing(),
    "inconclusive": open_question(),
    "regress": regress(),
    "swap": swap(),
    "ab, nothing known": ab(**EMPTY_AB),
    "swap, nothing known": swap(**EMPTY_AB, swap=EMPTY_SWAP),
}


def pair(prompt: str, model: str, seconds: float | None) -> dict[str, Any]:
    return {
        **{"prompt": prompt, "model": model, "seconds": seconds},
        **{"clusters": 120, "flat_clusters": 2, "decisions": 122, "agreement": {}},
        **{"valid_rate": 1.0, "status_counts": {"ok": 122}, "order_consistency": None},
        **{
            "slots": dict.fromkeys(("chi2", "p")) | {"counts": [], "expected": [], "df": 0},
            "tokens_in": 10,
            "tokens_out": 1,
        },
        "replay_cost_usd": 0.0,
    }


def run(*verdicts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A results.json, held against its schema."""
    found = {
        **{"format": 1, "suite": "demo", "picks": 2, "clusters": 122, "cluster_sizes": [5]},
        **{"utilities": [], "pairs": [], "strategies": [], "overlaps": []},
        **{"verdicts": list(verdicts), "noise": None},
    } | changes
    VALID.validate(found)
    return found


# Every report is given what a file holds, read as the reports read it.


def render_verdict(verdict: Mapping[str, Any]) -> RenderableType:
    return on_terminal.render_verdict(Verdict.model_validate(verdict))


def render_noise(noise: Mapping[str, Any]) -> RenderableType:
    return on_terminal.render_noise(Noise.model_validate(noise))


def print_results(found: Mapping[str, Any], console: Console) -> None:
    terminal.print_results(RunResults.model_validate(found), console)


def junit(found: Mapping[str, Any]) -> str:
    return junit_xml.junit(RunResults.model_validate(found))


def markdown(found: Mapping[str, Any]) -> str:
    return comment.markdown(RunResults.model_validate(found))


def annotations(
    found: Mapping[str, Any], root: Path | None, workspace: Path | None = None
) -> list[str]:
    return github.annotations(RunResults.model_validate(found), root, workspace)


def shown(what: RenderableType, width: int = 80) -> str:
    """What a terminal without colours shows."""
    file = io.StringIO()
    Console(file=file, width=width, no_color=True).print(what)
    return file.getvalue()


def said(verdict: Mapping[str, Any]) -> str:
    """What a terminal shows of a verdict, its line ends taken for spaces."""
    return " ".join(shown(render_verdict(verdict)).split())


# --- arms that are worse than random picks

BELOW = {"a": interval(-0.3), "b": interval(-0.2)}
CASES = (
    (ab(word="equivalent", captured=BELOW), "equivalent", "both are worse than random picks"),
    (regress(word="pass", captured=BELOW), "pass", "both are worse than random picks"),
    (swap(captured=BELOW | {"a": interval(0.3)}), "safe", "short@1 + llama is worse than random"),
    (open_question(captured=BELOW | {"b": None}), "inconclusive", "short@1 + gpt is worse than"),
)


@pytest.mark.parametrize(("verdict", "word", "worse"), CASES)
def test_what_is_worse_than_random_picks_is_told_beside_the_word_in_every_format(
    verdict: dict[str, Any], word: str, worse: str
) -> None:
    file = io.StringIO()
    print_results(run(verdict), Console(file=file, width=200, no_color=True))
    lines = file.getvalue().splitlines()
    heads = [line for line in lines if line.startswith(word.upper()) and worse in line]
    assert len(heads) == 2
    assert lines[-1] == heads[1]
    comments = markdown(run(verdict)).splitlines()
    assert worse in next(line for line in comments if line.startswith("## "))
    assert worse in next(line for line in comments if f"**{word}**" in line)
    (annotation,) = annotations(run(verdict), None)
    assert annotation.count(worse) == 3  # its title, its first line, and the reason
    assert worse in junit(run(verdict))


def test_an_arm_that_may_be_as_good_as_random_picks_is_not_called_worse() -> None:
    unsure = {"a": interval(-0.05), "b": interval(0.3)}
    for verdict in (ab(captured=unsure), ab(**EMPTY_AB), differing()):
        assert "worse than random picks" not in said(verdict).partition("captured")[0]


# --- the schema


def test_a_word_belongs_to_its_kind_of_comparison() -> None:
    for verdict in (ab(word="pass"), regress(word="better"), swap(word="fail")):
        assert not VALID.is_valid(run() | {"verdicts": [verdict]})


def test_every_field_of_a_verdict_and_of_the_noise_is_always_there() -> None:
    for name in ab():
        short = {key: value for key, value in ab().items() if key != name}
        assert not VALID.is_valid(run() | {"verdicts": [short]}), name
    for name in NOISE:
        short = {key: value for key, value in NOISE.items() if key != name}
        assert not VALID.is_valid(run() | {"noise": short}), name
    assert not VALID.is_valid(run() | {"verdicts": [ab(more=1)]})


def test_what_belongs_to_another_kind_is_null() -> None:
    assert not VALID.is_valid(run() | {"verdicts": [ab(swap=swap()["swap"])]})
    assert not VALID.is_valid(run() | {"verdicts": [swap() | {"swap": None}]})
    assert not VALID.is_valid(run() | {"verdicts": [regress() | {"regress": None}]})


# --- the terminal


def test_the_word_and_the_two_arms_come_first_and_then_the_reason() -> None:
    lines = [line.rstrip() for line in shown(render_verdict(ab())).splitlines()]
    assert lines[:5] == [
        "BETTER  criteria@1 + gpt against short@1 + gpt",
        "",
        "reason         the 95 % interval lies above 0",
        "difference     +0.120 captured, 95 % interval from +0.030 to +0.210",
        "error rate     interval of 95 %: wrongly better or worse in at most 5 of 100",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "wrongly better or worse in at most 5 of 100 comparisons of equal prompts",
        "p = 0.012, two-sided",
        "0.1 captured, which is 33.3 % of what short@1 + gpt gains over random picks",
        "would need the interval of 90 %, +0.045 to +0.195, between -0.1 and +0.1",
        "120 clusters compared, without 2 flat ones (the same utility for all items); the two "
        "arms score differently in 55",
        "short@1 + gpt: 0.30 (0.21 to 0.39): better than random picks",
        "criteria@1 + gpt: 0.42 (0.33 to 0.51): better than random picks",
        "100% from short@1 + gpt, 98% from criteria@1 + gpt",
        "the kappa of the two arms' picks is 0.45 (0.36 to 0.54): 0 = no more than random picks",
        "rating (kind: human, rated by two annotators; unvalidated) says how good the picks are",
    ],
)
def test_the_figures_of_a_comparison_are_told_in_sentences(sentence: str) -> None:
    assert sentence in said(ab())


@pytest.mark.parametrize("verdict", EVERY.values(), ids=EVERY.keys())
def test_every_verdict_is_valid_and_fits_80_columns(verdict: dict[str, Any]) -> None:
    run(verdict)
    long = verdict | {
        "b": "criteria@1 + " + "a-very-long-name-of-a-model/" * 5,
        "notes": ["x" * 200],
    }
    for each in (verdict, long):
        lines = shown(render_verdict(each)).splitlines()
        assert lines[0].startswith(f"{verdict['word'].upper()}  ")
        assert max(map(len, lines)) <= 80


def test_notes_stand_below_the_reason() -> None:
    text = said(regress(notes=["small certain loss: below 0 and above the margin"]))
    note = text.index("note small certain loss: below 0 and above the margin")
    assert text.index("reason") < note < text.index("difference")


def test_an_inconclusive_verdict_says_what_would_decide_it() -> None:
    decide = (
        "340 more clusters (680 calls, 3,400 ratings, about 1.25 USD) would decide it with 80 %"
    )
    assert decide in said(open_question())


@pytest.mark.parametrize(
    ("unknown", "sentence"),
    [
        ({"ratings": None, "usd": None}, "340 more clusters (680 calls) would decide it"),
        ({"ratings": None, "usd": 0}, "340 more clusters (680 calls, about 0.00 USD) would"),
        ({"usd": 0.0123}, "(680 calls, 3,400 ratings, about 0.0123 USD)"),
        ({"calls": None, "ratings": None, "usd": None}, "340 more clusters would decide it"),
        ({"clusters": 1, "calls": 1, "ratings": 1}, "1 more cluster (1 call, 1 rating, about"),
    ],
)
def test_what_is_not_known_of_the_price_is_left_out(unknown: dict[str, Any], sentence: str) -> None:
    verdict = open_question()
    assert sentence in said(verdict | {"needed": verdict["needed"] | unknown})


def test_a_gate_says_before_and_after_and_that_it_errs_one_sided() -> None:
    text = said(regress())
    assert "FAIL criteria@2 + gpt against criteria@1 + gpt" in text
    assert "criteria@2 against criteria@1, as the baseline recorded it" in text
    assert (
        "(sha256 bbbbbbbbbbbb against sha256 aaaaaaaaaaaa); the picks differ in 12 clusters" in text
    )
    assert "90 % interval from -0.210 to -0.030" in text
    assert "one-sided 5 % each way: wrongly fail in at most 5 of 100 changes" in text
    assert "criteria@1 + gpt: " in text
    assert "criteria@2 + gpt: " in text


def test_equal_picks_are_called_so() -> None:
    text = said(regress(word="pass", regress={"identical": True, "changed": 0}))
    assert "the picks are the same in every cluster" in text


def test_a_swap_shows_retention_assay_guardrail_and_what_both_models_cost() -> None:
    text = said(swap())
    assert "SAFE short@1 + llama against short@1 + gpt" in text
    assert "minus 90 % of captured before it: +0.050 (+0.020 to +0.080)" in text
    assert "the model to be replaced captures 0.30 (0.21 to 0.39): better than random picks" in text
    assert "2 in 100 fewer valid replies after the swap" in text
    assert "wrongly safe in at most 5 of 100 swaps that retain less than 90 %" in text
    assert "1.20 USD before the swap, not priced (which does not mean free) after it" in text
    assert re.search(r"from: short@1 \+ gpt +0\.60 +1\.20 +10\.0", shown(render_verdict(swap())))
    assert re.search(r"to: short@1 \+ llama +- +not priced +50\.0", shown(render_verdict(swap())))


def test_sequential_looks_are_listed_with_the_calls_saved() -> None:
    text = said(sequential())
    assert "looked 2 times, last at 150 counted clusters, at most 300 would be asked" in text
    assert "300 calls, 300 saved" in text
    assert "100 -0.100 to +0.200" in text
    assert "150 +0.010 to +0.200" in text
    assert "sign-flip" not in text


def test_a_fixed_design_says_why_it_is_fixed() -> None:
    design = ab()["design"] | {"why": "the cap of 90 clusters is below 150"}
    assert "fixed: the cap of 90 clusters is below 150; 240 calls" in said(ab(design=design))


def test_other_utilities_and_controls_are_headed_as_deciding_nothing() -> None:
    others = [{"utility": "knn", "kind": "proxy", "difference": interval(-0.02)}]
    controls = [{"strategy": "longest", "captured": interval(0.1)}]
    text = shown(render_verdict(ab(others=others, controls=controls)))
    head = text.index("do not affect the verdict")
    for row in (
        r"utility knn \(kind: proxy; unvalidated\) +difference +-0\.020",
        r"control longest +captured +0\.10",
    ):
        found = re.search(row, text)
        assert found
        assert found.start() > head
    assert "decide nothing" not in said(ab())


def test_a_utility_is_told_with_its_ceiling_and_what_length_alone_captures() -> None:
    known = {"source": "knn", "reliability": 0.64, "ceiling": 0.8, "length": interval(0.31)}
    text = said(ab(utility=ab()["utility"] | known))
    repeats = "reliability 0.64, split-half over test items"
    assert f"ceiling 0.80 ({repeats}); longest alone captures 0.31" in text
    without = "ceiling unknown (no reliability); the run does not show what longest alone captures"
    assert without in said(ab())


UNVALIDATED = {"status": "unvalidated", "lds": 0.4, "p": 0.3, "subsets": 16}
VALIDATED = {"status": "validated", "lds": 0.62, "p": 0.01, "subsets": 16}


def everywhere(utility: dict[str, Any]) -> list[str]:
    """A verdict by `utility` in every form that there is."""
    return in_every_form(ab(utility=utility))


def in_every_form(verdict: dict[str, Any]) -> list[str]:
    """A verdict in every form that there is, without what only the form needs."""
    found = run(verdict)
    forms = [shown(render_verdict(found["verdicts"][0])), junit(found), markdown(found)]
    return [" ".join(each.split()) for each in (*forms, *annotations(found, None))]


@pytest.mark.parametrize(
    ("kind", "validation"),
    [
        *((kind, found) for kind in ("human", "model", "proxy") for found in (None, UNVALIDATED)),
        ("outcome", UNVALIDATED),
    ],
)
def test_a_utility_that_is_not_validated_is_called_so_in_every_form(
    kind: str, validation: object
) -> None:
    utility = {"name": "u", "kind": kind, "rater": None, "validation": validation}
    for form in everywhere(utility):
        assert f"u (kind: {kind}; unvalidated) says how good the picks are" in form


@pytest.mark.parametrize(
    ("kind", "validation", "told"),
    [
        ("model", VALIDATED, "u (kind: model; LDS 0.62, p = 0.010, 16 subsets)"),
        ("outcome", None, "u (kind: outcome)"),
    ],
)
def test_a_validated_one_says_by_what_and_an_outcome_needs_nothing(
    kind: str, validation: object, told: str
) -> None:
    utility = {"name": "u", "kind": kind, "rater": None, "validation": validation}
    for form in everywhere(utility):
        assert told in form
        assert "unvalidated" not in form


def test_several_arms_show_the_holm_p_and_its_error_rate() -> None:
    text = said(ab(p_holm=0.0004))
    assert "Holm p < 0.001: t test, adjusted for the number of arms" in text
    assert "wrongly better or worse, for any arm, in at most 5 of 100 comparisons" in text


def test_one_more_cluster_is_told_with_what_it_would_change() -> None:
    assert (
        "one more if one more cluster went as badly for criteria@1 + gpt as possible, the "
        "interval would begin at +0.010; if it went as well as possible, it would end at +0.240. "
        "A verdict has to hold either way"
    ) in said(EVERY["one more"])
    assert "if one more group, as large as that of an average cluster, went as badly" in said(
        EVERY["groups"]
    )
    assert "one more" not in said(EVERY["of 0.1.0"])


def test_every_form_names_the_groups_where_there_are_any() -> None:
    for verdict, groups in ((EVERY["groups"], True), (EVERY["one more"], False)):
        for form in in_every_form(verdict):
            assert ("120 clusters in 10 groups" in form or "120 in 10 groups" in form) == groups
            assert ("group" in form) == groups
    text = shown(render_noise(NOISE | {"groups": 10}))
    assert "98 clusters in 10 groups" in text


def test_differing_items_alone_claim_no_captured_figure() -> None:
    text = said(differing())
    assert "+0.031 of the rating range per pick, 95 % interval from +0.011 to +0.051" in text
    assert "not reported" in text
    assert "none is set, so nothing is called equivalent; see gate.rating_margin" in text
    assert "0 = random picks" not in text


def test_a_reference_without_a_gain_gives_the_margin_no_share() -> None:
    assert "short@1 + gpt shows no gain over random picks" in said(ab(margin_share=None))


def test_square_brackets_in_a_name_are_shown() -> None:
    text = said(ab(b="[bold]a[/bold].jinja + gpt"))
    for before in ("BETTER ", "captured "):
        assert f"{before}[bold]a[/bold].jinja + gpt" in text


def test_noise_puts_the_false_alarms_beside_those_of_the_naive_rule() -> None:
    text = " ".join(shown(render_noise(NOISE)).split())
    assert text.startswith("NOISE FLOOR short@1 + gpt against itself, with other orders")
    for fact in (
        *("+0.000 captured", "95 % from -0.030 to +0.030", "0.210 captured", "2,000 resamples"),
        *("better or worse in 5 %", "fail in 4 %", "must not drop' raises an alarm in 47 %"),
        *("0.120 captured or more", "80 of 100", "margin is 0.1: "),
    ):
        assert fact in text, fact


def test_noise_of_which_nothing_is_known_still_names_its_clusters() -> None:
    empty = NOISE | EMPTY_NOISE
    run(noise=empty)
    text = shown(render_noise(empty))
    assert "98 clusters" in text
    assert "None" not in text


def printed(results: Mapping[str, Any]) -> str:
    file = io.StringIO()
    print_results(results, Console(file=file, width=80, no_color=True))
    return file.getvalue()


def test_verdicts_stand_above_the_tables_and_their_words_once_more_below() -> None:
    lines = printed(run(ab(), pairs=[pair("criteria@1", "gpt", 1.0)])).splitlines()
    head = "BETTER  criteria@1 + gpt against short@1 + gpt"
    assert [number for number, line in enumerate(lines) if line == head] == [2, len(lines) - 1]
    assert lines[0].startswith("demo: 122 clusters of 5")
    assert any(line.strip() == "replies" for line in lines)


def test_a_run_without_verdicts_shows_its_tables_alone() -> None:
    plain = printed(run())
    assert printed({key: value for key, value in run().items() if key != "noise"}) == plain
    assert "There is no utility" in plain
    assert "NOISE" not in plain
    assert "NOISE FLOOR" in printed(run(noise=NOISE))


# --- Markdown


def test_a_comment_has_a_row_per_verdict_with_before_and_after() -> None:
    lines = markdown(run(regress(), open_question(regress))).splitlines()
    assert lines[0] == "<!-- selectllm:demo -->"
    assert lines[2] == "## ✗ selectllm, demo: fail"
    assert lines[4:8] == [
        "| pair | verdict | captured before | captured after | difference (interval) | clusters |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| <code>criteria@2 + gpt</code> against <code>criteria@1 + gpt</code> | ✗ **fail** "
        "| 0.30 | 0.42 | -0.120 (-0.210 to -0.030) | 120 |",
        "| <code>criteria@2 + gpt</code> against <code>criteria@1 + gpt</code> "
        "| ? **inconclusive** | 0.30 | 0.42 | -0.120 (-0.210 to -0.030) | 120 |",
    ]


def test_below_the_table_stand_reasons_notes_and_what_would_decide() -> None:
    text = markdown(run(open_question(regress, notes=["two clusters were flat"])))
    assert "### criteria@2 + gpt against criteria@1 + gpt: inconclusive" in text
    assert "- **reason**: 0 and the margin are inside" in text
    assert "- **note**: two clusters were flat" in text
    assert "- **to decide**: 340 more clusters (680 calls, 3,400 ratings, about 1.25 USD)" in text
    assert "- **error rate**: one-sided 5 % each way" in text


@pytest.mark.parametrize("verdict", EVERY.values(), ids=EVERY.keys())
def test_every_kind_of_verdict_makes_a_comment(verdict: dict[str, Any]) -> None:
    text = markdown(run(verdict))
    assert f"**{verdict['word']}**" in text
    assert "None" not in text


def test_a_comment_without_verdicts_shows_the_noise() -> None:
    assert "raises an alarm in 47 %" in markdown(run(noise=NOISE))


def inner_text(token: Token) -> str:
    return "".join(child.content for child in token.children or () if child.type == "text")


@given(name=TEXT, other=TEXT, note=TEXT)
@example(name=NASTY, other=NASTY, note=NASTY)
def test_no_text_breaks_out_of_its_cell_or_line(name: str, other: str, note: str) -> None:
    found = run(ab(a=other, b=name, reason=note or "-", notes=[note]))
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(found))
    cells = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 6
    one_line = f"{' '.join(name.split())} against {' '.join(other.split())}"
    assert inner_text(cells[0]) == visible(one_line)
    assert [token.type for token in tokens].count("heading_open") == 2
    assert [token.type for token in tokens].count("bullet_list_open") == 1
    assert [token.content for token in tokens if token.type == "html_block"] == [
        "<!-- selectllm:demo -->\n"
    ]
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= {
        "text",
        "html_inline",
        "strong_open",
        "strong_close",
    }
    tags = {child.content for child in inline if child.type == "html_inline"}
    assert tags == {"<code>", "</code>"}


@given(suite=TEXT)
@example(suite=NASTY)
def test_the_hidden_marker_is_one_closed_comment_for_any_suite(suite: str) -> None:
    first, _, rest = markdown(run(suite=suite)).partition("\n")
    assert re.fullmatch(r"<!-- selectllm:[^<>\s]* -->", first)
    assert rest.startswith("\n##")


# --- JUnit XML


def test_each_verdict_is_a_test_case_that_passes_fails_or_is_skipped() -> None:
    words = [regress(), open_question(regress), regress(word="pass")]
    suites = ET.fromstring(junit(run(*words)))
    suite = suites[0]
    for element in (suites, suite):
        counts = {name: element.get(name) for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    assert (suites.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "demo")
    failed, skipped, passed = suite
    assert {case.get("classname") for case in suite} == {"demo"}
    assert failed.get("name") == "criteria@2 + gpt"
    failure = failed.find("failure")
    assert failure is not None
    message = failure.get("message") or ""
    assert failure.get("type") == "fail"
    for told in ("criteria@2 + gpt against criteria@1 + gpt", words[0]["reason"]):
        assert told in message
    figures = words[0]["difference"]
    assert all(f"{figures[name]:+.3f}" in message for name in ("estimate", "low", "high"))
    assert "wrongly fail in at most 5 of 100 changes" in (failure.text or "")
    (open_,) = skipped.iter("skipped")
    assert words[1]["reason"] in (open_.get("message") or "")
    assert [child.tag for child in passed] == ["properties", "system-out"]


@pytest.mark.parametrize("verdict", [ab(word="worse"), regress(), swap(word="not safe")])
def test_bad_news_is_a_failure_of_that_type(verdict: dict[str, Any]) -> None:
    failures = ET.fromstring(junit(run(verdict))).iter("failure")
    assert [failure.get("type") for failure in failures] == [verdict["word"]]


@pytest.mark.parametrize("verdict", EVERY.values(), ids=EVERY.keys())
def test_what_is_written_follows_the_common_form(verdict: dict[str, Any]) -> None:
    suites = ET.fromstring(junit(run(verdict)))
    allowed = {
        "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
        "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
        "testcase": {"name", "classname", "time"},
        "properties": set(),
        "property": {"name", "value"},
        "failure": {"message", "type"},
        "skipped": {"message"},
        "system-out": set(),
    }
    for element in suites.iter():
        assert set(element.attrib) <= allowed[element.tag]
    values = [element.get("value") for element in suites.iter("property")]
    assert values
    assert "None" not in values


def test_figures_are_properties_in_full_precision() -> None:
    case = ET.fromstring(junit(run(ab())))[0][0]
    figures = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert figures["difference.estimate"] == "0.12"
    assert figures["margin_share"] == repr(1 / 3)
    assert "p_holm" not in figures


def test_a_case_took_what_the_judged_pair_took() -> None:
    pairs = [pair("criteria@1", "gpt", 12.3456), pair("rank@1", "gpt", None)]
    found = run(ab(), ab(b="rank@1 + gpt"), ab(b="longest"), pairs=pairs)
    suite = ET.fromstring(junit(found))[0]
    assert [case.get("time") for case in suite] == ["12.346", None, None]
    assert suite.get("time") == "12.346"
    assert ET.fromstring(junit(run(ab())))[0].get("time") is None


@given(name=TEXT, reason=st.text(CHARACTERS, min_size=1))
def test_any_text_can_be_read_back(name: str, reason: str) -> None:
    found = run(regress(b=name, reason=reason, notes=[reason]), suite=name)
    case = ET.fromstring(junit(found).encode("utf-8"))[0][0]
    assert case.get("name") == case.get("classname")
    allowed = re.compile(r"[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
    kept = "".join(char if allowed.fullmatch(char) else "\ufffd" for char in name)
    assert case.get("name") == kept


def test_characters_that_xml_forbids_are_replaced() -> None:
    case = ET.fromstring(junit(run(ab(b="a\x00b\x1b[0m\ufffec"))))[0][0]
    assert case.get("name") == "a\ufffdb\ufffd[0m\ufffdc"
