"""Fine-tuning a student on a selection: LoRA, AdamW, a rate that falls to 0 in a straight line.

A step takes `batch_size` items and the mean loss over all their response tokens, so that every
token counts alike. Items are drawn by hash(seed, epoch, id): the order of the file changes
nothing. The end of each epoch is saved, weights and optimiser together, under a temporary name
and moved into place. A killed training goes on from there and ends with the same adapter: to the
last bit where torch adds in the same order, which it does on one machine with one number of
threads, and else within what float32 rounds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selectllm.core.codec import seeded_hash
from selectllm.core.errors import UsageError
from selectllm.core.names import listed
from selectllm.core.types import Item, Progress
from selectllm.downstream.student.adapter import (
    Manifest,
    TrainingPlan,
    drop_unfinished,
    finished,
    plan_of,
    restore,
    save_adapter,
    save_epoch,
)
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.failures import LossNotFinite, memory_errors
from selectllm.downstream.student.frozen_layers import Run, Tally, running
from selectllm.downstream.student.network import Student, adapted
from selectllm.downstream.student.template import Example

LONGEST_GRADIENT = 1.0  # norm that the gradient of a step is cut to


def train(
    student: Student,
    items: Sequence[Item],
    config: StudentConfig,
    folder: Path,
    progress: Progress | None = None,
) -> Manifest:
    """Fine-tune the student on `items`, and write the adapter and its manifest into `folder`.

    The adapter has the format of peft (`adapter_model.safetensors` and `adapter_config.json`), and
    `student.json` is the manifest. If `folder` holds this very training already, nothing is done;
    if the training was killed there, it is finished. The student itself does not change.
    `progress(done, total)` hears how many of the tokens have run, those of the trunk included.

    Raises UsageError for items without a response or with repeated ids, RunError if `folder`
    holds another training, and ModelError if memory runs out. Raises LossNotFinite if training
    diverges; then nothing is kept from which it could go on.
    """
    _check_ids(items)
    examples = student.encode(items, config)
    plan = plan_of(student, items, examples, config)
    manifest = finished(folder, plan)
    if manifest is None:
        try:
            with memory_errors(config):
                manifest = _trained(student, examples, plan, folder, Tally(progress))
        except LossNotFinite:
            drop_unfinished(folder)  # going on from there would only diverge again
            raise
    return manifest


def epoch_order(examples: Sequence[Example], seed: int, epoch: int) -> list[Example]:
    """The examples in the order in which an epoch takes them; the first epoch is 0."""
    return sorted(
        examples, key=lambda each: (seeded_hash("student order", seed, epoch, each.id), each.id)
    )


def falling(rate: float, step: int, steps: int) -> float:
    """The learning rate of a step: `rate` at step 0, and 0 after the last one."""
    return rate * (1 - step / steps)


def _check_ids(items: Sequence[Item]) -> None:
    repeats = [id for id, count in Counter(item.id for item in items).items() if count > 1]
    if repeats:
        raise UsageError(
            f"student: {len(repeats)} ids occur more than once: {listed(repeats)}. Make them unique"
        )


def _trained(
    student: Student, examples: Sequence[Example], plan: TrainingPlan, folder: Path, tally: Tally
) -> Manifest:
    import torch

    config = plan.config
    with adapted(student, config) as model:
        weights = {name: value for name, value in model.named_parameters() if value.requires_grad}
        optimiser = torch.optim.AdamW(weights.values(), lr=config.learning_rate, weight_decay=0)
        losses = restore(folder, plan, weights, optimiser)
        tally.expect(plan.tokens * (config.epochs - len(losses)))
        with running(student, config, examples, tally) as run:
            for epoch in range(len(losses), config.epochs):
                order = epoch_order(examples, config.seed, epoch)
                losses.append(_epoch(_Steps(run, optimiser, config, tally), order, epoch))
                save_epoch(folder, plan, weights, optimiser, losses)
        return save_adapter(folder, plan, model, losses)


class _Steps:
    """What the steps of a training share."""

    def __init__(self, run: Run, optimiser: Any, config: StudentConfig, tally: Tally) -> None:
        self.config = config
        self._run = run
        self._optimiser = optimiser
        self._tally = tally

    def take(self, batch: Sequence[Example], rate: float) -> float:
        """Take one step, and return the summed loss of the batch before it, in nats."""
        import torch

        (group,) = self._optimiser.param_groups
        group["lr"] = rate
        tokens = sum(len(example.response) for example in batch)
        nats = 0.0
        self._optimiser.zero_grad()
        for example in batch:
            loss = self._run(example).sum()
            self._check(f"the loss of item {example.id!r}", loss.item())
            (loss / tokens).backward()
            nats += loss.item()
            self._tally.add(len(example.tokens))
        norm = torch.nn.utils.clip_grad_norm_(group["params"], LONGEST_GRADIENT)
        self._check("the norm of the gradient", norm.item())
        self._optimiser.step()
        return nats

    def _check(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise LossNotFinite(
                f"student {self.config.model}: {what} is {value}: training has diverged. Lower "
                f"learning_rate (now {self.config.learning_rate:g})"
            )


def _epoch(steps: _Steps, order: Sequence[Example], epoch: int) -> float:
    """All steps of an epoch; the mean loss of a response token meanwhile, in nats."""
    size = steps.config.batch_size
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    total = len(batches) * steps.config.epochs
    nats = 0.0
    for number, batch in enumerate(batches, epoch * len(batches)):
        nats += steps.take(batch, falling(steps.config.learning_rate, number, total))
    return nats / sum(len(example.response) for example in order)
