"""Folders of prompts: how each is named, and that a released version never changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selectllm.core.errors import PromptError
from selectllm.core.files import write_text
from selectllm.prompting.library import PromptLibrary, check, lock, next_number
from tests.support.prompt_files import BODY, HEAD, put

ROOT = Path(__file__).parents[2]
BUNDLED = PromptLibrary().list()


class TestBundledPrompts:
    """What ships is this repository's folder, and released."""

    def test_all_are_released(self) -> None:
        assert all(prompt.bundled and prompt.locked for prompt in BUNDLED)
        assert check(ROOT / "prompts") == []

    def test_they_are_this_repository_s_prompts_folder(self) -> None:
        files = (ROOT / "prompts").glob("*/v*.jinja")
        assert {each.source.encode() for each in BUNDLED} == {each.read_bytes() for each in files}


class TestFolders:
    """What cannot be opened."""

    @pytest.mark.parametrize("text", ["[a, b]", "a@1: 3", "a: [", "\x00"])
    def test_a_damaged_lock_is_an_error(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "LOCK.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(PromptError, match=r"LOCK.yaml .*Restore it"):
            PromptLibrary(tmp_path)

    def test_a_folder_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(PromptError, match="absent: this folder of prompts does not exist"):
            PromptLibrary(tmp_path / "absent")


class TestReferences:
    """How a prompt is named: name@version, name@latest, a path."""

    def test_versions_are_ordered_as_numbers(self, tmp_path: Path) -> None:
        for version in (2, 10, 1):
            put(tmp_path, f"trial@{version}")
        library = PromptLibrary(tmp_path)
        assert library.versions("trial") == ("trial@1", "trial@2", "trial@10")
        assert library.load("trial@latest").ref == "trial@10"

    def test_bundled_and_own_prompts_are_listed_together(self, tmp_path: Path) -> None:
        put(tmp_path, "trial@1")
        listed = {prompt.ref: prompt for prompt in PromptLibrary(tmp_path).list()}
        assert set(listed) == {prompt.ref for prompt in BUNDLED} | {"trial@1"}
        assert not listed["trial@1"].locked

    def test_a_name_alone_is_refused_with_the_way_to_say_it(self) -> None:
        with pytest.raises(PromptError, match=r"'short' names no version\. Write short@latest"):
            PromptLibrary().load("short")

    @pytest.mark.parametrize("ref", ["shrt@1", "short@99", "short@01", "short@x", "shrt@latest"])
    def test_an_unknown_one_is_answered_with_the_closest(self, ref: str) -> None:
        with pytest.raises(PromptError, match=rf"no prompt '{ref}'\. Did you mean 'short@1'\?"):
            PromptLibrary().load(ref)

    def test_a_path_is_relative_to_the_base(self, tmp_path: Path) -> None:
        (tmp_path / "draft.jinja").write_text(HEAD + BODY, encoding="utf-8")
        for ref in ("./draft.jinja", "draft.jinja", str(tmp_path / "draft.jinja")):
            prompt = PromptLibrary().load(ref, tmp_path)
            assert (prompt.ref, prompt.version) == ("draft@draft", 0)

    def test_a_path_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(PromptError, match=r"none\.jinja does not exist"):
            PromptLibrary().load("./none.jinja", tmp_path)

    def test_a_path_into_a_folder_of_prompts_obeys_its_lock(self, tmp_path: Path) -> None:
        path = put(tmp_path, "trial@1")
        lock(tmp_path)
        prompt = PromptLibrary().load("trial/v1.jinja", tmp_path)
        assert (prompt.ref, prompt.locked) == ("trial@1", True)
        path.write_text(HEAD + BODY + "\n", encoding="utf-8")
        with pytest.raises(PromptError, match="changed after its release"):
            PromptLibrary().load("trial/v1.jinja", tmp_path)


class TestShadowing:
    """A name@version stands for one content."""

    def test_the_same_bytes_under_a_bundled_name_are_fine(self, tmp_path: Path) -> None:
        for prompt in BUNDLED:
            put(tmp_path, prompt.ref, prompt.source)
        assert [p.sha256 for p in PromptLibrary(tmp_path).list()] == [p.sha256 for p in BUNDLED]
        assert check(tmp_path) == []

    def test_other_bytes_under_a_bundled_name_are_an_error(self, tmp_path: Path) -> None:
        path = put(tmp_path, "short@1")
        said = r"there is already a different short@1, .* selectllm prompts new short --from "
        with pytest.raises(PromptError, match=said):
            PromptLibrary(tmp_path).load("short@1")
        with pytest.raises(PromptError, match=said):
            PromptLibrary(tmp_path).list()
        with pytest.raises(PromptError, match=said):
            PromptLibrary().load(str(path))
        assert re.search(said, check(tmp_path)[0])

    def test_a_later_version_of_a_bundled_name_is_fine(self, tmp_path: Path) -> None:
        put(tmp_path, "short@2")
        assert PromptLibrary(tmp_path).load("short@latest").ref == "short@2"


class TestLock:
    """A released version never changes."""

    def test_it_records_every_version_once(self, tmp_path: Path) -> None:
        put(tmp_path, "trial@2")
        put(tmp_path, "trial@10")
        assert lock(tmp_path) == ("trial@2", "trial@10")
        before = (tmp_path / "LOCK.yaml").read_bytes()
        assert lock(tmp_path) == ()
        assert (tmp_path / "LOCK.yaml").read_bytes() == before
        assert all(PromptLibrary(tmp_path).load(f"trial@{n}").locked for n in (2, 10))

    def test_a_released_version_that_changed_is_an_error_everywhere(self, tmp_path: Path) -> None:
        path = put(tmp_path, "trial@1")
        lock(tmp_path)
        path.write_bytes(path.read_bytes() + b"\n")
        said = r"trial@1 was changed after its release \(LOCK\.yaml\)\. An edit needs a new version"
        with pytest.raises(PromptError, match=said):
            PromptLibrary(tmp_path).load("trial@1")
        with pytest.raises(PromptError, match=said):
            lock(tmp_path)
        [problem] = check(tmp_path)
        assert re.search(said, problem)

    def test_changed_line_ends_are_a_change(self, tmp_path: Path) -> None:
        path = put(tmp_path, "trial@1")
        lock(tmp_path)
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        [problem] = check(tmp_path)
        assert "trial@1 was changed after its release (LOCK.yaml). Only its line ends" in problem
        assert "`prompts/** -text` into .gitattributes" in problem
        path.write_bytes(path.read_bytes() + b"more\r\n")
        assert "(LOCK.yaml). An edit needs a new version" in check(tmp_path)[0]

    def test_a_released_version_that_vanished_is_reported(self, tmp_path: Path) -> None:
        put(tmp_path, "other@1")
        put(tmp_path, "trial@1")
        lock(tmp_path)
        (tmp_path / "trial" / "v1.jinja").unlink()
        [problem] = check(tmp_path)
        assert "LOCK.yaml: trial@1 is locked, but its file is missing" in problem

    def test_a_malformed_prompt_keeps_the_lock_as_it_was(self, tmp_path: Path) -> None:
        put(tmp_path, "good@1")
        put(tmp_path, "bad@1", HEAD)
        with pytest.raises(PromptError, match="no block 'user'"):
            lock(tmp_path)
        assert not (tmp_path / "LOCK.yaml").exists()

    def test_every_problem_is_reported_at_once(self, tmp_path: Path) -> None:
        put(tmp_path, "bad@1", HEAD)
        put(tmp_path, "worse@1", "")
        for stray in ("draft.jinja", "Upper/v1.jinja", "trial/V1.jinja", "trial/v01.jinja"):
            write_text(tmp_path / stray, HEAD + BODY)
        problems = check(tmp_path)
        assert len(problems) == 6
        assert sum("Call it NAME/vN.jinja" in problem for problem in problems) == 4


def test_a_version_that_is_locked_but_gone_is_not_numbered_again(tmp_path: Path) -> None:
    assert next_number(tmp_path, "short") == 2  # after the bundled one
    (tmp_path / "LOCK.yaml").write_text(f"short@3: {'a' * 64}\n", encoding="utf-8")
    assert next_number(tmp_path, "short") == 4
