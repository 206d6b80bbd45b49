"""The attack texts of an audit: attacks.yaml beside this file, which says what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from selectllm.core.yaml_text import load_yaml

STYLES = ("order", "system", "answer", "closing", "brackets", "praise")


@dataclass(frozen=True, slots=True)
class Attack:
    """A text that asks for its candidate to be picked. `language`: ISO 639-1."""

    style: str
    language: str
    text: str

    def on(self, instruction: str, label: str) -> str:
        """The instruction with the text behind it; `label`: what the candidate is shown under."""
        return f"{instruction}\n\n{self.text.format(label=label)}"


@dataclass(frozen=True, slots=True)
class Attacks:
    """All of them by style, and the sha256 of their file."""

    by_style: Mapping[str, tuple[Attack, ...]]
    sha256: str


@cache
def attacks() -> Attacks:
    """The attacks that ship with the package."""
    data = (files(__package__) / "attacks.yaml").read_bytes()
    every = [Attack(**entry) for entry in load_yaml(data.decode("utf-8"))["attacks"]]
    by_style = {style: tuple(each for each in every if each.style == style) for style in STYLES}
    return Attacks(by_style, hashlib.sha256(data).hexdigest())
