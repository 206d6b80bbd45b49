"""`module:attr`: what it finds, and what is said of code that cannot be used."""

from __future__ import annotations

import hashlib
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import jinja2
import pytest

from selectllm.core.allowed import ALLOWED
from selectllm.core.errors import ModelError, UsageError
from selectllm.core.plugins import Plugin, Port, announcing, calling, find, is_reference, load

PORT: Port[int] = Port(
    what="number",
    kind="whole number",
    contract="the README",
    is_one=lambda one: isinstance(one, int),
    known={"one": 1, "two": 2},
    error=ModelError,
)


LATE = """import own_part
def both():
    from own_late import N
    return own_part.N, N
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with modules in it; what they leave in sys.modules is taken away again."""
    files = {
        "own_numbers.py": "SEVEN = 7\nTEXT = 'seven'\n",
        "own_failing.py": "x = 1\nraise ValueError('no luck')\n",
        "own_needing.py": "import no_such_library\n",
        "own_misspelt.py": "def broken(:\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    yield tmp_path
    for name in files:
        sys.modules.pop(name.removesuffix(".py"), None)


def test_a_built_in_name_goes_before_code_of_ones_own(folder: Path) -> None:
    assert find(PORT, "two") == Plugin(2, None)
    assert find(PORT, "own_numbers:SEVEN", folder).object == 7


def test_a_folder_without_the_module_does_not_get_that_of_another_folder(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert load(PORT, "own_numbers:SEVEN", folder).object == 7
    with pytest.raises(ModelError, match="own_numbers"):
        load(PORT, "own_numbers:SEVEN", tmp_path_factory.mktemp("another"))


def test_the_path_and_the_modules_of_others_are_as_they_were_afterwards(folder: Path) -> None:
    path, modules = list(sys.path), {*sys.modules}
    load(PORT, "own_numbers:SEVEN", folder)
    assert sys.path == path
    assert all(name.startswith("_selectllm_of_") for name in sys.modules.keys() - modules)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tow", "no number 'tow'. Did you mean 'two'? There are: one, two"),
        ("two:", "no number 'two:'. Did you mean 'two'?"),
        (
            "nowhere:x",
            "no number 'nowhere:x'. There are: one, two. If it is your own: No module named",
        ),
        ("own_numbers:SEVE", "has no attribute 'SEVE'). Did you mean 'SEVEN'?"),
        (
            "own_numbers:TEXT",
            "is of the type str, not whole number. See the README",
        ),
        ("own_failing:x", "cannot be used (ValueError: no luck ("),
        ("own_failing:x", "own_failing.py:2)). Correct its module"),
        ("own_needing:x", "No module named 'no_such_library'"),
        ("own_misspelt:x", "cannot be used (SyntaxError: invalid syntax (own_misspelt.py, line 1)"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(folder: Path, name: str, says: str) -> None:
    with pytest.raises(ModelError) as raised:
        find(PORT, name, folder)
    assert says in str(raised.value)


def test_a_mistake_in_code_of_ones_own_is_told_with_its_line() -> None:
    with pytest.raises(UsageError, match=r"mine failed: ZeroDivisionError: .*test_plugins.py:\d+"):
        with calling("mine"):
            1 / 0  # noqa: B018
    with pytest.raises(ModelError, match=r"^as it is$"), calling("mine"):
        raise ModelError("as it is")


def test_an_edit_makes_it_other_code(folder: Path) -> None:
    before = load(PORT, "own_numbers:SEVEN", folder)
    source = (folder / "own_numbers.py").read_bytes()
    assert before.code_sha256 == hashlib.sha256(source).hexdigest()
    (folder / "own_numbers.py").write_text("SEVEN = 8\n", encoding="utf-8")
    after = load(PORT, "own_numbers:SEVEN", folder)
    assert after.object == 8
    assert after.code_sha256 not in (None, before.code_sha256)


def test_an_edit_of_what_it_imports_of_its_folder_makes_it_other_code(tmp_path: Path) -> None:
    write(tmp_path, {"own_main.py": "from own_part import N\n", "own_part.py": "N = 1\n"})
    before = load(PORT, "own_main:N", tmp_path)
    write(tmp_path, {"own_part.py": "N = 2\n"})  # as long as before, in the same second
    after = load(PORT, "own_main:N", tmp_path)
    assert (before.object, after.object) == (1, 2)
    assert before.code_sha256 != after.code_sha256


def test_folders_that_take_turns_keep_their_own_code(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folders = [tmp_path_factory.mktemp(name) for name in "ab"]
    for number, folder in enumerate(folders):
        write(folder, {"own_main.py": "from own_part import N\n", "own_part.py": f"N = {number}\n"})
    once = [load(PORT, "own_main:N", folder) for folder in folders]
    again = [load(PORT, "own_main:N", folder) for folder in folders]
    assert [plugin.object for plugin in once] == [0, 1]
    assert once == again
    assert once[0].code_sha256 != once[1].code_sha256


def test_what_a_folder_has_goes_before_modules_of_that_name_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path_factory.mktemp("suite"), tmp_path_factory.mktemp("elsewhere")
    write(elsewhere, {"own_part.py": "N = 3\n", "own_late.py": "N = 4\n"})
    monkeypatch.syspath_prepend(elsewhere)
    for name in ("own_part", "own_late"):
        monkeypatch.setitem(sys.modules, name, importlib.import_module(name))
    write(folder, {"own_part.py": "N = 1\n", "own_late.py": "N = 2\n", "own_main.py": LATE})
    port: Port[Callable[[], int]] = Port("thing", "function", "the README")
    assert load(port, "own_main:both", folder).object() == (1, 2)


@pytest.mark.parametrize("initial", ["", "from .part import N\n"])
def test_a_package_of_a_folder_is_loaded_with_its_parts(tmp_path: Path, initial: str) -> None:
    parts = {"__init__.py": initial, "part.py": "N = 5\n", "deep/use.py": "from ..part import N\n"}
    write(tmp_path, {f"own_package/{name}": text for name, text in parts.items()})
    found = load(PORT, "own_package.deep.use:N", tmp_path)
    assert found.object == 5
    assert load(PORT, "own_package.part:N", tmp_path) == found
    with pytest.raises(ModelError, match=r"No module named 'own_package\.port'"):
        load(PORT, "own_package.port:N", tmp_path)
    write(tmp_path, {"own_package/part.py": "N = 66\n"})
    after = load(PORT, "own_package.deep.use:N", tmp_path)
    assert after.object == 66
    assert after.code_sha256 != found.code_sha256


def test_installed_code_is_known_by_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    port: Port[object] = Port("thing", "thing", "the README", is_one=lambda one: True)
    monkeypatch.setitem(sys.modules, "without_a_file", ModuleType("without_a_file"))
    assert load(port, "without_a_file:__name__").code_sha256 is None
    source = Path(jinja2.__file__).read_bytes()
    assert load(port, "jinja2:Template").code_sha256 == hashlib.sha256(source).hexdigest()


@pytest.mark.parametrize("name", ["os:system", "subprocess:getoutput", "importlib.util:find_spec"])
def test_nothing_of_python_itself_is_taken_for_code_of_ones_own(folder: Path, name: str) -> None:
    port: Port[object] = Port("thing", "thing", "the README", is_one=lambda one: True)
    module = name.partition(":")[0]
    with pytest.raises(
        UsageError, match=f"cannot be used \\('{module}' is a module of Python's own"
    ):
        load(port, name, folder)


def test_a_file_of_ones_own_may_bear_the_name_of_a_module_of_python(tmp_path: Path) -> None:
    write(tmp_path, {"token.py": "N = 7\n"})
    assert load(PORT, "token:N", tmp_path).object == 7


@pytest.mark.parametrize("name", ["a:b", "a.b:c", "_a1:B_"])
def test_the_form_is_module_colon_attribute(name: str) -> None:
    assert is_reference(name)


@pytest.mark.parametrize("name", ["a", "a:", ":b", "a:b:c", "a-b:c", "1:b", "a:b.c", "quality@1"])
def test_other_forms_are_none(name: str) -> None:
    assert not is_reference(name)


def test_who_listens_hears_of_code_that_is_used_and_where_it_lies(folder: Path) -> None:
    heard: list[tuple[str, str]] = []
    with announcing(lambda reference, place: heard.append((reference, place))):
        find(PORT, "own_numbers:SEVEN", folder)
        find(PORT, "two", folder)
    find(PORT, "own_numbers:SEVEN", folder)
    assert heard == [("own_numbers:SEVEN", str(folder.resolve() / "own_numbers.py"))]


def test_what_lies_in_the_current_folder_by_chance_is_not_installed(folder: Path) -> None:
    """As with `python -m selectllm`, which looks for modules there."""
    program = (
        "import sys; from pathlib import Path; from tests.core.test_plugins import PORT; "
        "from selectllm.core.plugins import load; print(load(PORT, 'own_numbers:SEVEN').object)"
    )
    import_path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": import_path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "own_numbers" in done.stderr
    assert "If it is your own: No module named" in done.stderr


def linked(folder: Path, outside: Path) -> None:
    """Modules of a folder that are links, or take what is one."""
    outside.mkdir()
    (outside / "strange.py").write_text("SEVEN = 7\n", encoding="utf-8")
    (outside / "package").mkdir()
    (outside / "package" / "part.py").write_text("SEVEN = 7\n", encoding="utf-8")
    (folder / "linked.py").symlink_to(outside / "strange.py")
    (folder / "parts").symlink_to(outside / "package")
    (folder / "taking.py").write_text("from linked import SEVEN\n", encoding="utf-8")
    later = "class Seven(int):\n    pass\n\n\nfrom linked import SEVEN\n"
    (folder / "later.py").write_text(later, encoding="utf-8")


@pytest.mark.parametrize("name", ["linked", "parts.part", "taking", "later"])
def test_a_link_out_of_the_workspace_runs_nothing_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder, outside = tmp_path / "workspace", tmp_path / "outside"
    folder.mkdir()
    monkeypatch.chdir(folder)
    linked(folder, outside)
    reference = f"{name}:SEVEN"
    with pytest.raises(UsageError, match="is a link that leads out of") as told:
        load(PORT, reference, folder)
    assert str(outside) in str(told.value)
    assert f"{ALLOWED}={outside}" in str(told.value)
    monkeypatch.setenv(ALLOWED, str(outside))
    assert load(PORT, reference, folder).object == 7


def test_a_link_within_the_workspace_is_a_module_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "LOCK.yaml").write_text("", encoding="utf-8")
    (tmp_path / "shared.py").write_text("SEVEN = 7\n", encoding="utf-8")
    folder = tmp_path / "eval"
    folder.mkdir()
    (folder / "own.py").symlink_to(tmp_path / "shared.py")
    monkeypatch.chdir(folder)
    assert load(PORT, "own:SEVEN", folder).object == 7
