"""What a file holds that is there already, so that none of another kind is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selectllm.core.codec import load_json
from selectllm.data.readers.columnar import parquet_columns
from selectllm.data.row_writers import part_in

NOTHING = "nothing"
TEXT = "text"
UNKNOWN = "data of another kind"

REPORT = "a report"
BASELINE = "a baseline"
PACK = "recorded replies"
SELECTION = "a selection"
TRAINING = "answered items"
REJECTED = "rows left out"
LOG = "a log"
RATINGS = "a ratings file"
RESULTS = "results of training elsewhere"
UTILITY = "a utility file"
VALIDATION = "a validation"
SCORES = "scores of a student"
ANSWERS = "answers of a student"
BATCH = "questions of a batch"

OF_ROWS = (SELECTION, TRAINING)
"""What may be a folder of files, too."""

KEYS: Mapping[str, tuple[frozenset[str], ...]] = {
    LOG: (frozenset({"manifest", "manifest_sha256"}),),
    PACK: (frozenset({"key", "reply"}),),
    TRAINING: (frozenset({"_answered"}),),
    SELECTION: (frozenset({"_selectllm"}),),
    REJECTED: (frozenset({"line", "reason", "row"}),),
    BASELINE: (frozenset({"entries", "settings", "pool_sha256"}),),
    VALIDATION: (frozenset({"lds", "utility_sha256"}),),
    SCORES: (frozenset({"student", "losses", "bands"}),),
    BATCH: (frozenset({"custom_id", "method", "url", "body"}),),
    ANSWERS: (frozenset({"text", "rouge_l", "cosine"}),),
    REPORT: (
        frozenset({"suite", "pairs", "verdicts"}),
        frozenset({"suite", "for"}),
        frozenset({"suite", "sets", "overlaps"}),
        frozenset({"suite", "student", "agreement"}),
        frozenset({"suite", "metric", "agreement"}),
        frozenset({"kind", "plan", "confirmation"}),
        frozenset({"validations"}),
        frozenset({"selection", "pool_items", "filled"}),
        frozenset({"a", "b", "compared"}),
        frozenset({"kind", "measures", "costs"}),
    ),
}
"""Keys by which the first JSON object of a file shows what it is; the first kind that fits."""
ALONE = {"ratings": RATINGS, "utility": UTILITY, "results": RESULTS}
"""The same of files whose first line has a single key."""
OF_PEOPLE = {
    **dict.fromkeys((".yaml", ".yml"), "a suite or other settings"),
    **dict.fromkeys((".csv", ".tsv"), "a table"),
    ".jinja": "a prompt",
    ".py": "code",
    ".env": "keys",
}
"""What people write as text, by suffix; no report is called so."""
PARQUET = b"PAR1"  # how such a file begins
LONGEST = 50_000_000  # bytes of one JSON value that is looked into


def replaceable(file: Path, kind: str) -> str | None:
    """Why the file is not replaced by one of `kind`, as the end of a sentence; None: it can be.

    A file that is not there or is empty can be, and one of the same kind. A report, which has
    many forms, replaces any text that is no data.
    """
    found = held(file)
    if found in (NOTHING, kind) or (kind == REPORT and found == TEXT):
        return None
    return f"holds {found}, not {kind}, and is not overwritten"


def held(file: Path) -> str:
    """What the file holds: one of the words above; NOTHING also where it cannot be read.

    A folder of rows holds what its first file does, and every other folder data of another kind.
    """
    try:
        if file.is_dir():
            parts = sorted(file.iterdir())
            ours = [part_in(file, number) for number in range(len(parts))]
            return NOTHING if not parts else held(parts[0]) if parts == ours else UNKNOWN
        with file.open("rb") as handle:
            if handle.read(len(PARQUET)) == PARQUET:
                return _kind(dict.fromkeys(parquet_columns(file)))
            handle.seek(0)
            line = handle.readline(LONGEST)
            more = b"" if _object(line) else handle.read(LONGEST)
    except OSError:
        return NOTHING
    if not (line + more).strip():
        return NOTHING
    if content := _object(line) or _object(line + more):
        return _kind(content)
    text = (line + more).lstrip()
    if text[:1] in (b"{", b"[") or b"\0" in text:
        return UNKNOWN
    return OF_PEOPLE.get(file.suffix.lower(), OF_PEOPLE.get(file.name, TEXT))


def _object(text: bytes) -> Mapping[str, Any] | None:
    try:
        content = load_json(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) and content else None


def _kind(content: Mapping[str, Any]) -> str:
    if len(content) == 1 and (kind := ALONE.get(next(iter(content)))):
        return kind
    fits = (kind for kind, forms in KEYS.items() if any(form <= content.keys() for form in forms))
    return next(fits, UNKNOWN)
