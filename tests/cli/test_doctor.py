"""`selectllm doctor`: what is here, whether it is whole, and nothing that is secret."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from selectllm.jobs import diagnosis
from selectllm.jobs.diagnosis import import_problems
from selectllm.models.providers.providers import PROVIDERS
from tests.conftest import Command
from tests.support.cli_files import KEY


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything can be imported, which need not take its seconds; no keys; no network."""
    monkeypatch.setattr(diagnosis, "import_problems", dict.fromkeys)
    for known in PROVIDERS.values():
        for name in known.key_variables:
            monkeypatch.delenv(name, raising=False)

    def refuse(*words: object) -> None:
        raise AssertionError("something was sent")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def told(selectllm: Command, *words: str, code: int = 0) -> Any:
    done = selectllm("doctor", "--json", *words)
    assert done.code == code, done.err
    return done.json


def test_it_tells_what_is_installed_and_where_things_are(selectllm: Command) -> None:
    found = told(selectllm)
    assert found["versions"]["selectllm"]
    assert found["problems"] == []
    assert found["replies"] == 0
    assert Path(found["cache"]) == Path("cache/replies").resolve()
    names = [part["name"] for part in found["extras"]]
    assert names == ["base", "embed", "hf", "local", "optimize", "ray", "student"]
    assert [part["name"] for part in found["models"]] == [
        "all-MiniLM-L6-v2",
        "local/smollm2-135m",
    ]
    text = selectllm("doctor").out
    assert all(name in text for name in names)
    assert "Nothing is broken" in text
    assert not Path("cache").exists()


def test_keys_are_named_and_never_shown(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "")
    Path("keys.env").write_text(f"MISTRAL_API_KEY={KEY}\n", encoding="utf-8")
    monkeypatch.setenv("MISTRAL_API_KEY", "")  # for its removal after the test
    monkeypatch.delenv("MISTRAL_API_KEY")
    for words in (["--json"], []):
        done = selectllm("doctor", "--env-file", "keys.env", *words)
        assert "OPENAI_API_KEY" in done.out
        assert "MISTRAL_API_KEY" in done.out
        assert "ANTHROPIC_API_KEY" not in done.out
        assert KEY not in done.out + done.err


def test_an_extra_that_is_missing_comes_with_its_line_and_is_no_fault(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "missing", lambda *extras: ("student",))
    part = told(selectllm)["extras"][-1]
    assert (part["state"], part["fix"]) == ("missing", 'pip install "selectllm[student]"')
    assert 'pip install "selectllm[student]"' in selectllm("doctor").out


def test_what_is_installed_and_cannot_be_imported_is_exit_1(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "missing", lambda *extras: ())
    broken = {"peft": "ImportError: no such symbol"}
    monkeypatch.setattr(
        diagnosis, "import_problems", lambda names: {name: broken.get(name) for name in names}
    )
    (problem,) = told(selectllm, code=1)["problems"]
    assert "student" in problem
    assert "no such symbol" in problem
    assert "pip install --force-reinstall peft" in problem
    assert selectllm("doctor").code == 1


def test_a_damaged_cache_is_exit_1_with_its_remedy(selectllm: Command) -> None:
    Path("cache/replies").mkdir(parents=True)
    Path("cache/replies/cache.db").write_bytes(b"no database" * 100)
    (problem,) = told(selectllm, code=1)["problems"]
    assert "selectllm cache" in problem


def test_weights_that_are_not_the_published_ones_are_exit_1(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"other")
    monkeypatch.setattr("selectllm.models.providers.weights._weight_file", lambda model: other)
    (problem,) = told(selectllm, code=1)["problems"]
    assert "local/smollm2-135m" in problem
    assert "selectllm models install smollm2-135m" in problem


def test_imports_are_tried_in_a_process_that_they_may_take_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deadly.py").write_text("print('x')\nimport os; os._exit(3)\n", encoding="utf-8")
    (tmp_path / "faulty.py").write_text("raise OSError('two\\nlines')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = import_problems(["json", "deadly", "faulty", "nowhere_at_all", "csv"])
    assert (found["json"], found["csv"]) == (None, None)
    assert "exit code 3" in (found["deadly"] or "")
    assert found["faulty"] == "OSError: two lines"
    assert "nowhere_at_all" in (found["nowhere_at_all"] or "")


def test_the_documented_line_gives_a_script_that_completes_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from selectllm.cli import script

    page = (Path(__file__).parents[2] / "docs/install.md").read_text(encoding="utf-8")
    for shell in ("bash", "zsh", "fish"):
        assert f"_SELECTLLM_COMPLETE={shell}_source selectllm" in page
        monkeypatch.setenv("_SELECTLLM_COMPLETE", f"{shell}_source")
        monkeypatch.setattr("sys.argv", ["selectllm"])
        with pytest.raises(SystemExit) as ended:
            script()
        assert ended.value.code == 0
        told = capsys.readouterr()
        assert "_SELECTLLM_COMPLETE" in told.out
        assert told.err == ""


@pytest.mark.parametrize(
    ("line", "expected"),
    [("selectllm do", "doctor"), ("selectllm cache ve", "verify"), ("selectllm evla do", "doctor")],
)
def test_a_shell_is_told_how_a_line_could_go_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    expected: str,
) -> None:
    from selectllm.cli import script

    words = line.split(" ")
    monkeypatch.setenv("_SELECTLLM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit) as ended:
        script()
    assert ended.value.code == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == (f"plain,{expected}\n", "")
