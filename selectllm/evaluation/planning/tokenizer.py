"""A model's own tokenizer, where this machine has its vocabulary already. Nothing is downloaded.

litellm brings the vocabularies of OpenAI's models along, and tiktoken knows which model has which.
Of every other model litellm would count with one of them as well, without saying so: here that
is no answer, and tokens.py estimates.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDER = "litellm/litellm_core_utils/tokenizers"

# Name of the file as tiktoken looks for it, and its sha256, by the name of the vocabulary.
FILES = {
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}
FILES["o200k_harmony"] = FILES["o200k_base"]  # the same, with other marks between messages


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """`name`: of the vocabulary. `count`: the tokens of a text."""

    name: str
    count: Callable[[str], int]


def own_tokenizer(model_id: str, folder: Path | None = None) -> Tokenizer | None:
    """The tokenizer of a model by the last part of its id; None where it is not known or not here.

    `folder`: where the vocabularies are [litellm's own].
    """
    import tiktoken

    try:
        name = tiktoken.encoding_name_for_model(model_id.rpartition("/")[2])
    except KeyError:
        return None
    folder = folder or _shipped()
    if folder is None or not _intact(folder, name):
        return None
    with _looking_in(folder):
        encoding = tiktoken.get_encoding(name)
    return Tokenizer(name, lambda text: len(encoding.encode_ordinary(text)))


def _shipped() -> Path | None:
    try:
        return Path(str(importlib.metadata.distribution("litellm").locate_file(FOLDER)))
    except importlib.metadata.PackageNotFoundError:
        return None


def _intact(folder: Path, name: str) -> bool:
    """Whether the vocabulary is there and whole: tiktoken would download one that is not."""
    if name not in FILES:
        return False
    file, sha256 = FILES[name]
    path = folder / file
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


@contextmanager
def _looking_in(folder: Path) -> Iterator[None]:
    """Make tiktoken look for vocabularies in `folder`; it reads the name from the environment."""
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["TIKTOKEN_CACHE_DIR"]
        if before is not None:
            os.environ["TIKTOKEN_CACHE_DIR"] = before
