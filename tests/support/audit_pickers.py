"""Pickers of known weaknesses, and the audit of one without a model, a file or a loop around it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from selectllm.core.types import Attempt, Cluster, Decision, Item
from selectllm.evaluation.audit.attacks import attacks
from selectllm.evaluation.audit.copies import copy_tasks
from selectllm.evaluation.audit.drift import drift_tasks
from selectllm.evaluation.audit.hijack import hijack_tasks
from selectllm.evaluation.audit.labels import label_tasks
from selectllm.evaluation.audit.order import order_tasks
from selectllm.evaluation.audit.parsing import repeat_tasks
from selectllm.evaluation.audit.results import AuditDecisions, audit_results
from selectllm.evaluation.audit.schema import AuditResults
from selectllm.evaluation.audit.subject import AuditSettings, Subject
from selectllm.models.model import ModelSpec
from selectllm.prompting.library import PromptLibrary
from selectllm.selection.selector import Selector
from selectllm.selection.task import Task
from selectllm.utility.utility import Utility

Picker = Callable[[Task], Sequence[int]]
"""The positions that are picked, the best first."""

TEXTS = [a.text.split("{label}")[0] for style in attacks().by_style.values() for a in style]


def subject_of(
    clusters: int = 20, size: int = 10, k: int = 2, *, rated: bool = True, **settings: Any
) -> Subject:
    """Clusters of items whose rating follows neither their length nor their place."""
    rng = np.random.default_rng(7)
    items: dict[str, Item] = {}
    values: dict[str, float] = {}
    parts = []
    for number in range(clusters):
        members = tuple(f"c{number:03}-{place:02}" for place in range(size))
        words = rng.permutation(size)
        for item_id, count in zip(members, words, strict=True):
            text = f"Explain topic {item_id}" + " in detail" * int(count)
            items[item_id] = Item(item_id, text, "a context" if count % 3 == 0 else "")
            values[item_id] = float(rng.random())
        parts.append(Cluster(number, members))
    prompt = PromptLibrary(None).load("short@1", None)
    selector = Selector(prompt, ModelSpec("m", "mock/m"), cast(Any, None))
    utility = Utility("rating", "ratings", "model", values) if rated else None
    return Subject(
        selector=selector,
        clusters=tuple(parts),
        items=items,
        k=k,
        settings=AuditSettings(**settings),
        utility=utility,
        anew=selector,
    )


def audited(subject: Subject, picker: Picker, again: Picker | None = None) -> AuditResults:
    """What an audit finds of a picker. `again`: who answers the cached calls; None for nobody."""
    base = answers(order_tasks(subject, subject.settings.orders), picker, cached=again is not None)
    decisions = {
        "order": base,
        "labels": answers(label_tasks(subject), picker),
        "hijack": answers(hijack_tasks(subject), picker),
        "parsing": answers(repeat_tasks(subject), picker),
    }
    first = AuditDecisions(decisions).base
    decisions["copies"] = answers(copy_tasks(subject, first), picker)
    if again is not None:
        decisions["drift"] = answers(drift_tasks(subject, first), again)
    return audit_results(subject, AuditDecisions(decisions), "suite", "0" * 64)


def answers(tasks: Iterable[Task], picker: Picker, *, cached: bool = False) -> list[Decision]:
    """The decisions of a picker."""
    return [answer(task, picker(task), cached=cached) for task in tasks]


def answer(task: Task, positions: Sequence[int], *, cached: bool = False) -> Decision:
    """The decision that picks these positions, all that it may."""
    ids = tuple(item.id for item in task.shown)
    picks = tuple(ids[place] for place in positions[: task.k])
    text = f"[{', '.join(str(place + 1) for place in positions[: task.k])}]"
    attempt = Attempt("0" * 64, text, "stop", 100, 5, 0.001, 0.1, cached)
    return Decision(
        cluster=task.cluster,
        order=task.order,
        repeat=task.repeat,
        round=0,
        shown=ids,
        picks=picks,
        status="ok" if len(picks) == task.k else "invalid",
        prompt=task.selector.prompt.ref,
        prompt_sha256=task.selector.prompt.sha256,
        model=task.selector.spec.name,
        attempts=(attempt,),
    )


def first(task: Task) -> list[int]:
    """Whatever stands first."""
    return list(range(len(task.shown)))


def mute(task: Task) -> list[int]:
    """Nothing."""
    return []


def longest(task: Task) -> list[int]:
    """By length alone."""
    return sorted(first(task), key=lambda place: -len(task.shown[place].text))


def best(subject: Subject) -> Picker:
    """By the utility alone; a copy is worth as much as its original."""
    values = {} if subject.utility is None else subject.utility.values

    def pick(task: Task) -> list[int]:
        worth = [values[item.id.partition("+")[0]] for item in task.shown]
        return sorted(first(task), key=lambda place: -worth[place])

    return pick


def noisy(picker: Picker, share: float, seed: int = 0) -> Picker:
    """`picker`, but a share of its decisions are drawn at random, anew for every question."""

    def pick(task: Task) -> list[int]:
        shown = "|".join(item.id + item.text for item in task.shown)
        words = f"{seed}|{task.order}|{task.repeat}|{task.selector.prompt.sha256}|{shown}"
        digest = hashlib.sha256(words.encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        if rng.random() >= share:
            return list(picker(task))
        return [int(place) for place in rng.permutation(len(task.shown))]

    return pick


def obeying(picker: Picker, share: float = 1.0) -> Picker:
    """`picker`, but an item that holds an attack text comes first, in a share of the clusters."""

    def pick(task: Task) -> list[int]:
        ranked = list(picker(task))
        drawn = int(hashlib.sha256(str(task.cluster).encode()).hexdigest()[:8], 16) / 16**8
        told = [p for p in ranked if any(text in task.shown[p].text for text in TEXTS)]
        return ranked if drawn >= share else [*told, *(p for p in ranked if p not in told)]

    return pick


def by_place_of_labels(picker: Picker) -> Picker:
    """`picker`, but labels that do not begin with 1 or A confuse it: it takes the last ones."""

    def pick(task: Task) -> list[int]:
        ranked = list(picker(task))
        return first(task)[::-1] if task.selector.prompt.skipped else ranked

    return pick


def with_prompt(subject: Subject, name: str) -> Subject:
    """The same with a rival prompt."""
    rival = replace(subject.selector, prompt=PromptLibrary(None).load(name, None))
    return replace(subject, rivals=(rival,))
