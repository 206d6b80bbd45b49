"""Prompts that cannot be used, and where the command line looks for prompts, cache and runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_files import ASKING, MOCK, assert_refused, files, served, write_suite
from tests.conftest import Command, Outcome, pool_rows, read_jsonl, write_jsonl
from tests.provider_server import ProviderServer

HEAD = "---\ndescription: d\nreply: indices\nlabels: numbers\n---\n"
LETTERS = HEAD.replace("numbers", "letters")
BODY = (
    "{% block user %}Pick {{ k }} of {{ m }}.\n"
    "{% for item in items %}[{{ item.label }}] {{ item.instruction }}\n{% endfor %}{% endblock %}\n"
)
FAILS_LATE = BODY.replace("item.instruction", "item.topic")


def put(ref: str, text: str = HEAD + BODY, *, workspace: str = ".") -> Path:
    """Write `name@version` into the folder's prompts."""
    name, _, version = ref.partition("@")
    path = Path(workspace) / "prompts" / name / f"v{version}.jinja"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


@pytest.fixture
def workspace(selectllm: Command, pool_file: Path) -> Path:
    """The current folder as a workspace with a released prompt `mine@1`, and a pool."""
    path = put("mine@1")
    assert selectllm("prompts", "lock", "--prompts", "prompts").code == 0
    return path


def select(selectllm: Command, prompt: str, *more: object) -> Outcome:
    model = ("--by", "random", "--model", "mock/first")
    return selectllm("select", "pool.jsonl", "--budget", 4, "--prompt", prompt, *model, *more)


def evaluate(selectllm: Command, prompt: str, *more: object) -> Outcome:
    suite = write_suite(f"short@1 -> '{prompt}'", path="eval/suites/s.yaml")
    text = suite.read_text(encoding="utf-8").replace("pool.jsonl", "../../pool.jsonl")
    suite.write_text(text, encoding="utf-8")
    return selectllm("eval", suite, "-o", "run", *more)


def assert_both_refuse(selectllm: Command, prompt: str, *words: str) -> None:
    """`select` and `eval` say the same and write nothing."""
    for verb in (select, evaluate):
        assert_refused(verb(selectllm, prompt), *words)
    assert sorted(Path().glob("*.jsonl")) == [Path("pool.jsonl")]
    assert not Path("run").exists()


class TestTheLock:
    """A released version is what it was."""

    def test_changed_bytes_are_refused(self, selectllm: Command, workspace: Path) -> None:
        assert select(selectllm, "mine@1", "--dry-run").code == 0
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
        assert select(selectllm, "mine@2").code == 0

    def test_a_damaged_lock_file_is_refused(self, selectllm: Command, workspace: Path) -> None:
        Path("prompts/LOCK.yaml").write_text("mine@1: [", encoding="utf-8")
        assert_both_refuse(selectllm, "mine@1", "LOCK.yaml: not YAML", "restore it")
        Path("prompts/LOCK.yaml").write_text("- mine@1\n", encoding="utf-8")
        assert_both_refuse(selectllm, "mine@1", "LOCK.yaml: must map name@version to sha256")

    def test_shadowing_a_bundled_version_is_refused(
        self, selectllm: Command, workspace: Path
    ) -> None:
        put("short@1")
        words = ("short@1 already stands for", "whose bytes differ", "prompts new short --from")
        assert_both_refuse(selectllm, "short@1", *words)
        checked = selectllm("prompts", "check")
        assert (checked.code, words[0] in checked.out) == (1, True)

    def test_the_same_bytes_shadow_nothing(self, selectllm: Command, workspace: Path) -> None:
        put("short@1", json.loads(selectllm("prompts", "show", "short@1", "--json").out)["source"])
        assert select(selectllm, "short@1").code == 0


class TestAReference:
    """`name@3`, `name@latest`, or a path."""

    @pytest.mark.parametrize(
        ("prompt", "words"),
        [
            ("mine@7", ("no prompt 'mine@7'; did you mean 'mine@1'?", "There are:")),
            ("mien@1", ("no prompt 'mien@1'; did you mean 'mine@1'?",)),
            ("mine", ("'mine' names no version; write mine@latest or mine@1",)),
            ("mine@", ("'mine@' names no version; write mine@latest or mine@1",)),
            ("nothing@latest", ("no prompt 'nothing@latest'",)),
            ("./none.jinja", ("none.jinja: no such prompt file",)),
            ("none.jinja", ("none.jinja: no such prompt file",)),
            ("./prompts", ("prompts: no such prompt file",)),
        ],
    )
    def test_to_nothing_is_refused(
        self, selectllm: Command, workspace: Path, prompt: str, words: tuple[str, ...]
    ) -> None:
        assert_both_refuse(selectllm, prompt, *words)

    def test_by_path_is_relative_to_the_suite_or_the_current_folder(
        self, selectllm: Command, workspace: Path
    ) -> None:
        for place, verb in (("draft.jinja", select), ("eval/suites/draft.jinja", evaluate)):
            assert_refused(verb(selectllm, "./draft.jinja"), "draft.jinja: no such prompt file")
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
        outcome = evaluate(selectllm, "./a/draft.jinja', './b/draft.jinja")
        assert_refused(outcome, "two of them are draft@draft", "name one of them differently")
        assert not Path("run").exists()


