"""`regress`: every pair of a suite against what a baseline recorded of it. Pure.

A pair is matched by prompt name and model name, so that a new version of the prompt is tested
against the recorded one. Fixed design, one-sided alpha each way; of several pairs, each fails by
Holm's level, while passing needs no correction: all of them have to.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from selectllm.core.codec import canonical_json
from selectllm.core.errors import RunError
from selectllm.core.names import unknown
from selectllm.core.types import Decision
from selectllm.core.verdict_words import Word
from selectllm.evaluation.comparison.advice import needed, units_for
from selectllm.evaluation.comparison.arm_results import VALID, ArmResult, arm_result_of, arm_results
from selectllm.evaluation.comparison.arms import Arm
from selectllm.evaluation.comparison.baseline import SETTINGS, Baseline, Entry
from selectllm.evaluation.comparison.guards import no_estimate, rarer
from selectllm.evaluation.comparison.paired_comparison import PairedComparison
from selectllm.evaluation.comparison.ruling import (
    Bounds,
    Ruling,
    corrected,
    holm_levels,
    rule,
)
from selectllm.evaluation.comparison.run_inputs import RunInputs
from selectllm.evaluation.comparison.schema import Needed, PromptChange, Verdict
from selectllm.evaluation.comparison.verdict import verdict_of
from selectllm.evaluation.suite import Suite
from selectllm.stats.paired import Paired


def baseline_of(
    manifest: Mapping[str, Any],
    inputs: RunInputs,
    decisions: Sequence[Decision],
    prompts: Sequence[str] = (),
) -> Baseline:
    """What a finished run leaves as a baseline: its pairs, or those of `prompts` (references).

    Raises RunError if the run has no deciding utility for all of its items, did not ask all of
    its clusters, or has two versions of a prompt.
    """
    utility, comparison = inputs.headline, inputs.comparison
    if inputs.judge is not None:
        raise RunError(
            f"a baseline keeps one utility of every item, and here {inputs.judge.name} stands in "
            "for people's ratings (gate.assisted_by). Set a baseline from a suite without a judge"
        )
    if utility is None or utility not in inputs.covering:
        raise RunError(
            "the run has no utility that covers its clusters, so a baseline of it could decide "
            "nothing. Add one to the suite and run eval again"
        )
    if comparison is not None and comparison.design == "sequential":
        raise RunError("the run is sequential and may have stopped early. Set a baseline from eval")
    by_arm = arm_results(inputs, decisions)
    return Baseline(
        suite=inputs.suite,
        pool_sha256=manifest["pool_sha256"],
        settings={name: manifest[name] for name in SETTINGS},
        clusters=inputs.clusters,
        utility=utility,
        entries=tuple(
            _entry(inputs, pair, by_arm[Arm(*pair)]) for pair in _chosen(inputs.pairs, prompts)
        ),
    )


def _entry(inputs: RunInputs, pair: tuple[str, str], side: ArmResult) -> Entry:
    prompt, model = pair
    assert inputs.headline is not None
    return Entry(
        prompt=prompt,
        prompt_sha256=inputs.prompts[prompt],
        model=model,
        spec=inputs.specs[model],
        decisions=tuple(_bare(decision) for decision in side.decisions),
        gain=side.measured[inputs.headline.name].gain,
    )


def _bare(decision: Decision) -> Decision:
    """A decision as a baseline keeps it."""
    shown = tuple(sorted(decision.shown))
    return replace(decision, attempts=(), problems=(), ranking=None, shown=shown)


def _chosen(pairs: Sequence[tuple[str, str]], prompts: Sequence[str]) -> Sequence[tuple[str, str]]:
    references = [prompt for prompt, _ in pairs]
    if absent := [prompt for prompt in prompts if prompt not in references]:
        raise RunError(f"--prompt {absent[0]!r}: {unknown('prompt', absent[0], set(references))}")
    chosen = [pair for pair in pairs if not prompts or pair[0] in prompts]
    if not chosen:
        raise RunError(
            "the run has no pair of a prompt and a model, so there is nothing to record in "
            "a baseline"
        )
    names = Counter((prompt.partition("@")[0], model) for prompt, model in chosen)
    (name, model), count = names.most_common(1)[0]
    if count > 1:
        raise RunError(
            f"the run has {count} versions of {name} with {model}, and a baseline is found by "
            "prompt name: choose one with `prompt`"
        )
    return chosen


def check_suite(baseline: Baseline, suite: Suite, path: Path) -> None:
    """Raise RunError naming every setting in which `suite` is not the baseline's."""
    ours = suite.model_dump(mode="json")
    utility = suite.gate.utility or next((entry.name for entry in suite.utilities), None)
    expected: dict[str, Any] = {"name": baseline.suite, **baseline.settings}
    settings = {name: ours[name] for name in expected}
    expected["gate's utility"], settings["gate's utility"] = baseline.utility.name, utility
    different = [
        f"{name} is {canonical_json(settings[name])} and was {canonical_json(expected[name])}"
        for name in expected
        if settings[name] != expected[name]
    ]
    if different:
        raise RunError(
            f"{path}: the baseline belongs to another suite: {'; '.join(different)}. Undo the "
            "change, or set the baseline from a new run"
        )


