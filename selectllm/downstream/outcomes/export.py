"""Training files of selected sets, for training elsewhere, with what they are of.

A folder, written whole or not at all: a file for every set and layout, `manifest.json`, which
ties results to sets by hashes, and `recipe.yaml`, to be filled in with how it was trained.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from selectllm.core.choices import LayoutName
from selectllm.core.codec import sha256_text
from selectllm.core.errors import PoolError, RunError
from selectllm.core.files import write_text
from selectllm.core.names import listed
from selectllm.core.types import Item, Turn, unanswered
from selectllm.data.columns import mapping
from selectllm.downstream.outcomes.exported import MANIFEST
from selectllm.downstream.outcomes.schema import (
    ExportManifest,
    ManifestSet,
    SetTokens,
    TrainingFile,
)
from selectllm.downstream.outcomes.training_sets import TrainingSet, TrainingSets
from selectllm.models.tokens import estimate_tokens

RECIPE = "recipe.yaml"
WITHOUT_TURNS: tuple[LayoutName, ...] = ("alpaca",)
"""Layouts that hold a question and its answer, and no more of a conversation."""
_SPEAKERS = {"user": "human", "assistant": "gpt"}  # what ShareGPT calls them
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """How training files are laid out: the row of an item; one row a line, or a JSON array."""

    row: Callable[[Item], Row]
    array: bool

    @property
    def suffix(self) -> str:
        """`.json` of an array, else `.jsonl`."""
        return ".json" if self.array else ".jsonl"

    def text(self, items: Sequence[Item]) -> str:
        """The file for `items`; an array too has one element a line."""
        rows = [json.dumps(self.row(item), ensure_ascii=False) for item in items]
        return "[\n" + ",\n".join(rows) + "\n]\n" if self.array else "\n".join(rows) + "\n"


def _alpaca(item: Item) -> Row:
    return {"instruction": item.instruction, "input": item.input, "output": item.response or ""}


def turns_of(item: Item) -> tuple[Turn, ...]:
    """The conversation to train on: every turn of the item, or its text and its response."""
    if not item.turns:
        return Turn("user", item.text), Turn("assistant", item.response or "")
    unanswered = not item.has_response and item.turns[-1].role != "assistant"
    return (*item.turns, Turn("assistant", "")) if unanswered else item.turns


def _chat(item: Item) -> Row:
    return {"messages": [{"role": role, "content": text} for role, text in turns_of(item)]}


def _sharegpt(item: Item) -> Row:
    turns = turns_of(item)
    return {"conversations": [{"from": _SPEAKERS.get(r, r), "value": text} for r, text in turns]}


LAYOUTS: Mapping[LayoutName, Layout] = {
    "alpaca": Layout(_alpaca, array=True),
    "chat": Layout(_chat, array=False),
    "sharegpt": Layout(_sharegpt, array=True),
}


def write_export(
    out: Path,
    source: TrainingSets,
    layouts: Iterable[LayoutName] = LAYOUTS,
    *,
    unanswered: bool = False,
) -> ExportManifest:
    """Write every set in every one of `layouts` to the folder `out`; returns the manifest.

    `unanswered`: items may be without a response; their output is empty. A folder that is there
    must hold the very same files: then nothing is written, and its recipe stays as it is.

    Raises PoolError for items without a response, naming how many; RunError for another folder.
    """
    if not unanswered:
        _check_answered(source)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        made = Path(scratch) / "export"
        manifest = _write(made, source, sorted(set(layouts)))
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            _check_same(out, made, manifest)
            return manifest
        if out.exists():
            out.rmdir()  # empty; where it is there, only some systems move onto it
        shutil.move(made, out)
    return manifest


def _write(folder: Path, source: TrainingSets, layouts: Sequence[LayoutName]) -> ExportManifest:
    """All files of an exported folder; its manifest."""
    tokens: dict[str, tuple[int, int]] = {}
    described = [_write_set(folder, each, layouts, tokens) for each in source.sets]
    manifest = ExportManifest(
        pool_sha256=source.pool_sha256,
        suite=source.suite,
        layouts=tuple(layouts),
        sets=tuple(described),
    )
    write_text(folder / RECIPE, recipe_text(source.pool_sha256, source.suite))
    manifest.write(folder / MANIFEST)
    return manifest


def _write_set(
    folder: Path,
    each: TrainingSet,
    layouts: Sequence[LayoutName],
    tokens: dict[str, tuple[int, int]],
) -> ManifestSet:
    """The files of one set, and what the manifest says of it; `tokens`: of the items so far."""
    files: dict[str, TrainingFile] = {}
    for name in layouts:
        layout = LAYOUTS[name]
        path, text = f"{name}/{each.name}{layout.suffix}", layout.text(each.items)
        write_text(folder / path, text)
        files[name] = TrainingFile(path=path, sha256=sha256_text(text))
    for item in each.items:
        if item.id not in tokens:
            tokens[item.id] = estimate_tokens(item.text), estimate_tokens(item.response or "")
    read, written = (sum(tokens[item.id][side] for item in each.items) for side in (0, 1))
    return ManifestSet(
        name=each.name,
        arm=each.arm,
        budget=each.budget,
        seed=each.seed,
        items=len(each.items),
        unanswered=len(unanswered(each.items)),
        tokens=SetTokens(read=read, written=written),
        files=files,
    )


def _check_answered(source: TrainingSets) -> None:
    items = {item.id: item for each in source.sets for item in each.items}
    if missing := unanswered(items.values()):
        raise PoolError(
            f"{len(missing)} of {len(items)} selected items have no response: {listed(missing)}. "
            f"Fill them in ({mapping('response', 'COL')} names their column), or export them with "
            "empty output: `unanswered`",
            argument="unanswered",
        )


def _check_same(out: Path, made: Path, manifest: ExportManifest) -> None:
    """Raise RunError unless `out` holds what was just `made`."""
    own = [MANIFEST, *(file.path for row in manifest.sets for file in row.files.values())]
    for name in own:
        if _digest(out / name) != _digest(made / name):
            raise RunError(
                f"{out} holds something else already ({name} differs or is missing). Choose "
                "another folder with -o, or remove it"
            )


def _digest(path: Path) -> str | None:
    """None where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


