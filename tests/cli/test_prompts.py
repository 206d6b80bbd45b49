"""`selectllm prompts`: each command as a user types it, in and out of a workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from selectllm.cli import main
from selectllm.cli.prompts import prompts
from selectllm.cli.terminal import spoken
from selectllm.core.errors import PromptError
from selectllm.core.files import write_text
from selectllm.prompting.library import PromptLibrary, check, lock

HEAD = "---\ndescription: d\nreply: indices\nlabels: numbers\n---\n"
BODY = "{% block user %}{% for item in items %}<{{ item.instruction }}>{% endfor %}{% endblock %}\n"
RELEASED = [prompt.ref for prompt in PromptLibrary().list()]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with one released prompt, `trial@1`, as the current folder."""
    put(tmp_path, "trial@1")
    lock(tmp_path / "prompts")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = tmp_path / "pool.jsonl"
    rows = [{"instruction": f"Say {word}."} for word in ("one", "two", "three", "four")]
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
    return path


def put(workspace: Path, ref: str, text: str = HEAD + BODY) -> Path:
    name, _, version = ref.partition("@")
    path = workspace / "prompts" / name / f"v{version}.jinja"
    write_text(path, text)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(prompts, [str(each) for each in arguments])


def output(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def error(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, PromptError), result.output
    assert result.stdout == ""
    return str(result.exception)


class TestList:
    """`prompts list`."""

    def test_json_holds_the_contract_s_five_keys(self, workspace: Path) -> None:
        put(workspace, "trial@2")
        rows = json.loads(output("list", "--json"))
        assert {f"{row['name']}@{row['version']}" for row in rows} == {
            *RELEASED,
            "trial@1",
            "trial@2",
        }
        assert all(set(row) == {"name", "version", "reply", "sha256", "locked"} for row in rows)
        assert [row["version"] for row in rows if not row["locked"]] == [2]

    def test_a_table_names_every_version(self, workspace: Path) -> None:
        table = output("list")
        assert all(ref in table for ref in [*RELEASED, "trial@1"])

    def test_outside_a_workspace_it_holds_the_bundled_ones(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert len(json.loads(output("list", "--json"))) == len(RELEASED)

    def test_a_folder_named_by_option_wins(self, workspace: Path, tmp_path: Path) -> None:
        put(tmp_path / "other", "mine@1")
        rows = json.loads(output("list", "--json", "--prompts", tmp_path / "other" / "prompts"))
        assert {"mine"} == {row["name"] for row in rows if f"{row['name']}@1" not in RELEASED}

    def test_markup_in_a_description_is_shown_as_it_is(self, workspace: Path) -> None:
        put(workspace, "trial@2", HEAD.replace(": d", ": '[red]x[/red]'") + BODY)
        assert "[red]x[/red]" in output("list")


class TestShowRenderDiff:
    """`prompts show`, `render`, `diff`."""

    def test_show_prints_the_file(self, workspace: Path) -> None:
        assert output("show", "trial@latest") == HEAD + BODY

    def test_show_says_what_is_unknown(self, workspace: Path) -> None:
        assert "no prompt 'tril@1'. Did you mean 'trial@1'?" in error("show", "tril@1")

    def test_render_shows_the_first_items_in_file_order(self, workspace: Path, pool: Path) -> None:
        text = output("render", "trial@1", pool, "--size", "3")
        assert text == "--- user ---\n<Say one.><Say two.><Say three.>\n"

    def test_render_gives_the_messages_as_json(self, workspace: Path, pool: Path) -> None:
        messages = json.loads(output("render", "short@1", pool, "--k", "1", "--json"))
        assert [message["role"] for message in messages] == ["system", "user"]
        assert "=== [4] ===\nSay four.\n" in messages[1]["content"]

    def test_a_seed_shuffles_the_same_items(self, workspace: Path, pool: Path) -> None:
        def shown(seed: int) -> str:
            return output("render", "trial@1", pool, "--size", "3", "--seed", str(seed))

        assert len({shown(seed) for seed in range(20)}) > 1
        assert shown(4) == shown(4)
        assert {"".join(sorted(shown(seed))) for seed in range(20)} == {"".join(sorted(shown(0)))}

    def test_more_picks_than_candidates_is_an_error(self, workspace: Path, pool: Path) -> None:
        assert "cannot pick 9 of 4" in error("render", "trial@1", pool, "--k", "9")

    def test_diff_compares_the_sources(self, workspace: Path) -> None:
        put(workspace, "trial@2", HEAD.replace(": d", ": e") + BODY)
        lines = output("diff", "trial@1", "trial@2").splitlines()
        assert lines[:2] == ["--- trial@1", "+++ trial@2"]
        assert {"-description: d", "+description: e"} <= set(lines)

    def test_diff_with_a_pool_compares_the_messages_too(self, workspace: Path, pool: Path) -> None:
        put(workspace, "trial@2", HEAD + BODY.replace("<", "(").replace(">", ")"))
        found = json.loads(output("diff", "trial@1", "trial@2", "--pool", pool, "--json"))
        assert "+(Say one.)(Say two.)(Say three.)(Say four.)\n" in found["rendered"]

    def test_equal_prompts_differ_in_nothing(self, workspace: Path, pool: Path) -> None:
        assert output("diff", "trial@1", "trial@1", "--pool", pool) == ""


class TestLockAndCheck:
    """`prompts lock`, `check`."""

    def test_lock_names_what_it_released(self, workspace: Path) -> None:
        put(workspace, "trial@2")
        assert output("lock") == "Locked trial@2.\n"
        assert output("lock") == "Every version is already locked.\n"
        assert json.loads(output("lock", "--json")) == []

    def test_controls_in_a_pool_are_shown_as_text_and_kept_in_json(self, workspace: Path) -> None:
        row = {"id": "a", "instruction": "Say \x1b]0;t\x07 \u202ehi"}
        other = {"id": "b", "instruction": "Sing."}
        write_text(workspace / "pool.jsonl", f"{json.dumps(row)}\n{json.dumps(other)}\n")
        told = output("render", "short@1", "pool.jsonl", "--k", "1")
        assert r"Say \x1b]0;t\x07 \u202ehi" in told
        messages = json.loads(output("render", "short@1", "pool.jsonl", "--k", "1", "--json"))
        assert row["instruction"] in messages[-1]["content"]

    def test_check_is_content_with_a_workspace_in_order(self, workspace: Path) -> None:
        assert output("check") == "All prompts are fine.\n"
        assert json.loads(output("check", "--json")) == []

    def test_check_exits_1_with_a_line_for_each_problem(self, workspace: Path) -> None:
        put(workspace, "trial@1", HEAD + BODY + "\n")
        put(workspace, "bad@1", HEAD)
        result = run("check")
        assert result.exit_code == 1
        first, second = result.stdout.splitlines()
        assert "no block 'user'" in first
        assert "trial@1 was changed after its release" in second
        assert json.loads(run("check", "--json").stdout) == [first, second]

    @pytest.mark.parametrize("command", ["lock", "check"])
    def test_without_a_workspace_it_says_how_to_get_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        said = spoken(error(command))
        assert "selectllm init. Or name a folder of prompts with --prompts DIR" in said

    def test_the_whole_command_line_ends_with_the_right_code(
        self, workspace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["prompts", "check"]) == 0
        put(workspace, "trial@1", HEAD + BODY + "\n")
        assert main(["prompts", "check"]) == 1
        assert main(["prompts", "show", "trial@1"]) == 2
        assert "trial@1 was changed after its release" in capsys.readouterr().err


class TestNew:
    """`prompts new`: an edit is a new version."""

    def test_it_copies_the_latest_and_names_it_as_parent(self, workspace: Path) -> None:
        put(workspace, "trial@3")
        path = workspace / "prompts" / "trial" / "v4.jinja"
        made = json.loads(output("new", "trial", "--json"))
        assert made == {"ref": "trial@4", "path": str(path)}
        assert path.read_text(encoding="utf-8").replace("parent: trial@3\n", "") == HEAD + BODY
        assert PromptLibrary(workspace / "prompts").load("trial@4").parent == "trial@3"

    def test_a_parent_is_replaced_and_line_ends_are_kept(self, workspace: Path) -> None:
        old = HEAD.replace("labels", "parent: other@7\nlabels") + BODY
        write_text(workspace / "draft", old.replace("\n", "\r\n"))
        made = Path(output("new", "trial", "--from", "draft").strip()).read_bytes().decode()
        head = HEAD.replace("numbers\n", "numbers\nparent: trial@1\n")
        assert made == (head + BODY).replace("\n", "\r\n")

    def test_a_bundled_prompt_goes_on_in_the_own_folder(self, workspace: Path) -> None:
        latest = PromptLibrary().load("short@latest")
        output("new", "short")
        made = PromptLibrary(workspace / "prompts").load("short@latest")
        assert (made.version, made.parent) == (latest.version + 1, latest.ref)

    def test_a_new_name_starts_from_the_shortest_bundled_prompt(self, workspace: Path) -> None:
        latest = PromptLibrary().load("short@latest")
        output("new", "mine")
        made = PromptLibrary(workspace / "prompts").load("mine@1")
        assert made.parent == latest.ref
        assert made.source.endswith(latest.source.partition("{% block system %}")[2])

    def test_a_new_name_from_a_file_is_that_file(self, workspace: Path) -> None:
        write_text(workspace / "draft", HEAD + BODY)
        output("new", "mine", "--from", "draft")
        assert (workspace / "prompts/mine/v1.jinja").read_text(encoding="utf-8") == HEAD + BODY

    def test_an_edited_release_is_saved_as_the_next_version_and_restored(
        self, workspace: Path
    ) -> None:
        path = put(workspace, "trial@1", HEAD.replace(": d", ": better") + BODY)
        assert f"selectllm prompts new trial --from {path}" in error("new", "trial")
        output("new", "trial", "--from", path)
        put(workspace, "trial@1")
        assert PromptLibrary(workspace / "prompts").load("trial@2").description == "better"
        assert check(workspace / "prompts") == []

    def test_the_number_of_a_vanished_release_is_not_given_again(self, workspace: Path) -> None:
        path = put(workspace, "trial@2")
        output("lock")
        path.unlink()
        assert output("new", "trial").endswith("v3.jinja\n")

    @pytest.mark.parametrize("name", ["", "Trial", "a b", "../up", "a@1", "a+b", "_a"])
    def test_an_unusable_name_is_an_error(self, workspace: Path, name: str) -> None:
        assert "must be lower-case letters, digits, - and _" in error("new", name)

    def test_a_malformed_start_writes_nothing(self, workspace: Path) -> None:
        write_text(workspace / "draft", HEAD)
        assert "draft: there is no block 'user'" in error("new", "mine", "--from", "draft")
        assert not (workspace / "prompts" / "mine").exists()

    def test_a_start_that_is_not_there_is_an_error(self, workspace: Path) -> None:
        assert "none does not exist" in error("new", "mine", "--from", "none")
