"""Which folders a session uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from selectllm.core.errors import CacheError, PromptError
from selectllm.jobs.session import Session
from selectllm.jobs.workspace import find_workspace
from selectllm.prompting.library import lock
from tests.support.cli_files import put_prompt


@pytest.fixture(autouse=True)
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and a home of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("SELECTLLM_CACHE_DIR", raising=False)
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))


def workspace(folder: str, prompt: str = "mine") -> Path:
    """A folder with a released prompt."""
    put_prompt(f"{prompt}@1", workspace=folder)
    lock(Path(folder) / "prompts")
    return Path(folder).resolve()


def test_the_nearest_parent_with_a_lock_file_is_the_workspace() -> None:
    outer, inner = workspace(".", "outer"), workspace("a/b", "inner")
    put_prompt("unlocked@1", workspace="a/b/c")  # prompts without LOCK.yaml make no workspace
    places = [(".", outer, "outer"), ("a", outer, "outer")]
    places += [("a/b", inner, "inner"), ("a/b/c", inner, "inner")]
    for folder, root, name in places:
        session = Session(folder)
        assert session.workspace.root == root
        names = {prompt.name for prompt in session.library.list()}
        assert names & {"outer", "inner", "unlocked"} == {name}


def test_the_cache_is_the_arguments_then_the_variables_then_the_workspaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = workspace(".")
    assert Session().workspace.cache == root / "cache"
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", "of-the-variable")
    assert Session().workspace.cache == Path("of-the-variable")
    assert Session(cache=Path("of-the-argument")).workspace.cache == Path("of-the-argument")
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", "")
    assert Session().workspace.cache == root / "cache"


def test_outside_a_workspace_the_cache_is_the_users(tmp_path: Path) -> None:
    found = find_workspace(Path.cwd())
    assert found.cache.is_relative_to(tmp_path / "home")
    assert (found.root, found.prompts) == (Path.cwd(), None)
    assert found.runs == Path.cwd() / "eval" / "runs"


def test_a_folder_of_prompts_replaces_the_workspaces() -> None:
    workspace(".")
    put_prompt("theirs@1", workspace="other")
    session = Session(prompts=Path("other/prompts"))
    assert session.library.load("theirs@1").name == "theirs"
    with pytest.raises(PromptError, match="no prompt 'mine@1'"):
        session.library.load("mine@1")


def test_a_session_touches_no_cache_folder_before_it_is_used() -> None:
    Path("taken").touch()
    with Session(cache=Path("fine")) as session:
        assert not Path("fine").exists()
        assert session.cache is session.cache
        assert Path("fine/replies").is_dir()
    with Session(cache=Path("taken/cache")) as session, pytest.raises(CacheError) as caught:
        assert session.cache
    assert "the reply cache cannot be used, because Not a directory" in str(caught.value)
    assert caught.value.argument == "cache"
