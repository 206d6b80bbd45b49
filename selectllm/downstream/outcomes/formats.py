"""Result files as other tools write them: rows, lm-evaluation-harness, AlpacaEval.

rows             .jsonl, .json (an array) or .csv: arm, metric, value, benchmark or test_id; and
                 may be budget, seed (of the selection), training_seed, higher_is_better,
                 pool_sha256 and file_sha256 (of the training file), which are checked
lm-eval          results_*.json: every metric of every task, but not of tasks that a group of the
                 file averages already
AlpacaEval       annotations.json: for each instruction, how far the model was preferred, in
                 percent, so that their mean is the win rate; leaderboard.csv: win rates
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from selectllm.core.codec import sha256_texts
from selectllm.core.errors import UtilityError
from selectllm.core.shown import shortened
from selectllm.core.types import empty
from selectllm.data.readers import place
from selectllm.downstream.outcomes.exported import SetReference
from selectllm.utility.annotation.scale import is_blank, number, on_scale
from selectllm.utility.annotation.sheet_files import read_csv, read_objects

OWN_TESTS = "test"  # the benchmark of rows that name a test item alone
ALPACA_EVAL = "alpaca_eval"
LEADERBOARD = ("win_rate", "length_controlled_winrate", "discrete_win_rate")
NO_METRIC = ("alias", "name", "sample_len", "sample_count")  # of lm-eval's tasks
HASHES = ("pool_sha256", "file_sha256")

_LOWER = re.compile(
    r"(^|[^a-z])(loss|nll|perplexity|ppl|bits_per_byte|entropy|error|brier|wer|cer|ter)([^a-z]|$)"
)
_MODEL = re.compile(r"(?:peft|pretrained)=([^,]+)")


@dataclass(frozen=True, slots=True)
class ResultValue:
    """One value of a result file. `where`: file and place, for messages.

    `value`: None where the file has a row for it and the row has none, as where AlpacaEval's judge
    could not settle which answer is better.

    `of`: the set that it says it is of; else `models`: what the file calls the model, among which
    a set's name may be. `hashes`: those of HASHES that it states.
    """

    where: str
    benchmark: str
    metric: str
    value: float | None
    higher_is_better: bool
    test_id: str | None = None
    of: SetReference | None = None
    models: tuple[str, ...] = ()
    training_seed: int | None = None
    hashes: Mapping[str, str] = field(default_factory=empty)


def read_result_file(path: Path) -> list[ResultValue]:
    """The values in a result file of any of these formats, which its content tells.

    Raises UtilityError, naming file and place, on a file of another format, a value that is
    missing, no number or not finite, and a row that lacks what it needs.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        is_leaderboard = "win_rate" in _first_line(path).split(",")
        found = list(_leaderboard(path) if is_leaderboard else _csv_rows(path))
    elif suffix == ".jsonl":
        found = [_of_row(where, row) for where, row in read_objects(path)]
    elif suffix == ".json":
        found = list(_json(path))
    else:
        raise UtilityError(f"{path}: results cannot be read from suffix {suffix!r}. {_known()}")
    if not found:
        raise UtilityError(f"{path} holds no results. {_known()}")
    return found


def _known() -> str:
    return (
        "Give rows (.jsonl, .csv) with arm, benchmark, metric and value, results_*.json of "
        "lm-evaluation-harness, or annotations.json or leaderboard.csv of AlpacaEval"
    )


# Rows


def _csv_rows(path: Path) -> Iterator[ResultValue]:
    for line, cells in read_csv(path, ("arm", "metric", "value")).rows:
        yield _of_row(f"{path}:{line}", cells)


def _of_row(where: str, row: Mapping[str, Any]) -> ResultValue:
    arm, metric = _text(row, "arm"), _text(row, "metric")
    benchmark, test_id = _text(row, "benchmark"), _text(row, "test_id")
    if arm is None or metric is None or (benchmark is None and test_id is None):
        needed = {"arm": arm, "metric": metric, "benchmark or test_id": benchmark or test_id}
        lacking = next(name for name, value in needed.items() if value is None)
        raise UtilityError(f"{where}: {lacking} is missing. Name it in every row")
    higher = _flag(where, row.get("higher_is_better"))
    if higher is None and _LOWER.search(metric.lower()):
        raise UtilityError(
            f"{where}: metric {metric!r} looks as if lower were better. Say so in the column "
            "higher_is_better (true or false)"
        )
    hashes = {name: text.lower() for name in HASHES if (text := _text(row, name)) is not None}
    return ResultValue(
        where=where,
        benchmark=benchmark or OWN_TESTS,
        metric=metric,
        value=on_scale(row.get("value"), None, f"{where}: value"),
        higher_is_better=higher is not False,
        test_id=test_id,
        of=SetReference(arm, _whole(where, row, "budget"), _whole(where, row, "seed")),
        training_seed=_whole(where, row, "training_seed"),
        hashes=hashes,
    )


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return None if is_blank(value) else str(value).strip()


def _whole(where: str, row: Mapping[str, Any], name: str) -> int | None:
    text = _text(row, name)
    if text is None:
        return None
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise UtilityError(f"{where}: {name} ({shortened(row[name])}) must be a whole number")
    return int(text)


def _flag(where: str, value: Any) -> bool | None:
    if is_blank(value):
        return None
    flag = {"true": True, "false": False}.get(str(value).strip().lower())
    if flag is None:
        raise UtilityError(f"{where}: higher_is_better ({shortened(value)}) must be true or false")
    return flag


# Files of other tools


