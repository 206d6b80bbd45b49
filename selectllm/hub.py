"""Names of pools that the `datasets` library loads (its rows are read in hub_data).

    hf:ORG/NAME[@REVISION][:[CONFIGURATION/]SPLIT]     a data set on the Hugging Face hub
    hf:./PATH[:[CONFIGURATION/]SPLIT]                  a folder or file here (also ../, ~/ and /)

    hf:databricks/databricks-dolly-15k                 its only split, or else `train`
    hf:yahma/alpaca-cleaned:train
    hf:openai/gsm8k@main:socratic/test                 of a data set with several configurations

No part may hold a character that the next one begins with, so there is one way to read a name.
An organisation is always given: without one, `json` or `csv` would be a loader of the library.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from selectllm.errors import PoolError

PREFIX = "hf:"
_PART = r"(?::(?:(?P<configuration>[^:/]+)/)?(?P<split>\w+(?:\.\w+)*))?"
_ON_HUB = re.compile(r"(?P<source>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^:@]+))?" + _PART)
_HERE = re.compile(r"(?P<source>(?:\.\.?|~|[A-Za-z]:)?/.*?|\.\.?)" + _PART, re.DOTALL)


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
    found = _HERE.fullmatch(text) or _ON_HUB.fullmatch(text)
    if found is None:
        raise PoolError(
            f"{path}: no name of a data set; write hf:ORG/NAME, hf:ORG/NAME:SPLIT or "
            "hf:ORG/NAME@REVISION:CONFIGURATION/SPLIT, and hf:./FOLDER for one in a folder"
        )
    return HubName(**found.groupdict())


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
