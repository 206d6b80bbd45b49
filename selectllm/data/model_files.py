"""Models of transformers by name, a folder or one on the hub: what they are known by, and loading.

For encoders and language models alike; what is done with a loaded model is theirs.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.codec import sha256_texts
from selectllm.core.errors import SelectLLMError

LOADING = ("huggingface_hub", "transformers", "sentence_transformers")
"""Libraries that take part in loading a model, by the names of their loggers."""
MODEL_FILES = frozenset({".safetensors", ".bin", ".pt", ".json", ".txt", ".model"})


@dataclass(frozen=True, slots=True)
class ModelRole:
    """What a model is to messages, such as "encoder", and the error that they come as.

    `argument`: what always names it, None if suites and strategies may, too.
    """

    name: str
    error: type[SelectLLMError]
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model comes from: a folder, or a name on the hub with an optional revision.

    `identity` is of its content for a folder, NAME[@REVISION] for one on the hub.
    """

    identity: str
    source: str
    revision: str | None = None


def find_model(name: str, role: ModelRole) -> ModelSource:
    """The model called `name`: a folder, or NAME[@REVISION] on the hub. Loads nothing.

    Raises the role's error for a folder that is not there or holds no model.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        identity = f"{folder.resolve().name}@{_folder_sha256(folder, role)[:12]}"
        return ModelSource(identity, str(folder.resolve()))
    if name.startswith((".", "/", "~")):
        how = f" with `{role.argument}`" if role.argument else ""
        raise role.error(
            f"there is no {role.name} folder {name}. Give a folder, or a name on the hub{how}",
            argument=role.argument,
        )
    source, _, revision = name.partition("@")
    return ModelSource(name, source, revision or None)


@contextlib.contextmanager
def loading(source: str, role: ModelRole, fix: str) -> Iterator[bool]:
    """While a model is loaded from `source`; gives whether that is a folder, to be read offline.

    Quietly, unless it may be fetched while somebody watches. Raises the role's error, which ends
    with `fix`, for what transformers raises.
    """
    local = Path(source).is_dir()
    with _quiet(local or not sys.stderr.isatty()), _silent():
        try:
            yield local
        except (ImportError, OSError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise role.error(f"cannot load {role.name} {source}: {reason} ({fix})") from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """No warnings of the libraries that load: tries again and guesses, which the error follows."""
    loggers = [logging.getLogger(name) for name in LOADING]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _quiet(quiet: bool) -> Iterator[None]:
    """No progress bars of transformers' own, which it draws even where nobody watches."""
    from transformers.utils import logging as bars_of

    bars: Any = bars_of
    silence = quiet and bars.is_progress_bar_enabled()
    if silence:
        bars.disable_progress_bar()
    try:
        yield
    finally:
        if silence:
            bars.enable_progress_bar()


def _folder_sha256(folder: Path, role: ModelRole) -> str:
    """Hash of the names and contents of a model's weights and settings."""
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix in MODEL_FILES and path.is_file()
    )
    if not names:
        raise role.error(
            f"{role.name} folder {folder} holds no model files. Give the model's folder",
            argument=role.argument,
        )
    return sha256_texts(text for name in names for text in (name, file_sha256(folder / name)))


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
