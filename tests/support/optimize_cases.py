"""What the tests of `optimize` share: a suite, and a provider whose picks depend on its prompt."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import Command, write_jsonl
from tests.support.cli_files import put_prompt
from tests.support.provider_server import ProviderServer

PLANTED = "prefer the topics with the highest number"
BETTER = f"You choose {{{{ carefully }}}}: {PLANTED}."
HEAD = "---\ndescription: d\nreply: indices\nlabels: numbers\nnotes: n\n---\n"
PROMPT = HEAD + (
    "{% block system %}\nYou choose.\n{%- endblock %}\n\n"
    "{% block user %}\nPick {{ k }} of {{ m }}.\n"
    "{% for item in items %}\n=== [{{ item.label }}] ===\n{{ item.instruction }}\n{% endfor %}\n"
    "{%- endblock %}\n"
)
TEACHERS = "current_instructions"
"""A field of the teacher's signature: what tells its requests from the others."""


def rows(clusters: int) -> list[dict[str, Any]]:
    """Items whose worth is the number of their topic."""
    return [
        {"id": f"i{n:04}", "instruction": f"Topic {n * 7919 % 1000}", "worth": n * 7919 % 1000}
        for n in range(4 * clusters)
    ]


def make_suite(
    selectllm: Command,
    *changes: tuple[str, str],
    clusters: int = 60,
    prompt: str = PROMPT,
    model: object = "mock/first",
) -> Path:
    """A workspace with the prompt `mine@1` and a suite of `clusters` clusters of four."""
    put_prompt("mine@1", prompt)
    assert selectllm("prompts", "lock", "--prompts", "prompts").code == 0
    write_jsonl(Path("pool.jsonl"), rows(clusters))
    text = (
        "name: demo\npool: pool.jsonl\n"
        "utilities: [{name: worth, source: ratings, column: worth}]\n"
        "clusters: {by: random, size: 4}\npicks: 1\nprompts: [mine@1]\n"
        f"models: [{json.dumps(model)}]\n"
    )
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = Path("suite.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def served(server: ProviderServer) -> dict[str, Any]:
    """The suite's entry for the test's provider; by the faster of the two routes."""
    return {"name": "m", "id": "hosted_vllm/m", "api_base": server.base_url}


class Scripted:
    """A provider: it picks the best candidate if told PLANTED, else the first.

    As a teacher it writes what `proposals` says, over and over.
    """

    def __init__(self, *proposals: str) -> None:
        self.proposals = proposals
        self.taught = 0
        self.decided = 0

    def __call__(self, messages: Sequence[Mapping[str, Any]]) -> str:
        text = "\n".join(str(message["content"]) for message in messages)
        if TEACHERS in text:
            self.taught += 1
            return self.proposals[(self.taught - 1) % len(self.proposals)]
        self.decided += 1
        topics = re.findall(r"=== \[(\d+)\] ===\nTopic (\d+)", text)
        label, _ = max(topics, key=lambda topic: int(topic[1])) if PLANTED in text else topics[0]
        return f"[{label}]"


def proposal(text: str) -> str:
    """A teacher's reply."""
    return json.dumps({"new_instructions": text})
