"""Rated sheets read back: who gave which item which number, and what is wrong with a sheet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selectllm.core.errors import UtilityError
from selectllm.core.names import listed
from selectllm.core.shown import shortened
from selectllm.utility.annotation import label_studio
from selectllm.utility.annotation.argilla import exported
from selectllm.utility.annotation.asked import Asking, ask_path, read_asking, sheet_asking
from selectllm.utility.annotation.scale import is_blank, item_id, on_scale
from selectllm.utility.annotation.sheet_files import TABLES, read_csv, read_objects, rearmed
from selectllm.utility.annotation.sheets import ASK_MARK, HOW_TO_FILL, SHEET_MARK

NEEDED = ("id", "rating")  # the columns without which a CSV file is no sheet

_RATERS_SUFFIX = re.compile(r"-\d+$")


@dataclass(frozen=True, slots=True)
class Rating:
    """One cell that a rater filled in. `place`: file and line, for messages."""

    place: str
    rater: str
    item: str
    value: Any

    @property
    def where(self) -> str:
        """What messages about the cell begin with."""
        return f"{self.place}: item {self.item!r}: rating"


def read_sheets(
    paths: Sequence[Path], asking: Asking, *, partial: bool = False
) -> dict[str, dict[str, float]]:
    """The ratings on all sheets together: item -> rater -> value, both sorted.

    Sheets are `.csv`, `.tsv` and `.xlsx` as a spreadsheet saves them (columns in any order, more of
    them, divided by commas, semicolons or tabs), `.jsonl`, what Argilla exports (a folder, or its
    records.json), and what Label Studio does (JSON, JSON-MIN, CSV). A rater who gave no name is
    called like the sheet (its stem); a blank rating is none. Items that nobody rated are an error,
    with `partial` they are left out.

    Raises UtilityError, naming file, line, item and value: a sheet that cannot be read, ids that
    were not asked about, ratings that are no number or out of range, an item that a rater rated
    twice, items (or, with `partial`, all items) that have no rating.
    """
    found = [rating for path in paths for rating in _ratings(path)]
    _check_known(found, asking)
    values: dict[str, dict[str, float]] = {}
    places: dict[tuple[str, str], str] = {}
    for rating in found:
        value = on_scale(rating.value, asking.range, rating.where)
        key = rating.item, rating.rater
        if key in places:
            raise UtilityError(
                f"{rating.where} ({value:g}) is a second rating by {rating.rater!r}; the first "
                f"is at {places[key]}. Keep one of them, or write different names into the "
                "column rater"
            )
        places[key] = rating.place
        values.setdefault(rating.item, {})[rating.rater] = value
    _check_complete(paths, values, asking, partial)
    return {item: dict(sorted(values[item].items())) for item in sorted(values)}


def find_asking(sheet: Path, given: Path | None = None) -> Asking:
    """What the raters of `sheet` were asked.

    From `given` if it is; else from the sheet itself, if a report saved it; else from the
    `.ask.json` in the sheet's folder that the sheet names above its rows, or that has the sheet's
    name (with or without the rater's number behind).

    Raises UtilityError if there is none, or it cannot be used, or the sheet cannot be read.
    """
    if given is not None:
        return read_asking(given)
    if (own_asking := _own_asking(sheet)) is not None:
        return own_asking
    named = _named_asking(sheet)
    folder = sheet.parent if sheet.parent.suffix.lower() == ".argilla" else sheet
    own = ask_path(folder)
    shared = own.with_name(_RATERS_SUFFIX.sub("", folder.stem) + ".ask.json")
    candidates = [sheet.with_name(Path(named).name)] if named else []
    for candidate in (*candidates, own, shared):
        if candidate.is_file():
            return read_asking(candidate)
    raise UtilityError(
        f"{sheet}: the file {(candidates or [shared])[0].name}, which says what was "
        "asked, is not beside it. Name the .ask.json that was written with the sheet: "
        "`asked` FILE",
        argument="asked",
    )


def _ratings(path: Path) -> Iterator[Rating]:
    """The filled-in cells of one sheet, in its order."""
    suffix = path.suffix.lower()
    if not path.exists():
        raise UtilityError(f"{path} does not exist. Check the path")
    if suffix == ".json" and path.is_file() and _of_label_studio(path):
        yield from _in_label_studio(path)
    elif path.is_dir() or suffix in (".json", ".argilla"):
        for place, rater, item, value in exported(path):
            yield Rating(place, rater, item, value)
    elif suffix in TABLES:
        yield from _in_table(path)
    elif suffix == ".jsonl":
        for place, row in read_objects(path):
            if "rubric" not in row or "id" in row:
                yield from _filled(path, place, row)
    else:
        raise UtilityError(
            f"{path}: a sheet cannot be read from suffix {suffix!r}. Save it as .csv (CSV UTF-8) "
            "or .xlsx, or name a .jsonl file or an export of Argilla or "
            "Label Studio"
        )


def _in_table(path: Path) -> Iterator[Rating]:
    for line, cells in read_csv(path, NEEDED).rows:
        place = f"{path}:{line}"
        if label_studio.is_record(cells):
            yield from _rated(place, *label_studio.record_response(place, cells, "rating"))
        else:
            yield from _filled(path, place, {**cells, "id": rearmed(cells.get("id", ""))})


def _of_label_studio(path: Path) -> bool:
    _, first = next(read_objects(path), ("", {}))
    return label_studio.is_task(first) or label_studio.is_record(first)


def _in_label_studio(path: Path) -> Iterator[Rating]:
    for place, row in read_objects(path):
        if label_studio.is_task(row):
            for response in label_studio.task_responses(place, row, "rating"):
                yield from _rated(place, *response)
        else:
            yield from _rated(place, *label_studio.record_response(place, row, "rating"))


def _rated(place: str, rater: str, item: str, value: Any) -> Iterator[Rating]:
    if not is_blank(value):
        yield Rating(place, rater, item, value)


def _filled(path: Path, place: str, row: Mapping[str, Any]) -> Iterator[Rating]:
    """The rating in a row, if there is one."""
    value = row.get("rating")
    if is_blank(value):
        return
    item = item_id(row.get("id"))
    if item is None:
        raise UtilityError(f"{place}: rating {shortened(value)} has no id. Restore the id")
    rater = row.get("rater")
    yield Rating(place, path.stem if is_blank(rater) else str(rater).strip(), item, value)


def _own_asking(sheet: Path) -> Asking | None:
    """The asking that a table carries in its comments."""
    if sheet.is_dir() or sheet.suffix.lower() not in TABLES:
        return None
    read = read_csv(sheet, NEEDED)
    lines = [line.removeprefix("#").strip() for line in read.comments]
    marked = [at for at, line in enumerate(lines) if line.startswith(SHEET_MARK)]
    if not marked:
        return None
    rubric = "\n".join(line for line in lines[: marked[-1]] if line != HOW_TO_FILL)
    ids = (rearmed(cells.get("id", "")) for _, cells in read.rows)
    text = lines[marked[-1]].removeprefix(SHEET_MARK)
    return sheet_asking(str(sheet), text, (each for each in ids if each), rubric)


def _named_asking(sheet: Path) -> str | None:
    """The file that a sheet names as its asking."""
    suffix = sheet.suffix.lower()
    if suffix in TABLES:
        marks = [each.lstrip("# ") for each in read_csv(sheet, NEEDED).comments]
        names = [mark.removeprefix(ASK_MARK) for mark in marks if mark.startswith(ASK_MARK)]
        return names[-1].strip() if names else None
    if suffix == ".jsonl":
        _, first = next(read_objects(sheet), ("", {}))
        name = first.get("ask")
        return name if isinstance(name, str) else None
    if suffix == ".json" and sheet.is_file():
        _, first = next(read_objects(sheet), ("", {}))
        data = first.get("data", first)
        name = data.get("ask") if isinstance(data, dict) else None
        return name if isinstance(name, str) else None
    return None


def _check_known(found: Sequence[Rating], asking: Asking) -> None:
    """Every rated item was asked about."""
    asked = set(asking.ids)
    strange = [rating for rating in found if rating.item not in asked]
    if strange:
        names = list(dict.fromkeys(rating.item for rating in strange))
        raise UtilityError(
            f"{strange[0].place}: {len(names)} rated items were not asked about: "
            f"{listed(names)}. A spreadsheet may have changed their ids (leading zeros, "
            "dates). Restore the ids, or name the .ask.json of this sheet with `asked`"
        )


def _check_complete(
    paths: Sequence[Path], values: Mapping[str, object], asking: Asking, partial: bool
) -> None:
    """Every item has a rating; or, if `partial`, one of them has."""
    missing = [item for item in asking.ids if item not in values]
    if missing and not (partial and values):
        sheets = ", ".join(str(path) for path in paths[:3]) + ", ..." * (len(paths) > 3)
        fix = "" if not values else ", or import without them (`partial`)"
        raise UtilityError(
            f"{sheets}: {len(missing)} of {len(asking.ids)} items have no rating: "
            f"{listed(missing)}. Rate them{fix}"
        )
