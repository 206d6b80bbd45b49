"""`verify`: does results.json follow from the rest of its run folder? No model is loaded.

First the decisions have to be those of the run: of its manifest, one for every question, each on
the items of its cluster. Only then do figures mean anything, and every one is computed anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from selectllm.core.codec import canonical_json
from selectllm.core.errors import RunError
from selectllm.core.files import read_json
from selectllm.core.jsonl_log import LogContent
from selectllm.core.types import Cluster, Decision, Status
from selectllm.evaluation.comparison.run_inputs import RunInputs, read_manifest, read_run_inputs
from selectllm.evaluation.runs.results import results
from selectllm.selection.decision_log import Key, decision_key, read_log
from selectllm.selection.strategies import is_analytic

RELATIVE = 1e-9
ABSOLUTE = 1e-12  # of what is 0 but for rounding
SHOWN = 80  # characters of a value on a terminal
LISTED = 20  # differences on a terminal

RESULTS, DECISIONS = "results.json", "decisions.jsonl"
LATER = frozenset({"source", "rater", "reliability", "ceiling", "validation", "length"})
"""Said of every utility since they can be validated; results of earlier versions lack some."""
RULED = frozenset(
    {"word", "reason", "notes", "betting", "one_more", "needed", "groups"}
    | {"false_alarms", "detectable"}
)
"""What a comparison ends with by a rule that version 0.1.0 had otherwise for few clusters."""
FORMER_RULE = "0.1."
ALLOWED = [status for status in get_args(Status) if status != "error"]


class Absent(Enum):
    """What stands for a value that is not there; null is a value."""

    ABSENT = "nothing"


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Difference:
    """`file` has `found` at `path`, but should have `expected`, which `source` says.

    Either value may be `ABSENT`.
    """

    path: str
    found: Any
    expected: Any
    file: str = RESULTS
    source: str = "recomputed"

    @property
    def text(self) -> str:
        """`path: 0.31 in results.json, 0.16 recomputed`, long values cut."""
        found, expected = _shown(self.found), _shown(self.expected)
        return f"{self.path}: {found} in {self.file}, {expected} {self.source}"

    def to_json(self) -> dict[str, Any]:
        """`{path, file, found, expected, source}`, without what is absent."""
        values = {"found": self.found, "expected": self.expected}
        there = {name: _finite(value) for name, value in values.items() if value is not ABSENT}
        return {"path": self.path, "file": self.file, "source": self.source, **there}


@dataclass(frozen=True, slots=True)
class Verification:
    """`figures`: the numbers in results.json that were compared; 0 if the decisions did not fit."""

    figures: int
    differences: tuple[Difference, ...]

    @property
    def text(self) -> str:
        """The first differences, one a line; or that there are none."""
        if not self.differences:
            return f"All {self.figures} figures in {RESULTS} follow from the files of the run."
        lines = [difference.text for difference in self.differences[:LISTED]]
        if (more := len(self.differences) - LISTED) > 0:
            lines.append(f"There are {more} more. To list them all, use --json.")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """`{figures, differences}`."""
        return {
            "figures": self.figures,
            "differences": [difference.to_json() for difference in self.differences],
        }


def verification(folder: Path) -> Verification:
    """Hold results.json of a run against what its folder says.

    Raises RunError if the run is not finished, or one of its files is missing or damaged.
    """
    manifest, inputs = read_manifest(folder), read_run_inputs(folder)
    if not (folder / RESULTS).exists():
        raise RunError(
            f"{folder}: the run is not finished: it has no {RESULTS}. Run the same command again "
            "to continue where it stopped"
        )
    found = read_json(folder / RESULTS)
    try:
        log = _read_log(folder / DECISIONS)
        if unfit := tuple(log_differences(log, manifest, inputs)):
            return Verification(0, unfit)
        decisions = [log.latest[key] for key in sorted(log.latest)]
        recomputed = json.loads(canonical_json(results(inputs, decisions).to_json()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{folder}: its results cannot be computed from it ({error!r}). The folder was "
            "changed. Run the evaluation again"
        ) from None
    figures = _figures(found)
    if _written_by(folder).startswith(FORMER_RULE):
        found, recomputed = _without_words(found), _without_words(recomputed)
    return Verification(figures, tuple(differences(found, recomputed)))


def _written_by(folder: Path) -> str:
    """The version of selectllm that made the run; empty where that is not told."""
    versions = read_json(folder / "run.json").get("versions")
    return str(versions.get("selectllm", "")) if isinstance(versions, dict) else ""


def _without_words(content: Any) -> Any:
    """Results without what their comparisons end with; all figures that are measured stay."""
    if not isinstance(content, dict):
        return content
    kept = dict(content)
    for name in ("verdicts", "noise"):
        parts = content.get(name)
        if isinstance(parts, list):
            kept[name] = [_unruled(part) for part in parts]
        elif name in content:
            kept[name] = _unruled(parts)
    return kept


def _unruled(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {name: value for name, value in part.items() if name not in RULED}


def finished_decisions(folder: Path, inputs: RunInputs) -> list[Decision]:
    """Every decision of the run in `folder`, if its log has all of them and no other.

    Raises RunError naming what is missing or does not fit; results.json is not needed.
    """
    log = _read_log(folder / DECISIONS)
    unfit = list(log_differences(log, read_manifest(folder), inputs))
    if unfit:
        raise RunError(
            f"{folder}: the run is not finished, or its log was changed ({len(unfit)} differences; "
            f"the first: {unfit[0].text}). Run the same command again to continue"
        )
    return [log.latest[key] for key in sorted(log.latest)]


def _read_log(path: Path) -> LogContent[Key, Decision]:
    try:
        return read_log(path)
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}). Run it again") from None


def differences(found: Any, recomputed: Any, path: str = "") -> list[Difference]:
    """Where two JSON values differ, by path: `pairs[0].agreement.rating.captured.estimate`.

    Numbers are equal within a relative 1e-9 (or 1e-12 around 0), since another version of numpy
    may round the last digits differently; NaN is equal to nothing. All else has to be the same,
    but that `found` may lack what is in LATER.
    """
    if isinstance(found, dict) and isinstance(recomputed, dict):
        parts = [
            (
                f"{path}.{name}" if path else name,
                found.get(name, ABSENT),
                recomputed.get(name, ABSENT),
            )
            for name in sorted(found.keys() | recomputed.keys() - LATER)
        ]
    elif isinstance(found, list) and isinstance(recomputed, list):
        numbers = range(max(len(found), len(recomputed)))
        parts = [(f"{path}[{n}]", _at(found, n), _at(recomputed, n)) for n in numbers]
    else:
        return [] if _equal(found, recomputed) else [Difference(path, found, recomputed)]
    return [
        difference
        for place, ours, theirs in parts
        for difference in differences(ours, theirs, place)
    ]


def _at(values: Sequence[Any], number: int) -> Any:
    return values[number] if number < len(values) else ABSENT


def _equal(a: Any, b: Any) -> bool:
    if _is_number(a) and _is_number(b):
        return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return type(a) is type(b) and bool(a == b)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _figures(value: Any) -> int:
    """How many numbers are in a JSON value."""
    if isinstance(value, dict | list):
        return sum(map(_figures, value.values() if isinstance(value, dict) else value))
    return int(_is_number(value))


def log_differences(
    log: LogContent[Key, Decision], manifest: Mapping[str, Any], inputs: RunInputs
) -> Iterator[Difference]:
    """Where a log is not that of a finished run with this manifest."""
    other = differences(log.manifest, manifest, "manifest")
    for difference in other:
        yield Difference(
            difference.path, difference.found, difference.expected, DECISIONS, "in run.json"
        )
    if other:
        return  # what was asked is not known
    expected = dict(_questions(inputs, manifest["repeats"], log.latest))
    for key in sorted(expected.keys() - log.latest.keys()):
        yield Difference(_place(key), 0, 1, DECISIONS, "expected")
    for key in sorted(log.latest.keys() - expected.keys()):
        yield Difference(_place(key), 1, 0, DECISIONS, "expected")
    for key in sorted(expected.keys() & log.latest.keys()):
        yield from _decision_differences(log.latest[key], expected[key], inputs)


def _questions(
    inputs: RunInputs, repeats: int, decided: Mapping[Key, Decision]
) -> Iterator[tuple[Key, Cluster]]:
    """The key of every decision that the run has to hold, with its cluster."""
    strategies = [name for name in inputs.strategies if not is_analytic(name)]
    asked = inputs.asked({decision.cluster for decision in decided.values()})
    for cluster in inputs.clusters[:asked]:
        if len(cluster.members) <= inputs.picks:
            continue  # nothing to choose
        for name in strategies:
            yield ("", f"strategy:{name}", cluster.id, 0, 0, 0), cluster
        for prompt, model in inputs.pairs:
            for order in range(inputs.orders):
                for repeat in range(repeats):
                    yield (prompt, model, cluster.id, order, repeat, 0), cluster


def _decision_differences(
    decision: Decision, cluster: Cluster, inputs: RunInputs
) -> Iterator[Difference]:
    """Where a decision is none on this cluster, or not as its manifest says."""
    place = _place(decision_key(decision))
    shown, picks = list(decision.shown), list(decision.picks)
    ranking = decision.ranking

    def different(field: str, found: Any, expected: Any, source: str) -> Difference:
        return Difference(f"{place}.{field}", found, expected, DECISIONS, source)

    if decision.status not in ALLOWED:
        yield different("status", decision.status, ALLOWED, "allowed in a finished run")
    if sorted(shown) != sorted(cluster.members):
        yield different("shown", shown, list(cluster.members), "in clusters.json")
    if ranking is not None and sorted(ranking) != sorted(shown):
        yield different("ranking", list(ranking), shown, "shown")
    allowed = [item for item in dict.fromkeys(picks) if item in shown][: inputs.picks]
    if picks != allowed:
        yield different("picks", picks, allowed, "allowed")
    if decision.prompt is not None and decision.prompt_sha256 != inputs.prompts[decision.prompt]:
        expected = inputs.prompts[decision.prompt]
        yield different("prompt_sha256", decision.prompt_sha256, expected, "in run.json")


def _place(key: Key) -> str:
    """`decisions[short@1 + gpt, cluster 3, order 0, repeat 0]`."""
    prompt, selector, cluster, order, repeat, round_ = key
    name = f"{prompt} + {selector}" if prompt else selector
    extra = f", round {round_}" if round_ else ""
    return f"decisions[{name}, cluster {cluster}, order {order}, repeat {repeat}{extra}]"


def _shown(value: Any) -> str:
    text = value.value if isinstance(value, Absent) else canonical_json(_finite(value))
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _finite(value: Any) -> Any:
    """`value` with the numbers that JSON does not have, which Python reads, as text."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
