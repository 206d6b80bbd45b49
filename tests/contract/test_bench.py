"""`make bench` goes on past what fails or is missing, and what it writes says so."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

RUN = Path(__file__).parents[2] / "eval" / "benchmarks" / "run.py"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """run.py with two sections of its own: one that fails, and one whose file is not there."""
    spec = importlib.util.spec_from_file_location("bench_run", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec.loader.exec_module(module)
    (tmp_path / "broken.py").write_text("import sys\nprint('half of it')\nsys.exit('no disk')\n")
    sections = {"broken": module.Section("broken.py"), "gone": module.Section("gone.py")}
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "SECTIONS", sections)
    return module


def test_what_is_written_says_why_a_section_failed_and_which_was_left_out(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, page = tmp_path / "out.json", tmp_path / "out.md"
    monkeypatch.setattr(sys, "argv", ["run.py", "-o", str(data), "-o", str(page)])
    with pytest.raises(SystemExit) as ended:
        bench.main()
    assert ended.value.code == 1
    broken, gone = json.loads(data.read_text(encoding="utf-8"))["sections"]
    assert (broken["code"], broken["printed"]) == (1, "half of it\nno disk\n")
    assert (gone["code"], gone["printed"]) == (None, "left out: there is no gone.py\n")
    words = page.read_text(encoding="utf-8")
    assert "failed, or missed a target" in words
    assert "no disk" in words
    assert "left out: there is no gone.py" in words
