"""What help lists without loading anything is what there is."""

from __future__ import annotations

from typing import get_args

from selectllm.core.choices import LayoutName, Partition, TargetName
from selectllm.core.verdict_words import KindName, VerdictKind
from selectllm.downstream.outcomes.export import LAYOUTS
from selectllm.evaluation.comparison.kinds import KINDS
from selectllm.selection.clustering.partition import PARTITIONS
from selectllm.utility.handover.targets import TARGETS


def test_every_word_has_its_meaning() -> None:
    assert get_args(Partition) == tuple(PARTITIONS)
    assert get_args(TargetName) == tuple(TARGETS)
    assert get_args(LayoutName) == tuple(LAYOUTS)
    assert set(get_args(KindName)) == set(KINDS)


def test_kinds_that_end_with_a_word_can_be_planned() -> None:
    planned = [name for name, kind in KINDS.items() if kind.is_planned]
    assert planned == ["eval", *get_args(VerdictKind)]