def _json(path: Path) -> Iterator[ResultValue]:
    content = _loaded(path)
    match content:
        case {"results": dict()}:
            return _lm_eval(path, content)
        case [{"preference": _, "generator_2": _}, *_]:
            return _annotations(path, content)
        case [{"arm": _}, *_]:
            return (_of_row(where, row) for where, row in read_objects(path))
    raise UtilityError(f"{path} is not a kind of result file that selectllm knows. {_known()}")


def _loaded(path: Path) -> Any:
    """Also NaN and Infinity, which are no JSON but written all the same: they are told as values.

    Raises UtilityError on a file that cannot be read or is not JSON.
    """
    try:
        return json.loads(_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UtilityError(f"{path} is not JSON ({error}). Write the results again") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UtilityError(f"{path} cannot be read ({error.strerror}). Check the path") from None


def _first_line(path: Path) -> str:
    return _bytes(path).partition(b"\n")[0].decode("utf-8", "replace").strip()


def _lm_eval(path: Path, content: Mapping[str, Any]) -> Iterator[ResultValue]:
    """`results: {task: {"metric,filter": value, "metric_stderr,filter": ...}}`."""
    results, models = content["results"], _lm_eval_models(content)
    for task, figures in results.items():
        if not isinstance(figures, dict):
            raise UtilityError(f"{path}: results.{task} ({shortened(figures)}) contains no metrics")
    directions = _mapping(content.get("higher_is_better"))
    for task in _not_averaged(results, _mapping(content.get("group_subtasks"))):
        for key, value in results[task].items():
            metric, _, variant = key.partition(",")
            if not _is_metric(key):
                continue
            higher = _mapping(directions.get(task)).get(metric)
            yield ResultValue(
                where=f"{path}: results.{task}.{key}",
                benchmark=task,
                metric=metric if variant in ("", "none") else key,
                value=_finite(value),
                higher_is_better=not _LOWER.search(metric.lower())
                if higher is None
                else bool(higher),
                models=models,
            )


def _finite(value: Any) -> float | None:
    """A metric of lm-eval; None for a list, "N/A" and the like: that metric alone has no value."""
    found = number(value)
    return found if found is not None and math.isfinite(found) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    """What lm-eval says of something, which it may leave out or null."""
    return value if isinstance(value, Mapping) else {}


def _is_metric(key: str) -> bool:
    """Whether a key of lm-eval's task is a metric; groups without one have a blank key."""
    metric = key.partition(",")[0]
    return bool(metric.strip()) and metric not in NO_METRIC and not metric.endswith("_stderr")


def _not_averaged(
    results: Mapping[str, Mapping[str, Any]], subtasks: Mapping[str, Sequence[str]]
) -> list[str]:
    """The tasks, without those below a group that has figures of its own."""
    averaged: set[str] = set()
    below = [
        part
        for group in results
        if any(map(_is_metric, results[group]))
        for part in subtasks.get(group) or ()
    ]
    while below:
        part = below.pop()
        if part not in averaged:
            averaged.add(part)
            below += subtasks.get(part) or ()
    return [task for task in results if task not in averaged]


def _lm_eval_models(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The model's name, and the parts of its path: a set's name may be one of them."""
    arguments = _mapping(content.get("config")).get("model_args")
    if isinstance(arguments, Mapping):
        paths = [arguments.get("peft"), arguments.get("pretrained")]
    else:
        paths = list(_MODEL.findall(str(arguments or "")))
    names = [str(name) for name in (content.get("model_name"), *paths) if name]
    parts = [part for name in names for part in PurePosixPath(name.replace("\\", "/")).parts]
    return tuple(dict.fromkeys((*names, *(part for part in parts if part != "/"))))


def _annotations(path: Path, content: Sequence[Any]) -> Iterator[ResultValue]:
    """`preference` of a row: 1 the reference is better, 2 the model; 1.5, formerly 0, a draw.

    The tests of a model are its instructions; one that comes again is another test, counted in
    file order, with or without a preference, so that it is the same one in the files of others.
    """
    seen: Counter[tuple[str, str]] = Counter()
    for place_in_file, row in enumerate(content, 1):
        where = place(path, place_in_file)
        if not isinstance(row, dict) or not {"instruction", "preference"} <= row.keys():
            raise UtilityError(f"{where} is not an annotation with instruction and preference")
        model, instruction = str(row.get("generator_2")), str(row["instruction"])
        seen[model, instruction] += 1
        occurrence = seen[model, instruction]
        test_id = sha256_texts((instruction, ""))[:16]
        yield ResultValue(
            where=where,
            benchmark=ALPACA_EVAL,
            metric="win_rate",
            value=_win(where, row["preference"]),
            higher_is_better=True,
            test_id=test_id if occurrence == 1 else f"{test_id}-{occurrence}",
            models=(model,),
        )


def _win(where: str, said: Any) -> float | None:
    """How far the model was preferred, in percent; None where that could not be settled."""
    if said is None:
        return None
    preference = on_scale(said, (0.0, 2.0), f"{where}: preference") or 1.5
    if preference < 1:
        raise UtilityError(f"{where}: preference ({preference:g}) must be 0 or from 1 to 2")
    return 100 * (preference - 1)


def _leaderboard(path: Path) -> Iterator[ResultValue]:
    """One row a model, named in the first column, which has no header."""
    for line, cells in read_csv(path, ("win_rate",)).rows:
        for metric in LEADERBOARD:
            if is_blank(cells.get(metric)):
                continue
            where = f"{path}:{line}: {metric}"
            yield ResultValue(
                where=where,
                benchmark=ALPACA_EVAL,
                metric=metric,
                value=on_scale(cells[metric], None, where),
                higher_is_better=True,
                models=(next(iter(cells.values())),),
            )
