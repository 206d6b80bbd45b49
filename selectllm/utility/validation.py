"""Validations: what training said of a utility, in a file that a suite names beside it.

A file is one JSON object (schema: schemas/validation.json) with a hash of its own content. It
knows the values and the pool that it is of, so that no other utility can borrow it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from selectllm.core.codec import pretty_json, sha256_json
from selectllm.core.errors import UtilityError
from selectllm.core.files import write_text
from selectllm.utility.schema import Standing, ValidationSummary
from selectllm.utility.utility import Utility

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's, -1 to 1, with its two-sided `p` and interval of 95 %; None where undefined."""

    value: float | None = None
    p: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """How far the sums of a utility over random subsets foretold what training on them gained.

    `utility`: its name; `utility_sha256`: of its values. `student`: what was trained. `size`:
    items of a subset; `subsets`: how many. `gain`: per_token or per_item; `tests_sha256`: of the
    test items that it is a mean over.

    `lds`: the linear datamodelling score, Spearman's correlation of sums and gains; `p_above`:
    its one-sided p-value. `partial`: the same given the tokens that were learned; `tokens`: of
    these tokens alone with the gains. `reliability`: of the gains, 0 to 1, None if unknown.

    `status`: validated if `lds` is above 0 with `p_above` at most .05. `notes`: why it is not, and
    what else to know.
    """

    utility: str
    utility_sha256: str
    pool_sha256: str
    student: str
    size: int
    subsets: int
    status: Standing
    lds: Correlation = Correlation()
    p_above: float | None = None
    partial: Correlation = Correlation()
    tokens: Correlation = Correlation()
    reliability: float | None = None
    gain: str | None = None
    tests_sha256: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> ValidationSummary:
        """What is printed beside every agreement with the utility."""
        return ValidationSummary(self.status, self.lds.value, self.p_above, self.subsets)

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        return asdict(self) | {"notes": list(self.notes)}


def write_validation(path: Path, validation: Validation) -> None:
    """Write it to `path`, whole or not at all; the same validation gives the same bytes."""
    content = validation.to_json() | {"format": FORMAT}
    write_text(path, pretty_json(content | {"sha256": sha256_json(content)}))


def read_validation(path: Path) -> Validation:
    """What `write_validation` wrote. Raises UtilityError if it is missing, none, or edited."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UtilityError(
            f"{path}: cannot be read ({error.strerror}); name a file that selectllm utility "
            "validate wrote"
        ) from None
    except ValueError as error:
        raise UtilityError(f"{path}: is no JSON ({error}); validate the utility again") from None
    try:
        return _from_json(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UtilityError(
            f"{path}: is no validation of format {FORMAT}, or was edited ({error}); validate the "
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
            f"{found.pool_sha256[:12]}, not {pool_sha256[:12]}); restore the pool, or validate "
            "it again"
        )
    if found.utility_sha256 != utility.sha256:
        raise UtilityError(
            f"utility {utility.name}: {path} validates other values (of {found.utility}, sha256 "
            f"{found.utility_sha256[:12]}, not {utility.sha256[:12]}); name the file of this "
            "utility, or validate it again"
        )
    return replace(utility, validation=found.summary)


def _from_json(content: Mapping[str, Any]) -> Validation:
    fields = dict(content)
    if fields.pop("sha256") != sha256_json(fields):
        raise ValueError("its sha256 does not fit its content")
    if fields.pop("format") != FORMAT:
        raise ValueError(f"format {content['format']}")
    if fields["status"] not in get_args(Standing):
        raise ValueError(f"status {fields['status']!r}")
    scores = {name: Correlation(**fields[name]) for name in ("lds", "partial", "tokens")}
    return Validation(**fields | scores | {"notes": tuple(fields["notes"])})
