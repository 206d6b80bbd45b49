"""Prompt files for tests: a text that is one, and where it goes in a folder of prompts."""

from __future__ import annotations

from pathlib import Path

from selectllm.core.files import write_text
from selectllm.prompting.library import PromptLibrary
from selectllm.prompting.prompt import Prompt

HEAD = "---\ndescription: d\nreply: indices\nlabels: numbers\n---\n"
BODY = "{% block user %}{% for item in items %}{{ item.instruction }}{% endfor %}{% endblock %}\n"


def put(folder: Path, ref: str, text: str = HEAD + BODY) -> Path:
    """Write `name@version` into a folder of prompts."""
    name, _, version = ref.partition("@")
    path = folder / name / f"v{version}.jinja"
    write_text(path, text)
    return path


def load_text(folder: Path, text: str) -> Prompt:
    """The prompt in a file of this text, read from a folder."""
    put(folder, "trial@1", text)
    return PromptLibrary(folder).load("trial@1")
