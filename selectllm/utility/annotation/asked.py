"""What raters were asked: kept beside their sheets, so that the answers can be held against it.

It says nothing about arms or picks: whoever rates may read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selectllm.core.codec import load_json, pretty_json
from selectllm.core.errors import UsageError, UtilityError
from selectllm.core.files import write_text
from selectllm.utility.annotation.scale import Range, check_range
from selectllm.utility.schema import DrawnSample

FORMAT = 1
SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Asking:
    """What was asked of raters.

    `suite`: its name. `pool_sha256`: of the pool that the items are from. `range`: the lowest
    and highest rating allowed. `differing`: only items that exactly one arm picked were asked
    about. `raters`: how many should rate every item. `ids`: of the items, sorted and distinct.
    `rubric`: what the raters were told. `sample`: the clusters that the items are of, where these
    were drawn at random.

    Raises UtilityError on an empty range, no items, ids that are not sorted and distinct, and
    fewer raters than one.
    """

    suite: str
    pool_sha256: str
    range: Range
    differing: bool
    raters: int
    ids: tuple[str, ...]
    rubric: str
    sample: DrawnSample | None = None

    def __post_init__(self) -> None:
        check_range("asking", self.range)
        if self.raters < 1:
            raise UtilityError(f"raters must be at least 1, not {self.raters}")
        if not self.ids:
            raise UtilityError("asking: there are no items to rate")
        if sorted(set(self.ids)) != list(self.ids):
            raise UtilityError("asking: ids must be sorted and distinct")

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON has them; without a sample, as before there were any."""
        low, high = self.range
        fields = {**asdict(self), "range": [float(low), float(high)], "ids": list(self.ids)}
        del fields["sample"]
        return fields if self.sample is None else fields | {"sample": self.sample.to_json()}


def default_rubric(bounds: Range) -> str:
    """What raters are told unless the user has a rubric: what to judge, and what numbers mean."""
    low, high = bounds
    return (
        "Would a good answer to this instruction teach a language model something worth having?\n"
        "Look for: it is clear what is asked; it can be answered from what is shown; the answer "
        "would be useful to somebody; it is not trivial; answering does no harm.\n"
        f"{low:g} = not worth answering: unclear, unanswerable, trivial or harmful.\n"
        f"{(low + high) / 2:g} = worth answering if nothing better is at hand.\n"
        f"{high:g} = clearly worth the work of a careful answer.\n"
        "Rate every item for itself, not against the others, and use the whole scale.\n"
        "The order is random. Do not guess where an item comes from or who picked it."
    )


def ask_path(sheet: Path) -> Path:
    """Where the asking of the sheets written to `sheet` is kept: `NAME.ask.json` beside it."""
    return sheet.with_name(f"{sheet.stem}.ask.json")


def write_asking(path: Path, asking: Asking) -> None:
    """Write `asking` to `path`.

    Raises UsageError if another asking is there: sheets that belong to it may be out with raters.
    """
    text = pretty_json({"format": FORMAT, **asking.to_json()})
    if path.exists() and path.read_bytes() != text.encode("utf-8"):
        raise UsageError(
            f"{path} exists and belongs to other sheets, which may still be with raters. "
            "Choose another name, or remove the file"
        )
    write_text(path, text)


def read_asking(path: Path) -> Asking:
    """The asking in `path`. Raises UtilityError if there is none that can be used."""
    try:
        content = load_json(path.read_bytes())
    except OSError as error:
        raise UtilityError(
            f"{path} cannot be read ({error.strerror}). Name the .ask.json of the sheets"
        ) from None
    except ValueError as error:
        raise UtilityError(f"{path} is not JSON ({error}). Restore it from where it came") from None
    try:
        return _asking(content)
    except (UtilityError, TypeError) as error:
        raise UtilityError(
            f"{path} does not say what was asked ({error}). Name the .ask.json of the sheets"
        ) from None


def sheet_asking(where: str, text: str, ids: Iterable[str], rubric: str) -> Asking:
    """What a sheet that was saved by an HTML report says was asked: of one rater, every id in it.

    `text`: the JSON object of the rest. `where`: file, for messages. Raises UtilityError if it is
    none.
    """
    try:
        content = load_json(text)
        rest = {"format": FORMAT, "raters": 1, "ids": sorted(set(ids)), "rubric": rubric}
        return _asking({**content, **rest})
    except (UtilityError, TypeError, ValueError) as error:
        raise UtilityError(
            f"{where}: the comment that says what was asked is damaged ({error}); save the sheet "
            "from the report again"
        ) from None


def _asking(content: Any) -> Asking:
    match content:
        case {
            "format": 1,
            "suite": str(suite),
            "pool_sha256": str(pool_sha256),
            "range": [int() | float() as low, int() | float() as high],
            "differing": bool(differing),
            "raters": int(raters),
            "ids": [*ids],
            "rubric": str(rubric),
        } if SHA256.fullmatch(pool_sha256) and all(isinstance(each, str) for each in ids):
            bounds = float(low), float(high)
            sample = content.get("sample")
            return Asking(
                *(suite, pool_sha256, bounds, differing, raters, tuple(ids), rubric),
                sample=None if sample is None else _sample(sample),
            )
    raise TypeError(f"it does not have format {FORMAT} of an .ask.json file")


def _sample(content: Any) -> DrawnSample:
    try:
        return DrawnSample.exactly(content)
    except ValueError as error:
        raise TypeError(f"sample: {error}") from None
