"""The cases of two runs as those of one, so that any arm of one can be held against the other's.

Both are of the same clusters and items, under the same numbers; see evaluation/two_runs. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

from selectllm.evaluation.two_runs.schema import ComparedRun, RunsCompared
from selectllm.report.html.evidence import (
    LengthBin,
    PromptShape,
    Provenance,
    RunEvidence,
    ShownArm,
    ShownChoice,
    ShownCluster,
)


def side_by_side(compared: RunsCompared, a: RunEvidence, b: RunEvidence) -> RunEvidence:
    """`b` put behind `a`; every arm's name ends with the run that it is of.

    What is held against each other first is the pair that lost most. Ratings are not asked for
    here: they belong to one run.
    """
    arms = (*_arms(a, compared.a), *_arms(b, compared.b))
    reference, judged = 0, len(a.arms)
    if compared.compared:
        worst, names = compared.compared[0], [arm.name for arm in arms]
        reference = names.index(in_run(worst.a.name, compared.a))
        judged = names.index(in_run(worst.b.name, compared.b))
    return replace(
        b,
        arms=arms,
        reference=reference,
        judged=judged,
        items=b.items if any(item.instruction for item in b.items) else a.items,
        clusters=tuple(map(_cluster, a.clusters, b.clusters)),
        showings=(*a.showings, *b.showings),
        choices=(*a.choices, *(_choice(choice, a) for choice in b.choices)),
        replies=(*a.replies, *b.replies),
        pieces=(*a.pieces, *b.pieces),
        shapes=(*a.shapes, *(_shape(shape, len(a.pieces)) for shape in b.shapes)),
        labels={
            in_run(ref, run): kind
            for each, run in ((a, compared.a), (b, compared.b))
            for ref, kind in each.labels.items()
        },
        lengths=(*_lengths(a, compared.a), *_lengths(b, compared.b)),
        asked=None,
        provenance=_provenance(compared, a.provenance, b.provenance),
        notes=tuple(dict.fromkeys((*a.notes, *b.notes))),
        simulated=a.simulated and b.simulated and tuple(sorted({*a.simulated, *b.simulated})),
    )


def _provenance(compared: RunsCompared, a: Provenance, b: Provenance) -> Provenance:
    """How both runs were made, and the command that compares them."""
    names = (compared.a.name, compared.b.name)
    facts = [
        (f"{name}: {label}", text)
        for name, each in zip(names, (a, b), strict=True)
        for label, text in (("made by", each.command), ("when", each.when), *each.facts)
    ]
    return Provenance(
        shlex.join(("selectllm", "report", compared.a.folder, compared.b.folder, "--html")),
        b.when,
        tuple(facts),
    )


def in_run(name: str, run: ComparedRun) -> str:
    """What an arm or a prompt is called beside those of the other run."""
    return f"{name} in {run.name}"


def _arms(evidence: RunEvidence, run: ComparedRun) -> Iterator[ShownArm]:
    for arm in evidence.arms:
        prompt = None if arm.prompt is None else in_run(arm.prompt, run)
        yield replace(arm, name=in_run(arm.name, run), prompt=prompt)


def _cluster(a: ShownCluster, b: ShownCluster) -> ShownCluster:
    return replace(b, lost=(*a.lost, *b.lost))


def _choice(choice: ShownChoice, before: RunEvidence) -> ShownChoice:
    """A choice of the second run with the numbers of what stands before it moved on."""
    attempts = (
        replace(attempt, reply=attempt.reply + len(before.replies)) for attempt in choice.attempts
    )
    return replace(
        choice,
        arm=choice.arm + len(before.arms),
        showing=choice.showing + len(before.showings),
        attempts=tuple(attempts),
        shape=None if choice.shape is None else choice.shape + len(before.shapes),
    )


def _shape(shape: tuple[PromptShape, ...], pieces: int) -> tuple[PromptShape, ...]:
    return tuple(
        replace(
            message,
            parts=tuple(part + pieces if isinstance(part, int) else part for part in message.parts),
        )
        for message in shape
    )


def _lengths(evidence: RunEvidence, run: ComparedRun) -> Iterator[LengthBin]:
    for each in evidence.lengths:
        yield replace(each, arm=in_run(each.arm, run))
