"""Prompts that cannot be used: exit 2 with file and line, before anything is asked or written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command, pool_rows, write_jsonl
from tests.support.cli_files import (
    BODY,
    HEAD,
    assert_refused,
    eval_by,
    files,
    make_workspace,
    put_prompt,
    select_by,
    write_suite,
)

LETTERS = HEAD.replace("numbers", "letters")
FAILS_LATE = BODY.replace("item.instruction", "item.topic")


@pytest.fixture
def workspace(selectllm: Command, pool_file: Path) -> Path:
    """The current folder as a workspace with a released prompt `mine@1`, and a pool."""
    return make_workspace(selectllm)


def assert_both_refuse(selectllm: Command, prompt: str, *words: str) -> None:
    """`select` and `eval` say the same and write nothing."""
    for verb in (select_by, eval_by):
        assert_refused(verb(selectllm, prompt), *words)
    assert sorted(Path().glob("*.jsonl")) == [Path("pool.jsonl")]
    assert not Path("run").exists()


class TestTheLock:
    """A released version is what it was."""

    def test_changed_bytes_are_refused(self, selectllm: Command, workspace: Path) -> None:
        assert select_by(selectllm, "mine@1", "--dry-run").code == 0
        workspace.write_bytes(workspace.read_bytes().replace(b"\n", b"\r\n"))
        words = ("mine/v1.jinja: mine@1 was changed after its release", "prompts new mine --from")
        assert_both_refuse(selectllm, "mine@1", *words)
        assert_both_refuse(selectllm, "mine@latest", *words)
        assert_both_refuse(selectllm, str(workspace.resolve()), *words)
        checked = selectllm("prompts", "check")
        assert (checked.code, words[0] in checked.out) == (1, True)

    def test_the_fix_that_the_error_names_works(self, selectllm: Command, workspace: Path) -> None:
        released = workspace.read_bytes()
        workspace.write_bytes(released + b"\n")
        assert selectllm("prompts", "new", "mine", "--from", workspace).code == 0
        workspace.write_bytes(released)
        assert selectllm("prompts", "check").code == 0
        assert select_by(selectllm, "mine@2").code == 0

    def test_a_damaged_lock_file_is_refused(self, selectllm: Command, workspace: Path) -> None:
        Path("prompts/LOCK.yaml").write_text("mine@1: [", encoding="utf-8")
        assert_both_refuse(selectllm, "mine@1", "LOCK.yaml is not YAML", "Restore it")
        Path("prompts/LOCK.yaml").write_text("- mine@1\n", encoding="utf-8")
        assert_both_refuse(selectllm, "mine@1", "LOCK.yaml must map name@version to sha256")

    def test_shadowing_a_bundled_version_is_refused(
        self, selectllm: Command, workspace: Path
    ) -> None:
        put_prompt("short@1")
        words = ("there is already a different short@1", "prompts new short --from")
        assert_both_refuse(selectllm, "short@1", *words)
        checked = selectllm("prompts", "check")
        assert (checked.code, words[0] in checked.out) == (1, True)

    def test_the_same_bytes_shadow_nothing(self, selectllm: Command, workspace: Path) -> None:
        put_prompt(
            "short@1", json.loads(selectllm("prompts", "show", "short@1", "--json").out)["source"]
        )
        assert select_by(selectllm, "short@1").code == 0


class TestAReference:
    """`name@3`, `name@latest`, or a path."""

    @pytest.mark.parametrize(
        ("prompt", "words"),
        [
            ("mine@7", ("no prompt 'mine@7'. Did you mean 'mine@1'?", "There are:")),
            ("mien@1", ("no prompt 'mien@1'. Did you mean 'mine@1'?",)),
            ("mine", ("'mine' names no version. Write mine@latest or mine@1",)),
            ("mine@", ("'mine@' names no version. Write mine@latest or mine@1",)),
            ("nothing@latest", ("no prompt 'nothing@latest'",)),
            ("./none.jinja", ("none.jinja does not exist",)),
            ("none.jinja", ("none.jinja does not exist",)),
            ("./prompts", ("prompts does not exist",)),
        ],
    )
    def test_to_nothing_is_refused(
        self, selectllm: Command, workspace: Path, prompt: str, words: tuple[str, ...]
    ) -> None:
        assert_both_refuse(selectllm, prompt, *words)

    def test_by_path_is_relative_to_the_suite_or_the_current_folder(
        self, selectllm: Command, workspace: Path
    ) -> None:
        for place, verb in (("draft.jinja", select_by), ("eval/suites/draft.jinja", eval_by)):
            assert_refused(verb(selectllm, "./draft.jinja"), "draft.jinja does not exist")
            Path(place).write_text(HEAD + BODY, encoding="utf-8")
            assert verb(selectllm, "./draft.jinja").code == 0
            Path(place).unlink()

    def test_two_drafts_of_one_name_are_told_apart(
        self, selectllm: Command, workspace: Path
    ) -> None:
        for folder in ("a", "b"):
            Path("eval/suites", folder).mkdir(parents=True)
            draft = Path("eval/suites", folder, "draft.jinja")
            draft.write_text(HEAD + BODY + folder * 0, encoding="utf-8")
        outcome = eval_by(selectllm, "./a/draft.jinja', './b/draft.jinja")
        assert_refused(outcome, "Two of them are draft@draft", "Rename one of them")
        assert not Path("run").exists()


class TestATemplate:
    """What is wrong in a prompt file is told with its line, before anything is asked or written."""

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (HEAD + BODY.replace("{{ k }}", "{{ n }}"), (":6: 'n' is undefined", "k and m")),
            (HEAD + BODY.replace("{{ k }}", "{{ k"), (":6:",)),
            (HEAD, ("no block 'user'",)),
            (
                HEAD + BODY.replace("user", "usr"),
                (":6: there is no block 'usr'. Did you mean 'user'?",),
            ),
            (BODY, (":1: there is no front matter",)),
            (HEAD.replace("indices", "indexes") + BODY, ("Did you mean 'indices'",)),
            (HEAD.replace("numbers", "roman") + BODY, ("no labels kind 'roman'", "letters")),
            (HEAD.replace("reply", "replies") + BODY, ("Did you mean 'reply'",)),
            (HEAD.replace("description: d\n", "") + BODY, ("front matter has no description",)),
            (HEAD.replace(": d", ": [") + BODY, ("front matter is not YAML",)),
            (HEAD + "{% include 'x' %}" + BODY, (":6: include is not allowed",)),
        ],
    )
    def test_that_cannot_be_loaded_is_refused(
        self, selectllm: Command, workspace: Path, text: str, words: tuple[str, ...]
    ) -> None:
        put_prompt("mine@2", text)
        assert_both_refuse(selectllm, "mine@2", "mine/v2.jinja", *words)

    def test_that_is_not_utf8_is_refused(self, selectllm: Command, workspace: Path) -> None:
        put_prompt("mine@2").write_bytes((HEAD + BODY).encode() + b"caf\xe9")
        assert_both_refuse(selectllm, "mine@2", "mine/v2.jinja:9 is not UTF-8")

    def test_that_fails_only_when_it_runs_is_refused_by_eval(
        self, selectllm: Command, workspace: Path
    ) -> None:
        put_prompt("mine@2", HEAD + FAILS_LATE)
        outcome = eval_by(selectllm, "mine@2")
        assert_refused(outcome, "mine/v2.jinja:7: ", "no attribute 'topic'", "label, instruction")
        assert not Path("run").exists()

    def test_that_fails_only_when_it_runs_is_refused_by_select(
        self, selectllm: Command, workspace: Path
    ) -> None:
        put_prompt("mine@2", HEAD + FAILS_LATE)
        before = files()
        assert_refused(select_by(selectllm, "mine@2"), "mine/v2.jinja:7: ", "no attribute 'topic'")
        assert files() == before

    def test_letters_end_at_26_in_eval(self, selectllm: Command, workspace: Path) -> None:
        put_prompt("mine@2", LETTERS + BODY)
        write_suite("short@1 -> mine@2", "size: 5 -> size: 27")
        outcome = selectllm("eval", "suite.yaml", "-o", "run")
        # 40 items in clusters of at most 27 are two clusters of 20.
        assert outcome.code == 0, outcome.err
        write_jsonl(Path("pool.jsonl"), pool_rows(54))
        outcome = selectllm("eval", "suite.yaml", "-o", "other")
        assert_refused(outcome, "mine@2: letters label at most 26 candidates, not 27. Show fewer")
        assert not Path("other").exists()

    def test_letters_end_at_26_in_select(self, selectllm: Command, workspace: Path) -> None:
        put_prompt("mine@2", LETTERS + BODY)
        before = files()
        outcome = select_by(selectllm, "mine@2", "--cluster-size", 40)
        assert_refused(outcome, "mine@2: letters label at most 26 candidates, not 40. Show fewer")
        assert files() == before
        assert select_by(selectllm, "mine@2", "--cluster-size", 26).code == 0

    def test_more_picks_than_candidates_are_refused(
        self, selectllm: Command, workspace: Path
    ) -> None:
        rendered = selectllm("prompts", "render", "mine@1", "pool.jsonl", "--size", 3, "--k", 4)
        assert_refused(
            rendered, "mine@1: cannot pick 4 of 3 candidates. the number of picks must be from 1 to"
        )
