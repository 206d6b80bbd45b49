"""Which versions of packages are installed, for manifests and reports."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterable


def installed(packages: Iterable[str]) -> dict[str, str | None]:
    """The version of each package by its name; None where it is not installed."""
    return {package: _version(package) for package in packages}


@functools.cache  # what a process has loaded stays as it was, and to read it takes milliseconds
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
