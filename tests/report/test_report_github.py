"""What results.json says of a comparison in a workflow: annotations on GitHub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selectllm.core.shown import visible
from tests.report.test_report import (
    BAD,
    CHARACTERS,
    NASTY,
    NOISE,
    TEXT,
    ab,
    annotations,
    open_question,
    regress,
    run,
    swap,
)


def read_command(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as actions/runner reads it (src/Runner.Common/ActionCommand.cs)."""
    assert line.startswith("::")
    head, message = line[2:].split("::", 1)
    name, _, pairs = head.partition(" ")
    properties = dict(each.split("=", 1) for each in pairs.split(","))

    def plain(text: str, tokens: str) -> str:
        for token in f"{tokens}%":
            text = text.replace(f"%{ord(token):02X}", token)
        return text

    found = {key: plain(value, "\r\n:,") for key, value in properties.items()}
    return name, found, plain(message, "\r\n")


def test_a_failure_points_at_the_prompt_file() -> None:
    (line,) = annotations(run(regress()), None)
    assert line.startswith(
        "::error file=prompts/criteria/v2.jinja,line=1,title=selectllm fail::"
        "criteria@2 + gpt against criteria@1 + gpt: fail%0A"
        "reason: the 90 %25 interval lies below 0%0A"
    )


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        *((make(word=word), "error") for make, word in zip((ab, regress, swap), BAD, strict=True)),
        *((open_question(make), "warning") for make in (ab, regress, swap)),
        *((ab(word=word), "notice") for word in ("better", "equivalent")),
        (regress(word="pass"), "notice"),
        (swap(word="safe"), "notice"),
    ],
)
def test_the_word_sets_the_level(verdict: dict[str, Any], level: str) -> None:
    (line,) = annotations(run(verdict), None)
    name, properties, message = read_command(line)
    assert name == level
    assert properties["title"] == f"selectllm {verdict['word']}"
    assert f"reason: {verdict['reason']}" in message.splitlines()


def annotated(path: str | None, root: str | None, workspace: str | None = None) -> str | None:
    """The file that a gate's annotation points at."""
    roots = [None if each is None else Path(each) for each in (root, workspace)]
    (line,) = annotations(run(regress(regress={"path": path})), *roots)
    properties = read_command(line)[1]
    assert ("file" in properties) is ("line" in properties)
    return properties.get("file")


@pytest.mark.skipif(os.name == "nt", reason="the paths of this test are POSIX")
def test_a_file_is_named_from_the_root_of_the_checkout() -> None:
    assert annotated(None, "/repo") is None
    assert annotated("prompts/a/v2.jinja", "/repo") == "prompts/a/v2.jinja"
    assert annotated("prompts/a/v2.jinja", "/repo", "/repo/tools") == "tools/prompts/a/v2.jinja"
    assert annotated("/repo/prompts/a/v2.jinja", "/repo") == "prompts/a/v2.jinja"
    assert annotated("/repo/x/../prompts/v2.jinja", "/repo") == "prompts/v2.jinja"
    assert annotated("/elsewhere/v2.jinja", "/repo") is None


def test_comparisons_without_a_prompt_change_point_at_no_file() -> None:
    for verdict in (ab(), swap()):
        (line,) = annotations(run(verdict), Path("/repo"))
        assert read_command(line)[1].keys() == {"title"}


@given(name=TEXT, reason=st.text(CHARACTERS, min_size=1), path=TEXT)
@example(name=NASTY, reason=NASTY, path=NASTY)
def test_any_text_stays_in_its_command(name: str, reason: str, path: str) -> None:
    (line,) = annotations(run(regress(b=name, reason=reason, regress={"path": path})), None)
    assert not set(line) & set("\r\n")
    level, properties, message = read_command(line)
    assert level == "error"
    file = Path(os.path.normpath(path)).as_posix()
    assert properties == {"file": file, "line": "1", "title": "selectllm fail"}
    said = f"{name} against criteria@1 + gpt: fail\nreason: {reason}\n"
    assert message.startswith("\r".join(map(visible, said.split("\r"))))


def test_a_run_without_verdicts_annotates_nothing() -> None:
    assert annotations(run(noise=NOISE), None) == []
