"""What users install: the wheel carries prompts, schemas, the quickstart and the type marker."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow  # builds the wheel, and an environment to install it in


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the sdist, as for a release: what the sdist forgets is missing here."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_our_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "selectllm",
        next(name for name in names if name.endswith("METADATA")).split("/")[0],
    }
    for part in (
        "py.typed",
        "report/schemas/results.json",
        "report/html/assets/page.html.jinja",
        "report/html/assets/explorer.js",
        "report/html/assets/vega.js",
        "report/html/assets/VEGA-LICENSES.txt",
        "starter_data/quickstart.jsonl",
        "skills/selectllm/SKILL.md",
    ):
        assert f"selectllm/{part}" in names
    for suite in ("quickstart", "simulated", "simulated-after"):
        assert f"selectllm/starter_suites/{suite}.yaml" in names


def test_installed_elsewhere_the_prompts_are_those_of_the_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    zipfile.ZipFile(wheel).extractall(site)
    # Its dependencies are this environment's; the package itself is only the wheel's.
    code = (
        f"import sys; sys.path += {[p for p in sys.path if p.endswith('site-packages')]!r}\n"
        "import selectllm; assert selectllm.__file__.startswith(sys.prefix), selectllm.__file__\n"
        "from selectllm.cli import main; main(['prompts', 'list', '--json'])"
    )
    listed = subprocess.run(
        [python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = {f"{p['name']}/v{p['version']}.jinja": p["sha256"] for p in json.loads(listed.stdout)}
    ours = {
        str(path.relative_to(ROOT / "prompts")): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (ROOT / "prompts").glob("*/*.jinja")
    }
    assert found == ours
