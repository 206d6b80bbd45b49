"""Language models small enough for tests: random weights, and every byte is a token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "gpt2": {},
    # squashes its logits, and looks back 64 tokens in every other layer
    "gemma2": {
        "num_key_value_heads": 2,
        "head_dim": 8,
        "final_logit_softcapping": 2.0,
        "sliding_window": 64,
    },
}


def save_tiny_model(folder: Path, kind: str, special: dict[str, str], **config: Any) -> Path:
    """A folder with a model of this architecture, always the same one.

    `special`: special tokens of its tokeniser, such as `{"bos_token": "<s>"}`. `config`: settings
    of the architecture, its sizes among them.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.decoders import ByteLevel
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    alphabet = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    settings = {"vocab_size": len(alphabet), "num_attention_heads": 2, **ARCHITECTURES[kind]}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings, **config))
    model.save_pretrained(folder)
    return folder
