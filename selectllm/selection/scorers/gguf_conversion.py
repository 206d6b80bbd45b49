"""The weights of an embedded model (GGUF) as a folder that transformers loads, made once.

transformers reads GGUF itself, but needs accelerate for it, takes three times as long, and splits
numbers unlike the model was trained: 1 in 100 texts of Dolly gets other tokens than from llama.cpp
(a blank line before "1." does it). Here all get the same, and each weight equals transformers' own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selectllm.core.codec import pretty_json
from selectllm.core.errors import ModelError
from selectllm.core.extras import need
from selectllm.core.files import write_text
from selectllm.models.providers.weights import find_weights

Weights = NDArray[np.float32]

# Names of weights in GGUF and in transformers' Llama, outside the blocks and inside one.
_OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL = 3  # the type of tokens such as <|im_start|>


def convert(name: str, folder: Path) -> None:
    """Make `folder` of the weights of the embedded model `name`, unless it is there.

    Weights are float32 (538 MB for smollm2-135m, some 5 seconds of CPU time once). The folder
    appears whole or not at all, and several processes may ask for it at once. Raises ModelError
    for missing or wrong weights, and weights of a kind it cannot convert; ExtraMissing.
    """
    if folder.is_dir():
        return
    model = _Gguf(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".converting-") as temporary:
        made = Path(temporary, folder.name)
        made.mkdir()
        model.write(made)
        try:
            os.rename(made, folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise


class _Gguf:
    """An opened weight file of the Llama architecture with SmolLM's tokeniser."""

    def __init__(self, name: str) -> None:
        path = find_weights(name)
        gguf = need("embed", "gguf", f"reading the weights of local/{name}")
        self._reader = gguf.GGUFReader(path)
        kind = self._value("general.architecture"), self._value("tokenizer.ggml.pre")
        if kind != ("llama", "smollm"):
            raise ModelError(
                f"{path}: cannot convert architecture {kind[0]!r} with tokeniser {kind[1]!r}. Give "
                "the folder of a model in the format of transformers"
            )

    def write(self, folder: Path) -> None:
        """Config, weights and tokeniser, as transformers names and reads them."""
        from safetensors.numpy import save_file

        weights = dict(self._weights())
        config = self._config() | {"tie_word_embeddings": "lm_head.weight" not in weights}
        write_text(folder / "config.json", pretty_json(config))
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        self._write_tokenizer(folder)

    def _value(self, key: str) -> Any:
        field = self._reader.get_field(key)
        return None if field is None else field.contents()

    def _config(self) -> dict[str, Any]:
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "torch_dtype": "float32",
            "hidden_size": self._value("llama.embedding_length"),
            "intermediate_size": self._value("llama.feed_forward_length"),
            "num_hidden_layers": self._value("llama.block_count"),
            "num_attention_heads": self._value("llama.attention.head_count"),
            "num_key_value_heads": self._value("llama.attention.head_count_kv"),
            "max_position_embeddings": self._value("llama.context_length"),
            "rms_norm_eps": self._value("llama.attention.layer_norm_rms_epsilon"),
            "rope_theta": self._value("llama.rope.freq_base"),
            "vocab_size": self._value("llama.vocab_size"),
            "bos_token_id": self._value("tokenizer.ggml.bos_token_id"),
            "eos_token_id": self._value("tokenizer.ggml.eos_token_id"),
            "pad_token_id": self._value("tokenizer.ggml.padding_token_id"),
        }

    def _weights(self) -> Iterator[tuple[str, Weights]]:
        import gguf

        heads = {
            "attn_q": self._value("llama.attention.head_count"),
            "attn_k": self._value("llama.attention.head_count_kv"),
        }
        for tensor in self._reader.tensors:
            values = gguf.dequantize(tensor.data, tensor.tensor_type)
            *block, part, _ = tensor.name.split(".")  # blk.N.attn_q.weight, output_norm.weight
            if part in heads:
                values = _unpermuted(values, heads[part])
            inside = f"model.layers.{block[1]}.{_BLOCK[part]}" if block else _OUTER[part]
            yield f"{inside}.weight", np.ascontiguousarray(values, dtype=np.float32)

    def _write_tokenizer(self, folder: Path) -> None:
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        tokens = self._value("tokenizer.ggml.tokens")
        merges = [tuple(pair.split(" ")) for pair in self._value("tokenizer.ggml.merges")]
        tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
        # What llama.cpp means by `smollm`: every digit is a token of its own.
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        kinds = self._value("tokenizer.ggml.token_type")
        tokenizer.add_special_tokens(
            [
                AddedToken(token, special=True, normalized=False)
                for token, kind in zip(tokens, kinds, strict=True)
                if kind == _CONTROL
            ]
        )
        tokenizer.save(str(folder / "tokenizer.json"))
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": tokens[self._value("tokenizer.ggml.bos_token_id")],
            "eos_token": tokens[self._value("tokenizer.ggml.eos_token_id")],
            "pad_token": tokens[self._value("tokenizer.ggml.padding_token_id")],
            "chat_template": self._value("tokenizer.chat_template"),
            "clean_up_tokenization_spaces": False,
        }
        write_text(folder / "tokenizer_config.json", pretty_json(settings))


def _unpermuted(weights: Weights, heads: int) -> Weights:
    """Rows of a query or key matrix (heads * d, width) as transformers' rotation takes them.

    llama.cpp rotates neighbouring rows of a head, transformers row i and i + d/2; converting to
    GGUF interleaves the halves, and this undoes it.
    """
    rows, width = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)
