"""Pools that the `datasets` library loads: their `hf:` names, and their rows as Python values.

    hf:ORG/NAME[@REVISION][:[CONFIGURATION/]SPLIT]     a data set on the Hugging Face hub
    hf:./PATH[:[CONFIGURATION/]SPLIT]                  a folder or file here (also ../, ~/ and /)

    hf:databricks/databricks-dolly-15k                 its only split, or else `train`
    hf:yahma/alpaca-cleaned:train
    hf:openai/gsm8k@main:socratic/test                 of a data set with several configurations

No part may hold a character that the next one begins with, so there is one way to read a name.
An organisation is always given: without one, `json` or `csv` would be a loader of the library.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selectllm.core import names
from selectllm.core.errors import PoolError
from selectllm.core.extras import need

PREFIX = "hf:"
_PART = r"(?::(?:(?P<configuration>[^:/]+)/)?(?P<split>\w+(?:\.\w+)*))?"
_ON_HUB = re.compile(r"(?P<source>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^:@]+))?" + _PART)
_HERE = re.compile(r"(?P<source>(?:\.\.?|~|[A-Za-z]:)?/.*?|\.\.?)" + _PART, re.DOTALL)
_BATCH = 1_000  # rows as Python objects at a time; the rest stays in a file that is mapped
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
_GATED = re.compile(r"gated (?:dataset|repo)")
_LOGGERS = ("datasets", "huggingface_hub")
# Read when the libraries are imported: no counting of downloads, nothing about this machine.
_PRIVATE = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0"}


@dataclass(frozen=True, slots=True)
class HubName:
    """A parsed `hf:` name. `source`: ORG/NAME, or the path of a folder or file."""

    source: str
    revision: str | None = None
    configuration: str | None = None
    split: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it names a folder or file, not a data set on the hub."""
        return _HERE.fullmatch(self.source) is not None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        configuration = f"{self.configuration}/" if self.configuration else ""
        split = f":{configuration}{self.split}" if self.split else ""
        return f"{PREFIX}{self.source}{revision}{split}"


def is_hub(path: Path | str) -> bool:
    """Whether a pool's name is an `hf:` name, not the path of a file."""
    return str(path).startswith(PREFIX)


def parse_hub(path: Path | str) -> HubName:
    """The parts of an `hf:` name. Raises PoolError on one that cannot be read."""
    text = Path(path).as_posix().removeprefix(PREFIX)
    # `./x/y` has the form of ORG/NAME too; no organisation is called `.` or `..`.
    match = _HERE.fullmatch(text) or _ON_HUB.fullmatch(text)
    if match is None:
        raise PoolError(
            f"{path} is not the name of a data set. Write hf:ORG/NAME, hf:ORG/NAME:SPLIT or "
            "hf:ORG/NAME@REVISION:CONFIGURATION/SPLIT, and hf:./FOLDER for one in a folder"
        )
    return HubName(**match.groupdict())


def located(base: Path, name: str) -> Path:
    """The pool that a file in the folder `base` calls `name`; on the hub it is nowhere below it."""
    if not is_hub(name):
        return base / name
    hub = parse_hub(name)
    if not hub.is_local:
        return Path(name)
    return Path(str(replace(hub, source=(base / Path(hub.source).expanduser()).as_posix())))


def seen_from(folder: Path, pool: str) -> str:
    """What a file in `folder` calls the pool `pool`, so that `located` finds it again."""
    if not is_hub(pool):
        return _relative(pool, folder)
    hub = parse_hub(pool)
    if not hub.is_local:
        return pool
    path = _relative(str(Path(hub.source).expanduser()), folder)
    return str(replace(hub, source=path if path.startswith("..") else f"./{path}"))


def _relative(path: str, folder: Path) -> str:
    return Path(os.path.relpath(path, folder.resolve())).as_posix()