class TestATemplate:
    """What is wrong in a prompt file is told with its line, before anything is asked or written."""

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (HEAD + BODY.replace("{{ k }}", "{{ n }}"), (":6: 'n' is undefined", "k and m")),
            (HEAD + BODY.replace("{{ k }}", "{{ k"), (":6:",)),
            (HEAD, ("no block 'user'",)),
            (HEAD + BODY.replace("user", "usr"), (":6: no block 'usr'; did you mean 'user'?",)),
            (BODY, (":1: no front matter",)),
            (HEAD.replace("indices", "indexes") + BODY, ("did you mean 'indices'",)),
            (HEAD.replace("numbers", "roman") + BODY, ("no labels kind 'roman'", "letters")),
            (HEAD.replace("reply", "replies") + BODY, ("did you mean 'reply'",)),
            (HEAD.replace("description: d\n", "") + BODY, ("front matter has no description",)),
            (HEAD.replace(": d", ": [") + BODY, ("front matter is not YAML",)),
            (HEAD + "{% include 'x' %}" + BODY, (":6: include is not allowed",)),
        ],
    )
    def test_that_cannot_be_loaded_is_refused(
        self, selectllm: Command, workspace: Path, text: str, words: tuple[str, ...]
    ) -> None:
        put("mine@2", text)
        assert_both_refuse(selectllm, "mine@2", "mine/v2.jinja", *words)

    def test_that_is_not_utf8_is_refused(self, selectllm: Command, workspace: Path) -> None:
        put("mine@2").write_bytes((HEAD + BODY).encode() + b"caf\xe9")
        assert_both_refuse(selectllm, "mine@2", "mine/v2.jinja:10: not UTF-8")

    def test_that_fails_only_when_it_runs_is_refused_by_eval(
        self, selectllm: Command, workspace: Path
    ) -> None:
        put("mine@2", HEAD + FAILS_LATE)
        outcome = evaluate(selectllm, "mine@2")
        assert_refused(outcome, "mine/v2.jinja:7: ", "no attribute 'topic'", "label, instruction")
        assert not Path("run").exists()

    def test_that_fails_only_when_it_runs_is_refused_by_select(
        self, selectllm: Command, workspace: Path
    ) -> None:
        put("mine@2", HEAD + FAILS_LATE)
        before = files()
        assert_refused(select(selectllm, "mine@2"), "mine/v2.jinja:7: ", "no attribute 'topic'")
        assert files() == before

    def test_letters_end_at_26_in_eval(self, selectllm: Command, workspace: Path) -> None:
        put("mine@2", LETTERS + BODY)
        write_suite("short@1 -> mine@2", "size: 5 -> size: 27")
        outcome = selectllm("eval", "suite.yaml", "-o", "run")
        # 40 items in clusters of at most 27 are two clusters of 20.
        assert outcome.code == 0, outcome.err
        write_jsonl(Path("pool.jsonl"), pool_rows(54))
        outcome = selectllm("eval", "suite.yaml", "-o", "other")
        assert_refused(outcome, "mine@2: letters label at most 26 candidates, not 27; show fewer")
        assert not Path("other").exists()

    def test_letters_end_at_26_in_select(self, selectllm: Command, workspace: Path) -> None:
        put("mine@2", LETTERS + BODY)
        before = files()
        outcome = select(selectllm, "mine@2", "--cluster-size", 40)
        assert_refused(outcome, "mine@2: letters label at most 26 candidates, not 40; show fewer")
        assert files() == before
        assert select(selectllm, "mine@2", "--cluster-size", 26).code == 0

    def test_more_picks_than_candidates_are_refused(
        self, selectllm: Command, workspace: Path
    ) -> None:
        rendered = selectllm("prompts", "render", "mine@1", "pool.jsonl", "--size", 3, "--k", 4)
        assert_refused(rendered, "mine@1: cannot pick 4 of 3 candidates; k must be 1 to m")


# --- the workspace


def names(outcome: Outcome) -> set[str]:
    return {row["name"] for row in outcome.json}