# The recipe


HEAD = """\
# How to train on these sets, and how they were trained on.
# `suggested` is what SelectLLM reports; `used` is yours: fill it in and keep it with the results,
# since sets can only be compared where everything else was the same.
"""


# Facts from arXiv 2401.16553 and its code (github.com/minnesotanlp/select-llm,
# llama2/scripts/finetune.py).
SUGGESTED: dict[str, Any] = {
    "source": "arXiv 2401.16553; github.com/minnesotanlp/select-llm, llama2/scripts/finetune.py",
    "model": "Llama-2-7B",
    "method": "QLoRA",
    "quantization": {"bits": 4, "type": "nf4", "double": True, "compute": "bfloat16"},
    "lora": {"r": 64, "alpha": 16, "dropout": 0.1, "bias": "none"},
    "optimizer": "paged_adamw_32bit",
    "learning_rate": 2e-4,
    "schedule": "constant",
    "warmup_ratio": 0.03,
    "max_grad_norm": 0.3,
    "epochs": 20,
    "early_stopping": {"patience": 3, "threshold": 0.01, "held_out_share_of_set": 0.2},
    "batch_size": 6,  # 4 without flash attention
    "gradient_accumulation": 2,
    "max_tokens": 4096,
    "packing": True,
    "loss_on": "prompt and response",
    "seeds": [2021, 2022, 2023],
    "generation": {
        "decoding": "greedy",
        "max_new_tokens": {"dolly": 150, "alpaca": 250, "across": 200},
    },
    "metrics": ["ROUGE-L F1", "cosine of MiniLM embeddings with the reference", "perplexity"],
}


USED: dict[str, Any] = {
    "model": None,
    "revision": None,
    "method": None,
    "learning_rate": None,
    "epochs": None,
    "batch_size": None,
    "max_tokens": None,
    "loss_on": None,
    "template": None,
    "training_seeds": [],
    "software": None,
    "hardware": None,
    "hours": None,
    "test_items": None,
    "notes": None,
}


def recipe_text(pool_sha256: str, suite: str | None) -> str:
    """The recipe of a newly exported folder, as YAML."""
    content = {"pool_sha256": pool_sha256, "suite": suite, "suggested": SUGGESTED, "used": USED}
    return HEAD + yaml.safe_dump(content, sort_keys=False, width=100)
