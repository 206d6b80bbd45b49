"""A causal language model in memory: its blocks, its LoRA adapter, its loss on one example.

Examples run one at a time, so none is padded and a loss does not depend on what else is in its
batch. The network always stays in evaluation mode: no dropout, and the same numbers in training
and in scoring.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.errors import ModelError, UsageError
from selectllm.core.types import Item
from selectllm.data.model_files import ModelRole
from selectllm.downstream.student.config import StudentConfig
from selectllm.downstream.student.failures import check_extra, loading_errors
from selectllm.downstream.student.template import Ends, Example, encode
from selectllm.selection.scorers.language_model import (
    CausalModel,
    load_language_model,
    load_weights,
)

ROLE = ModelRole("student", ModelError)
Nats = Any  # a torch tensor (n_response,)


@dataclass(frozen=True, slots=True)
class Student:
    """A model that can be fine-tuned again and again, because no training changes it.

    `identity` is the name and the hash of its weights, `window` the number of tokens that it takes
    at most, and `folder` the place where the output of its first blocks is kept.
    """

    identity: str
    tokenizer: Any
    network: Any
    ends: Ends
    window: int
    folder: Path

    @property
    def blocks(self) -> list[Any]:
        """The transformer blocks, in order. Raises ModelError if it cannot be told which."""
        import torch

        count = self.network.config.get_text_config().num_hidden_layers
        lists = [m for m in self.network.modules() if isinstance(m, torch.nn.ModuleList)]
        found = [blocks for blocks in lists if len(blocks) == count]
        if len(found) != 1:
            raise ModelError(
                f"student {self.identity}: its {count} blocks cannot be found. Use a model with "
                "an architecture like Llama, Qwen, Gemma or GPT-2"
            )
        return list(found[0])

    def first_adapted(self, config: StudentConfig) -> int:
        """Number of the first block with an adapter; 0 in full mode.

        Raises UsageError if fast mode would leave no block out.
        """
        if config.mode == "full":
            return 0
        count = len(self.blocks)
        if config.blocks >= count:
            raise UsageError(
                f"student: blocks is {config.blocks}, but {self.identity} has only {count} "
                "blocks. Use a smaller number, or mode full"
            )
        return count - config.blocks

    def encode(self, items: Sequence[Item], config: StudentConfig) -> list[Example]:
        """One example per item, see `template`.

        Raises UsageError for items without a response, and if the model takes fewer tokens than
        `max_length`.
        """
        if config.max_length > self.window:
            raise UsageError(
                f"student: max_length is {config.max_length}, but {self.identity} takes at most "
                f"{self.window} tokens. Use that number or less"
            )
        return encode(items, self.tokenise, self.ends, config.max_length)

    def tokenise(self, texts: list[str]) -> list[list[int]]:
        """The tokens of each text and no others."""
        tokens: list[list[int]] = self.tokenizer(
            texts, add_special_tokens=False, split_special_tokens=True, verbose=False
        )["input_ids"]
        return tokens


def open_student(name: str, cache: Path) -> Student:
    """Load the student called `name` into memory, as float32.

    Names are those of `load_language_model`. Embedded weights are converted once and kept in
    `cache`. Raises ModelError if the extra `student` is not installed, if the model cannot be
    loaded, and if it has no end token.
    """
    check_extra()
    model = load_language_model(name, cache)
    assert isinstance(model, CausalModel)
    # Not those that `language_model` keeps: others read them while this one is trained.
    with loading_errors(name):
        tokenizer, network = load_weights(model, ROLE)
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"student {name} has no EOS token to end responses with. Set eos_token in its "
            "tokenizer_config.json"
        )
    end = int(tokenizer.eos_token_id)
    start = tokenizer.bos_token_id
    if model.start:
        start = tokenizer.convert_tokens_to_ids(model.start)
    ends = Ends(end if start is None else int(start), end)
    window = getattr(network.config.get_text_config(), "max_position_embeddings", sys.maxsize)
    return Student(model.identity, tokenizer, network, ends, window, cache / "student")


def response_nats(network: Any, example: Example) -> Nats:
    """(n_response,) The negative log-likelihood of each response token in nats, with gradient."""
    import torch

    tokens = torch.tensor([example.tokens], device=network.device)
    count = len(example.response)
    output = network(input_ids=tokens, use_cache=False, logits_to_keep=count + 1)
    return torch.nn.functional.cross_entropy(
        output.logits[0, :-1].float(), tokens[0, -count:], reduction="none"
    )


@contextlib.contextmanager
def replaced(blocks: Sequence[Any], forward: Callable[..., Any]) -> Iterator[None]:
    """Blocks that do something else meanwhile; names, numbers and weights stay as they are."""
    for block in blocks:
        block.forward = forward
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def passed_on(hidden: Any, *_: Any, **__: Any) -> Any:
    """What a block does that is left out."""
    return hidden


@contextlib.contextmanager
def adapted(student: Student, config: StudentConfig) -> Iterator[Any]:
    """The student with a fresh LoRA adapter on every linear layer of the adapted blocks.

    Its first matrices are drawn by the seed, its second are zero: nothing has changed yet. Gives
    the peft model; `student.network` runs with the adapter too, until the block ends. Raises
    ModelError if the blocks hold no layers that it knows.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    adapted_blocks = student.blocks[student.first_adapted(config) :]
    inside = {id(layer) for block in adapted_blocks for layer in block.modules()}
    layers = {
        name: layer
        for name, layer in student.network.named_modules()
        if id(layer) in inside and isinstance(layer, torch.nn.Linear | Conv1D)
    }
    if not layers:
        raise ModelError(
            f"student {student.identity}: its blocks contain no linear layers, so it cannot "
            "be trained here. Use another model"
        )
    settings = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules=list(layers),
        fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in layers.values()),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
        torch.manual_seed(config.seed)
        model = get_peft_model(student.network, settings)
    try:
        yield model
    finally:
        model.unload()
