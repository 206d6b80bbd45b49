"""Validations: what training said of a utility, in a file that a suite names beside it.

A file is one JSON object with a hash of its own content. It
knows the values and the pool that it is of, so that no other utility can borrow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from selectllm.core.codec import load_json, pretty_json, sha256_json
from selectllm.core.errors import UtilityError
from selectllm.core.files import write_text
from selectllm.utility.schema import Validation
from selectllm.utility.utility import Utility

FORMAT = 1


def write_validation(path: Path, validation: Validation) -> None:
    """Write it to `path`, whole or not at all; the same validation gives the same bytes."""
    content = validation.to_json() | {"format": FORMAT}
    write_text(path, pretty_json(content | {"sha256": sha256_json(content)}))


def read_validation(path: Path) -> Validation:
    """What `write_validation` wrote. Raises UtilityError if it is missing, none, or edited."""
    try:
        content = load_json(path.read_bytes())
    except OSError as error:
        raise UtilityError(
            f"{path} cannot be read ({error.strerror}). Name a file that selectllm utility "
            "validate wrote"
        ) from None
    except ValueError as error:
        raise UtilityError(f"{path} is not JSON ({error}). Validate the utility again") from None
    try:
        return _from_json(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UtilityError(
            f"{path} is not a validation of format {FORMAT}, or was edited ({error}). Validate the "
            "utility again"
        ) from None


def validated(utility: Utility, path: Path, pool_sha256: str) -> Utility:
    """`utility`, a utility of the pool with that hash, with what the file at `path` says of it.

    Raises UtilityError as `read_validation` does, and if the file is of other values or another
    pool.
    """
    found = read_validation(path)
    if found.pool_sha256 != pool_sha256:
        raise UtilityError(
            f"utility {utility.name}: {path} is a validation on another pool (sha256 "
            f"{found.pool_sha256[:12]}, not {pool_sha256[:12]}). Restore the pool, or validate it "
            "again"
        )
    if found.utility_sha256 != utility.sha256:
        raise UtilityError(
            f"utility {utility.name}: {path} validates other values (of {found.utility}, sha256 "
            f"{found.utility_sha256[:12]}, not {utility.sha256[:12]}). Name the file of this "
            "utility, or validate it again"
        )
    return replace(utility, validation=found.summary)


def _from_json(content: Mapping[str, Any]) -> Validation:
    fields = dict(content)
    if fields.pop("sha256") != sha256_json(fields):
        raise ValueError("its sha256 does not fit its content")
    if fields.pop("format") != FORMAT:
        raise ValueError(f"format {content['format']}")
    return Validation.of(fields)