def gated(suite: Suite, baseline: Baseline) -> Suite:
    """The suite with the utility that decides alone."""
    entries = tuple(entry for entry in suite.utilities if entry.name == baseline.utility.name)
    return suite.model_copy(update={"utilities": entries})


SAME = Ruling(
    "pass",
    "the picks are the same in every cluster of the baseline, and all replies are valid",
    outright=True,
)


def matched(baseline: Baseline, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Entry]:
    """The entry that each pair (prompt reference, model) is tested against.

    Raises RunError naming every pair without an entry and every entry without a pair.
    """
    entries = {entry.key: entry for entry in baseline.entries}
    keys = {pair: (pair[0].partition("@")[0], pair[1]) for pair in pairs}
    new = [" + ".join(pair) for pair, key in keys.items() if key not in entries]
    gone = [entry.name for key, entry in entries.items() if key not in keys.values()]
    if new or gone:
        lacks = f"the baseline contains no picks of {', '.join(new)}" if new else ""
        extra = f"the suite no longer names {', '.join(gone)}" if gone else ""
        raise RunError(
            f"{'; '.join(filter(None, (lacks, extra)))}. Baselines are matched by prompt name and "
            "model name: change the suite, or set the baseline from a new run"
        )
    return {pair: entries[key] for pair, key in keys.items()}


def regress_word(bounds: Bounds, margin: float | None) -> Word:
    """Pass or fail by `bounds`; `margin` None: nothing passes."""
    if margin is not None and bounds.inner_low > -margin:
        return "pass"
    return "fail" if bounds.high < 0 else "inconclusive"


def regress(inputs: RunInputs, arm_results: Mapping[Arm, ArmResult]) -> list[Verdict]:
    """A verdict on every pair of the run against the baseline's entry for it."""
    assert inputs.baseline is not None
    entries = matched(inputs.baseline, inputs.pairs)
    comparisons = [
        PairedComparison.of(
            inputs, arm_result_of(inputs, entry.name, entry.decisions), arm_results[Arm(*pair)]
        )
        for pair, entry in entries.items()
    ]
    alpha = inputs.gate.alpha
    levels = holm_levels([c.paired.p_below() if c.paired else 1.0 for c in comparisons], alpha)
    judged = zip(comparisons, entries.items(), levels, strict=True)
    return [
        _verdict(comparison, _changes(comparison, pair, entry), level)
        for comparison, (pair, entry), level in judged
    ]