def test_the_nearest_parent_with_a_lock_file_is_the_workspace(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, name in ((".", "outer"), ("a/b", "inner")):
        put(f"{name}@1", workspace=folder)
        assert selectllm("prompts", "lock", "--prompts", f"{folder}/prompts").code == 0
    put("unlocked@1", workspace="a/b/c")  # prompts without LOCK.yaml make no workspace
    for folder, found in ((".", "outer"), ("a", "outer"), ("a/b", "inner"), ("a/b/c", "inner")):
        with monkeypatch.context() as inside:
            inside.chdir(folder)
            listed = names(selectllm("prompts", "list", "--json"))
        assert listed & {"outer", "inner", "unlocked"} == {found}


def test_eval_looks_around_the_suite_and_select_around_the_current_folder(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch, server: ProviderServer
) -> None:
    monkeypatch.delenv("SELECTLLM_CACHE_DIR")
    for folder in ("of-suite", "current"):
        put(f"{folder}@1", workspace=folder)
        assert selectllm("prompts", "lock", "--prompts", f"{folder}/prompts").code == 0
    pool = write_jsonl(Path("of-suite/eval/pool.jsonl"), pool_rows(10)).resolve()
    suite = write_suite(
        "short@1 -> of-suite@1", served(server), path="of-suite/eval/suite.yaml"
    ).resolve()
    monkeypatch.chdir("current")
    assert selectllm("eval", suite).code == 0
    asked = ("select", pool, "--budget", 3, "--model", "openai/m", "--api-base", server.base_url)
    assert_refused(selectllm(*asked, "--prompt", "of-suite@1"), "no prompt 'of-suite@1'")
    assert selectllm(*asked, "--prompt", "current@1", "--by", "random").code == 0
    assert Path("cache/replies/cache.db").exists()
    assert not Path("eval").exists()
    assert len(list(Path("../of-suite/eval/runs").iterdir())) == 1
    assert Path("../of-suite/cache/replies/cache.db").exists()


def test_outside_a_workspace_the_cache_is_the_users(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pool_file: Path
) -> None:
    monkeypatch.delenv("SELECTLLM_CACHE_DIR")
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    assert selectllm("select", pool_file, "--budget", 2, *MOCK).code == 0
    folder = Path(selectllm("cache", "stats", "--json").json["folder"])
    assert folder.is_relative_to(tmp_path / "home")
    assert folder.is_dir()
    assert not Path("cache").exists()


def test_the_cache_is_the_options_then_the_variables_then_the_workspaces(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch, workspace: Path
) -> None:
    def used(*option: str) -> str:
        asked = ("select", "pool.jsonl", "--budget", 2, *ASKING, "--model", "mock/first")
        assert selectllm(*asked, *option).code == 0
        stats = selectllm("cache", "stats", "--json", *option).json
        return Path(stats["folder"]).resolve().parent.name

    monkeypatch.setenv("SELECTLLM_CACHE_DIR", "of-the-variable")
    assert used("--cache", "of-the-option") == "of-the-option"
    assert not Path("of-the-variable").exists()
    assert used() == "of-the-variable"
    assert not Path("cache").exists()
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", "")
    assert used() == "cache"


def test_the_folder_of_prompts_named_by_option_replaces_the_workspaces(
    selectllm: Command, workspace: Path
) -> None:
    put("theirs@1", workspace="other")
    theirs = ("--prompts", "other/prompts")
    assert select(selectllm, "theirs@1", *theirs).code == 0
    assert evaluate(selectllm, "theirs@1", *theirs).code == 0
    assert_refused(select(selectllm, "mine@1", *theirs), "no prompt 'mine@1'")
    assert_refused(evaluate(selectllm, "mine@1", *theirs), "no prompt 'mine@1'")


def test_a_folder_of_prompts_that_is_not_there_is_refused(
    selectllm: Command, pool_file: Path
) -> None:
    outcome = select(selectllm, "short@1", "--prompts", "none")
    assert_refused(outcome, "none: no such folder of prompts; `selectllm init` makes one")
    assert list(files()) == ["pool.jsonl"]
    asked = ("select", pool_file, "--budget", 2, *MOCK)
    for option in ("--prompts", "--cache"):
        outcome = selectllm(*asked, option, "pool.jsonl")
        assert (outcome.code, "is a file" in outcome.err) == (2, True)


@pytest.mark.parametrize("option", [["--cache", "taken/cache"], []])
def test_a_cache_folder_that_cannot_be_made_is_refused(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch, pool_file: Path, option: list[str]
) -> None:
    Path("taken").touch()
    monkeypatch.setenv("SELECTLLM_CACHE_DIR", "taken")
    outcome = selectllm("select", pool_file, "--budget", 2, *MOCK, *option)
    assert_refused(outcome, "the cache cannot be opened", "--cache DIR")
    assert sorted(files()) == ["pool.jsonl", "taken"]


def test_a_run_of_this_prompt_and_model_silences_the_note(
    selectllm: Command, workspace: Path
) -> None:
    asked = ("select", "pool.jsonl", "--budget", 8, *MOCK, "--cluster-size", 5, "-o")
    assert "is not known" in selectllm(*asked, "a.jsonl").err
    assert selectllm("eval", write_suite("picks: 2 -> picks: 1")).code == 0
    assert selectllm(*asked, "b.jsonl").err == ""
    assert len(read_jsonl(Path("b.jsonl"))) == 8
