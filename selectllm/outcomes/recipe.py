"""The recipe beside exported sets: what the paper trained with, and what was used instead."""

from __future__ import annotations

from typing import Any

import yaml

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
