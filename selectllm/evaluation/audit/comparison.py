"""An audit beside a recorded one: has any measure become worse? Pure.

Measure by measure, in the clusters that both audits asked, found by what is in them. If nothing has
changed, either audit could have come first, so that each cluster's difference is as likely to have
the other sign: the one-sided sign-flip test holds however few or odd the differences are. Its
p-values are adjusted after Holm over all measures that are compared. So where nothing has changed,
any word `worse` at all comes up in at most ALPHA of audits; eval/benchmarks/audits.py measures it.
The interval beside it is Student's, for the size of the change.

What is best at 0 is compared by its distance from 0, on the side on which each audit has it.

Drift is a comparison of then and now by itself, whatever was recorded: where cached calls were
asked again, its test (see drift.py) is one more among those that are adjusted, and a model that has
moved makes the word `worse`. Where there is nothing to compare it is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selectllm.core.arrays import Floats
from selectllm.core.errors import RunError, UsageError
from selectllm.core.shown import counted
from selectllm.evaluation.audit.schema import (
    AuditComparison,
    AuditResults,
    ComparedMeasure,
    DriftAudit,
    Held,
    Measure,
)
from selectllm.evaluation.audit.subject import Subject
from selectllm.stats.interval import Interval
from selectllm.stats.intervals import holm, mean_interval, sign_flip_p

ALPHA = 0.05
DRIFT = "drift"
"""The name of what no value of a cluster stands for: whether the model has moved."""


@dataclass(frozen=True, slots=True)
class _Test:
    """A measure of both audits. `worse`: by how much each shared cluster is, shape (clusters,)."""

    before: Measure
    now: Measure
    worse: Floats

    @property
    def p(self) -> float:
        """That it is no worse."""
        return _p_worse(self.worse)


def _p_worse(worse: Floats) -> float:
    """One-sided sign-flip p of 'no worse'; half the two-sided one, since flips are symmetric."""
    both = sign_flip_p(worse)
    return 1.0 if both is None or worse.sum() <= 0 else both / 2


def check_comparable(before: AuditResults, suite: str, subject: Subject, source: str) -> None:
    """Raise UsageError for a recorded audit of another suite, prompt, model or number of picks.

    The version of a prompt may be another one: that is what an audit is repeated for.
    """
    prompt, spec = subject.selector.prompt, subject.selector.spec
    for what, ours, theirs in (
        ("suite", suite, before.suite),
        ("prompt", prompt.name, _name(before.prompt)),
        ("model", spec.name, before.model),
        ("number of picks", str(subject.k), str(before.picks)),
    ):
        if ours != theirs:
            raise UsageError(
                f"`baseline` {source}: it was recorded with the {what} {theirs}, and this is an "
                f"audit of the {what} {ours}. Name a recorded audit of the same, or record this "
                "one by running the audit without a baseline",
                argument="baseline",
            )


def _name(reference: str) -> str:
    return reference.partition("@")[0]


def compared(now: AuditResults, before: AuditResults) -> AuditComparison:
    """`now` beside `before`. Raises RunError for a record that contradicts itself."""
    shared = _shared(now, before)
    recorded = {measure.name: measure for measure in before.measures}
    both = [measure for measure in now.measures if measure.name in recorded]
    # What was recorded in too few clusters could never be told: it is named, and does not decide.
    few = {m.name for m in both if not _enough(recorded[m.name].clusters, len(both))}
    tests = [
        _Test(recorded[measure.name], measure, _worse(measure, recorded[measure.name], shared))
        for measure in both
        if measure.name not in few
    ]
    rows = _rows(tests, now.drift)
    return AuditComparison(
        word=_word(rows, now),
        reason=_reason(rows, now, len(shared)),
        alpha=ALPHA,
        prompt_before=before.prompt,
        measures=rows,
        notes=(*_notes(now, before, shared, recorded), *_left_out(few)),
    )


def _shared(now: AuditResults, before: AuditResults) -> dict[str, str]:
    """The clusters of both: the number in this audit -> that in the recorded one."""
    theirs = {cluster.sha256: str(cluster.id) for cluster in before.clusters}
    return {
        str(cluster.id): theirs[cluster.sha256]
        for cluster in now.clusters
        if cluster.sha256 in theirs
    }


def _worse(now: Measure, before: Measure, shared: Mapping[str, str]) -> Floats:
    """By how much each cluster is worse that has a value in both audits."""
    clusters = [
        (ours, theirs)
        for ours, theirs in shared.items()
        if ours in now.by_cluster and theirs in before.by_cluster
    ]
    if now.better != before.better:
        raise RunError(
            f"the recorded audit cannot be compared: in it, good values of {before.name} "
            f"are {before.better}, and now they are {now.better}. Record an audit again "
            "with this version"
        )
    ours = np.array([now.by_cluster[number] for number, _ in clusters], dtype=float)
    theirs = np.array([before.by_cluster[number] for _, number in clusters], dtype=float)
    if now.better == "zero" and clusters:
        ours, theirs = ours * np.sign(ours.mean()), theirs * np.sign(theirs.mean())
    worse: Floats = theirs - ours if now.better == "higher" else ours - theirs
    return worse


def _rows(tests: Sequence[_Test], drift: DriftAudit | None) -> tuple[ComparedMeasure, ...]:
    p_drift = _p_drift(drift)
    several = len(tests) + (p_drift is not None)
    able = [test for test in tests if _can_tell(test, several)]
    ps = {test.now.name: test.p for test in able}
    if p_drift is not None:
        ps[DRIFT] = p_drift
    adjusted = dict(zip(ps, holm([*ps.values()]), strict=True))
    rows = [_row(test, adjusted.get(test.now.name)) for test in tests]
    if drift is not None and p_drift is not None:
        rows.append(_moved(drift, p_drift, adjusted[DRIFT]))
    return tuple(rows)


def _p_drift(drift: DriftAudit | None) -> float | None:
    """That the model has not moved, by its texts and its picks; None where that cannot be told."""
    if drift is None or drift.word == "cannot tell" or drift.text is None or drift.picks is None:
        return None
    return min(drift.text.p_holm, drift.picks.p_holm)


def _moved(drift: DriftAudit, p: float, p_holm: float) -> ComparedMeasure:
    moved = p_holm <= ALPHA
    return ComparedMeasure(
        name=DRIFT,
        before=None,
        now=None,
        clusters=drift.calls,
        worsening=None,
        p=p,
        p_holm=p_holm,
        word="worse" if moved else "held",
        reason=f"the model has changed since its replies were cached: {drift.reason}"
        if moved
        else "new replies to cached calls show no change of the model",
    )


def _can_tell(test: _Test, several: int) -> bool:
    return _enough(len(test.worse), several)


def _enough(n: int, several: int) -> bool:
    """Whether n clusters that all became worse would be told, among so many measures."""
    return _p_worse(np.ones(n)) * several <= ALPHA


def _left_out(few: Collection[str]) -> list[str]:
    if not few:
        return []
    return [f"recorded in too few clusters to be compared: {', '.join(sorted(few))}"]


def _row(test: _Test, p_holm: float | None) -> ComparedMeasure:
    word: Held = "cannot tell"
    if p_holm is not None:
        word = "worse" if p_holm <= ALPHA else "held"
    return ComparedMeasure(
        name=test.now.name,
        before=None if test.before.value is None else test.before.value.estimate,
        now=None if test.now.value is None else test.now.value.estimate,
        clusters=len(test.worse),
        worsening=_worsening(test),
        p=None if p_holm is None else test.p,
        p_holm=p_holm,
        word=word,
        reason=_why(test, word),
    )


def _worsening(test: _Test) -> Interval | None:
    mean = mean_interval(test.worse)
    return None if mean is None else mean.within(-test.now.span, test.now.span)


def _why(test: _Test, word: Held) -> str:
    if word == "worse":
        return "worse than recorded by more than chance explains"
    if word == "held":
        return "no worse than recorded, as far as these clusters can tell"
    if not len(test.worse):
        return "no cluster has a value in both audits"
    return f"{counted(len(test.worse), 'cluster')} in both audits, too few for any change to show"


def _word(rows: Sequence[ComparedMeasure], now: AuditResults) -> Held:
    if any(row.word == "worse" for row in rows):
        return "worse"
    told = [row for row in rows if row.word == "held"]
    # What few clusters leave open in one measure must not pass for held.
    compared = any(row.name != DRIFT for row in rows)
    return "held" if now.measured and len(told) == len(rows) and compared else "cannot tell"


def _reason(rows: Sequence[ComparedMeasure], now: AuditResults, shared: int) -> str:
    worse = [row.name for row in rows if row.word == "worse"]
    if worse:
        return f"worse than recorded: {', '.join(worse)}"
    if not shared:
        return "the recorded audit has none of these clusters"
    if not now.measured:
        return "no reply gave a single pick, so there is nothing to compare"
    if not any(row.name != DRIFT for row in rows):
        return "the recorded audit has too few clusters, or none of these measures"
    if open_ := [row.name for row in rows if row.word == "cannot tell"]:
        return f"there is no answer for {', '.join(open_)}"
    return f"none of {counted(len(rows), 'measure')} is worse than recorded"


def _notes(
    now: AuditResults,
    before: AuditResults,
    shared: Mapping[str, str],
    recorded: Mapping[str, Measure],
) -> list[str]:
    notes = []
    if now.prompt_sha256 != before.prompt_sha256:
        notes.append(f"{now.prompt} is compared with {before.prompt}, which has a different text")
    if len(shared) < len(now.clusters):
        notes.append(
            f"{len(shared)} of {counted(len(now.clusters), 'cluster')} are in the recorded audit"
        )
    if gone := sorted(recorded.keys() - {measure.name for measure in now.measures}):
        notes.append(f"recorded, but not measured now: {', '.join(gone)}")
    if new := sorted({measure.name for measure in now.measures} - recorded.keys()):
        notes.append(f"measured now, but not recorded: {', '.join(new)}")
    if now.hijack and before.hijack and now.hijack.attacks_sha256 != before.hijack.attacks_sha256:
        notes.append("the attack texts have changed since it was recorded")
    return notes
