"""What the tests of the command line's errors share: suites, what lies on disk, what was said."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Outcome
from tests.provider_server import ProviderServer

SUITE = """\
name: demo
pool: pool.jsonl
clusters: {by: random, size: 5}
picks: 2
prompts: [short@1]
models: [mock/first]
"""
RATED = "utilities: [{name: rating, source: ratings, column: rating, range: [1, 5]}]\n"
ASKING = ("--by", "random", "--prompt", "short@1")
MOCK = (*ASKING, "--model", "mock/first")


def write_suite(*changes: str, path: Path | str = "suite.yaml") -> Path:
    """SUITE, with `OLD -> NEW` for each change; a change without an arrow is added to its end."""
    text = SUITE
    for change in changes:
        old, arrow, new = change.partition(" -> ")
        if not arrow:
            text += f"{change}\n"
            continue
        assert old in text, old
        text = text.replace(old, new)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def served(server: ProviderServer, **settings: object) -> str:
    """The change that makes the suite's model one of the test's provider."""
    entry = {"name": "m", "id": "openai/m", "api_base": server.base_url, **settings}
    return f"mock/first -> {json.dumps(entry)}"


def at(server: ProviderServer) -> tuple[str, ...]:
    """Options that name a model of the test's provider."""
    return ("--model", "openai/m", "--api-base", server.base_url)


def files(folder: Path | str = ".") -> dict[str, bytes]:
    """Every file below `folder` but those of the cache: name to content."""
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {
        str(path): path.read_bytes() for path in found if "cache" not in path.parts[:-1]
    }


def assert_refused(outcome: Outcome, *words: str, code: int = 2) -> None:
    """One clear line on stderr that holds `words`, nothing on stdout, and the exit code."""
    assert outcome.code == code, outcome.err
    for word in words:
        assert word in outcome.err
    assert outcome.out == ""
    assert outcome.err.startswith("selectllm: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
