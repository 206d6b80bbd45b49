"""Labels: are the same items picked when they are called otherwise? Pure.

The clusters of the first order are shown again with letters instead of numbers (or the other way
round), and with labels of the prompt's own kind that begin later, such as 11 to 20. A model that
answers by place instead of by label is caught by the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from string import ascii_uppercase

from selectllm.core.codec import sha256_texts
from selectllm.core.errors import PromptError
from selectllm.core.types import Decision
from selectllm.evaluation.audit.measures import CORRELATION, mean_of, measure
from selectllm.evaluation.audit.schema import LabelVariant, Measure
from selectllm.evaluation.audit.subject import Subject
from selectllm.evaluation.metrics.agreement import Choice, agreement
from selectllm.evaluation.metrics.consistency import overlaps
from selectllm.prompting.prompt import Prompt, labels_for, with_settings
from selectllm.selection.selector import Selector
from selectllm.selection.task import Task
from selectllm.stats.intervals import mean_interval


@dataclass(frozen=True, slots=True)
class Relabelled:
    """The selector with other labels; None where it cannot be, for the reason `skipped`."""

    name: str
    labels: str
    selector: Selector | None
    skipped: str | None = None


def relabelled(subject: Subject) -> tuple[Relabelled, ...]:
    """The variants of a selector's labels, those that cannot be asked included."""
    m = max(len(cluster.members) for cluster in subject.clusters)
    prompt = subject.selector.prompt
    other = "letters" if prompt.labels == "numbers" else "numbers"
    skip = m if prompt.labels == "numbers" else min(m, len(ascii_uppercase) - m)
    ways = ((other, partial(_of_kind, prompt, other)), ("shifted", partial(_moved, prompt, skip)))
    variants = []
    for name, make in ways:
        try:
            made = make()
            labels = labels_for(made, m)
            selector = replace(subject.selector, prompt=made)
        except PromptError as error:
            variants.append(Relabelled(name, "", None, str(error)))
        else:
            variants.append(Relabelled(name, f"{labels[0]} to {labels[-1]}", selector))
    return tuple(variants)


def _of_kind(prompt: Prompt, kind: str) -> Prompt:
    """The prompt with labels of the other kind."""
    if "labels" in dict(prompt.variables):
        changed = with_settings(prompt, {"labels": kind})
        return replace(changed, name=prompt.name, version=prompt.version)
    sha256 = sha256_texts([prompt.sha256, kind])
    return replace(prompt, labels=kind, sha256=sha256)  # type: ignore[arg-type]


def _moved(prompt: Prompt, skipped: int) -> Prompt:
    if skipped < 1:
        raise PromptError(f"there are not enough letters left for other labels of {prompt.ref}")
    sha256 = sha256_texts([prompt.sha256, "skipped", str(skipped)])
    return replace(prompt, skipped=skipped, sha256=sha256)


def label_tasks(subject: Subject) -> Iterator[Task]:
    """Every cluster in its first order, under each variant's labels; `order` is the variant."""
    for number, variant in enumerate(relabelled(subject)):
        if variant.selector is not None:
            for cluster in subject.clusters:
                shown = subject.first_order(cluster)
                yield subject.task(cluster, shown, order=number, selector=variant.selector)


def label_audit(
    subject: Subject, base: Mapping[int, Decision], decisions: Sequence[Decision]
) -> tuple[LabelVariant, ...]:
    """What the decisions say beside `base`, those of the first order under the own labels."""
    rows = []
    for number, variant in enumerate(relabelled(subject)):
        asked = [decision for decision in decisions if decision.order == number]
        kappas = _kappas(subject, base, asked)
        changes = _changes(subject, base, asked)
        valid = sum(decision.status in ("ok", "repaired") for decision in asked)
        rows.append(
            LabelVariant(
                name=variant.name,
                labels=variant.labels,
                kappa=mean_of(kappas, CORRELATION),
                captured=mean_interval([changes[c] for c in sorted(changes)]),
                valid_rate=valid / len(asked) if asked else None,
                skipped=variant.skipped,
            )
        )
    return tuple(rows)


def label_measures(
    subject: Subject, base: Mapping[int, Decision], decisions: Sequence[Decision]
) -> Iterator[Measure]:
    """How alike the picks are under other labels."""
    for number, variant in enumerate(relabelled(subject)):
        asked = [decision for decision in decisions if decision.order == number]
        if asked:
            yield measure(
                f"labels.{variant.name}",
                f"kappa of the picks with the labels {variant.labels} and with the prompt's own",
                "higher",
                _kappas(subject, base, asked),
                within=CORRELATION,
            )


def _kappas(
    subject: Subject, base: Mapping[int, Decision], asked: Sequence[Decision]
) -> dict[int, float]:
    pairs = ((base[decision.cluster], decision) for decision in asked)
    return overlaps(pairs, subject.k)


def _changes(
    subject: Subject, base: Mapping[int, Decision], asked: Sequence[Decision]
) -> dict[int, float]:
    """By cluster, the change in captured; none without a utility."""
    if subject.utility is None or not asked:
        return {}
    values = subject.utility.values
    after = agreement(map(Choice.of, asked), values, subject.k)
    before = agreement((Choice.of(base[d.cluster]) for d in asked), values, subject.k)
    if not after.gain:
        return {}
    headroom = sum(1 - after.chance[c] for c in after.gain) / len(after.gain)
    return {c: (after.gain[c] - before.gain[c]) / headroom for c in after.gain}