def _verdict(comparison: PairedComparison, changes: PromptChange, fail_level: float) -> Verdict:
    """One pair's verdict. `fail_level`: of failing."""
    paired, estimate, margin = comparison.paired, comparison.estimate, comparison.margin
    beside: dict[str, Any] = {"regress": changes, "notes": _notes(changes)}
    same = changes.identical and _all_valid(comparison)
    against = rarer(comparison)
    if paired is None or estimate is None:
        ruling = SAME if same else against or no_estimate(comparison)
        return verdict_of(comparison, "regress", ruling, **beside)
    alpha = comparison.inputs.gate.alpha
    shown = estimate.interval(1 - 2 * alpha)
    bounds = Bounds.of(estimate.interval(1 - 2 * fail_level), shown)
    ruling = SAME if same else rule(regress_word, paired, bounds, margin, (fail_level, alpha))
    if against is not None and ruling.word != "fail":
        ruling = replace(against, one_more=ruling.one_more)
    elif ruling.word == "inconclusive" and fail_level < alpha:
        by_itself = rule(regress_word, paired, Bounds.of(shown, shown), margin, (alpha, alpha))
        ruling = corrected(ruling, by_itself.word)
    undecided = ruling.word == "inconclusive" and against is None
    return verdict_of(
        comparison,
        "regress",
        ruling,
        difference=shown,
        inner=shown,
        p=paired.p_sign_flip(),
        needed=_needed(comparison, paired, estimate.mean) if undecided else None,
        **beside,
    )


def _needed(comparison: PairedComparison, paired: Paired, mean: float) -> Needed | None:
    """What would show the loss, or that it is no margin, if `mean` is the difference."""
    alpha, margin = comparison.inputs.gate.alpha, comparison.margin
    failing = units_for(paired, -mean, alpha, paired.most)
    if margin is None:
        return needed(comparison, [failing])
    least = -paired.least - margin * paired.scale
    return needed(comparison, [units_for(paired, mean + margin, alpha, least), failing])


def _all_valid(comparison: PairedComparison) -> bool:
    decisions = [*comparison.a.decisions, *comparison.b.decisions]
    return all(decision.status in VALID for decision in decisions)


def _changes(comparison: PairedComparison, pair: tuple[str, str], entry: Entry) -> PromptChange:
    """What is different from the recorded pair: prompt, model settings, picks."""
    prompt, model = pair
    inputs = comparison.inputs
    before, after = entry.spec, inputs.specs[model]
    ours, theirs = _picks(entry.decisions), _picks(comparison.b.decisions)
    changed = sum(ours.get(cluster) != picks for cluster, picks in theirs.items())
    different = [n for n in before.keys() | after.keys() if before.get(n) != after.get(n)]
    return PromptChange(
        prompt_before=entry.prompt,
        prompt_after=prompt,
        sha256_before=entry.prompt_sha256,
        sha256_after=inputs.prompts[prompt],
        model_changed=tuple(sorted(different)),
        identical=changed == 0 and ours.keys() == theirs.keys(),
        changed=changed,
        path=_place(prompt),
    )


def _place(prompt: str) -> str | None:
    """Where a workspace keeps a prompt version; None for a draft."""
    name, _, version = prompt.partition("@")
    return f"prompts/{name}/v{version}.jinja" if version.isdigit() else None


def _picks(decisions: Sequence[Decision]) -> dict[int, dict[tuple[int, int], frozenset[str]]]:
    """The set of picks of every cluster, by order and repeat."""
    picks: dict[int, dict[tuple[int, int], frozenset[str]]] = defaultdict(dict)
    for d in decisions:
        picks[d.cluster][d.order, d.repeat] = frozenset(d.picks)
    return picks


def _notes(changes: PromptChange) -> tuple[str, ...]:
    notes = []
    if changes.sha256_before == changes.sha256_after:
        notes.append("the prompt is the recorded one, byte for byte")
    elif changes.prompt_before == changes.prompt_after:
        notes.append(f"{changes.prompt_after} has other bytes than the recorded one")
    if changes.model_changed:
        notes.append(f"the model's settings changed: {', '.join(changes.model_changed)}")
    return tuple(notes)