def hub_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of the split that `path` names, as Python values, in order.

    The library downloads a data set once into its own cache (HF_HOME) and maps it from there;
    with HF_HUB_OFFLINE=1 it looks nowhere else. Code of a data set is never run. CSV is text
    throughout, NA and 007 included; that of the hub needs the hub each time, for the library
    finds such a copy only online. JSON is what the library reads: every row has all columns,
    null where it had none, and a column of nothing but dates holds datetimes. Text that is not
    UTF-8 arrives as bytes.

    Raises PoolError where there is no such data set, configuration or split, where it cannot be
    reached or read, and where `datasets` is not installed.
    """
    split = _split(parse_hub(path), path)
    for table in split.with_format("arrow").iter(_BATCH) if split else ():
        yield from _rows(table, split.features)


def _rows(table: Any, features: Any) -> Iterator[dict[str, Any]]:
    columns = [
        [_decoded(features[name], _value(cell)) for cell in table[name]]
        for name in table.column_names
    ]
    for values in zip(*columns, strict=True):
        yield dict(zip(table.column_names, values, strict=True))


def _value(cell: Any) -> Any:
    """An Arrow scalar in Python; the bytes of a text that is not UTF-8."""
    try:
        return cell.as_py()
    except UnicodeDecodeError as error:
        return error.object


def _decoded(feature: Any, value: Any) -> Any:
    """`value` with what the library keeps as JSON, for its type differs by row, read again."""
    if value is None:
        return None
    if isinstance(feature, dict):
        return {name: _decoded(feature[name], one) for name, one in value.items()}
    if isinstance(value, list):
        return [_decoded(feature.feature, one) for one in value]
    return json.loads(value) if type(feature).__name__ == "Json" else value


def _split(name: HubName, path: Path) -> Any:
    """The split as a `datasets.Dataset`, or None where it has no row."""
    source = _source(name, path)
    datasets = _library(path)
    import httpx

    expected = (OSError, ValueError, RuntimeError, ImportError, httpx.HTTPError)
    with _quiet(datasets):
        try:
            builder = _builder(name, source)
            builder.download_and_prepare()
            splits = builder.info.splits
            split = _chosen(name, list(splits))
            return builder.as_dataset(split) if splits[split].num_examples else None
        except StopIteration:  # what becomes of JSON without a line
            return None
        except (*expected, datasets.exceptions.DatasetsError) as error:
            raise PoolError(f"{path}: {_explained(error, name, source)}") from None


def _source(name: HubName, path: Path) -> dict[str, str | None]:
    """What the library is told to load."""
    if not name.is_local:
        # Spelled like this, a folder here of the same name is not taken for it.
        return {"path": f"hf://datasets/{name.source}", "revision": name.revision}
    here = Path(name.source).expanduser().resolve()
    if not here.exists():
        raise PoolError(f"{path} does not exist. Check the path")
    if here.is_dir():
        return {"path": str(here)}
    return {"path": str(here.parent), "data_files": here.name}


def _library(path: Path) -> Any:
    for setting, value in _PRIVATE.items():
        os.environ.setdefault(setting, value)
    return need("hf", "datasets", f"{path}: a data set of the hub")


def _builder(name: HubName, source: Mapping[str, str | None]) -> Any:
    """The library's builder of the data set. Raises what the library raises."""
    from datasets import Features, Value, load_dataset_builder

    load = functools.partial(load_dataset_builder, name=name.configuration, **source)
    builder = load()
    if builder.name == "cache" and not _fits(builder, name.revision):
        raise ConnectionError("only another copy is at hand")
    if builder.name != "csv":
        return builder
    if builder.info.features is None:
        builder.download_and_prepare()
    # Left alone, it guesses types: 007 becomes 7; NA, None and nothing at all become null.
    text = Features({column: Value("string") for column in builder.info.features})
    return load(features=text, keep_default_na=False)


def _fits(cached: Any, revision: str | None) -> bool:
    """Whether the copy that the library settles for, the hub being out of reach, is one to use.

    It takes the last one, of whatever revision, and of CSV only the one with guessed types.
    """
    return cached.info.builder_name != "csv" and revision in (None, cached.hash)


def _chosen(name: HubName, splits: list[str]) -> str:
    """The split to load. Raises PoolError."""
    if name.split is not None:
        if name.split not in splits:
            raise PoolError(f"{name}: {names.unknown('split', name.split, splits)}")
        return name.split
    if len(splits) == 1:
        return splits[0]
    if "train" not in splits:
        raise PoolError(
            f"{name} has the splits {', '.join(splits)}, and none is called train. Name one of "
            f"them: {replace(name, split=splits[0])}"
        )
    return "train"


def _explained(error: Exception, name: HubName, source: Mapping[str, str | None]) -> str:
    """What is wrong and how to correct it, for whatever the library raises."""
    import httpx
    from datasets.exceptions import DatasetNotFoundError

    reason = _sentence(error)
    if _GATED.search(str(error)):
        page = f"https://huggingface.co/datasets/{name.source}"
        return f"its owner gives access on request. Accept the terms at {page}, and {_LOG_IN}"
    if isinstance(error, DatasetNotFoundError):
        what = "name" if name.revision is None else "name and the revision"
        return f"{reason}. Check the {what}, and if it is private, {_LOG_IN}"
    # FileNotFoundError itself: neither the hub nor the cache had it, the hub for want of an answer.
    unanswered = type(error) is FileNotFoundError and not name.is_local
    if unanswered or isinstance(error, ConnectionError):
        return (
            "the Hugging Face hub cannot be reached, and its cache holds no copy that fits. "
            "Check the network, and HF_HUB_OFFLINE if it is set, or name a file with a copy of the "
            "data set instead"
        )
    if isinstance(error, httpx.HTTPError):
        return f"the Hugging Face hub failed ({reason}). Try again later"
    if "scripts are no longer supported" in reason:
        return (
            "is made by its own program, which selectllm does not run. Look for a Parquet "
            "version, or run that program where you trust it and save the data as JSONL"
        )
    configured = _misconfigured(name, source) if isinstance(error, ValueError) else None
    # What broke off the reading says more than that it broke off.
    reason = _sentence(error.__cause__ or error)
    return configured or (
        f"cannot be read as a data set: {reason}. Correct it, or give one of its files as the "
        "pool, without hf:"
    )


def _misconfigured(name: HubName, source: Mapping[str, str | None]) -> str | None:
    """What to say if the name lacks the configuration, or has one that there is none of."""
    from datasets import get_dataset_config_names

    try:
        known = list(get_dataset_config_names(**source))
    except (OSError, ValueError, RuntimeError):
        return None
    if name.configuration is None and len(known) > 1:
        example = replace(name, configuration=known[0], split=name.split or "train")
        listing = ", ".join(known)
        return f"has several configurations ({listing}). Name one and its split: {example}"
    if name.configuration is None or name.configuration in known:
        return None
    return names.unknown("configuration", name.configuration, known)


def _sentence(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__


@contextlib.contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """No bars where nobody watches (those of the hub see to that), and no logs, only errors."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    watched = sys.stderr.isatty() and os.environ.get("CI") != "true"
    hide = not watched and not datasets.are_progress_bars_disabled()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    if hide:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if hide:
            datasets.enable_progress_bars()
