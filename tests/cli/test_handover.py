"""Selected items out to the people who answer them, and their answers back into a training file."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from selectllm.data.pool import load_pool
from selectllm.utility.handover.targets import TARGETS
from tests.conftest import Command, Outcome, read_jsonl, write_jsonl
from tests.support import label_studio
from tests.support.cli_files import assert_refused, write_suite
from tests.support.pool_files import workbook

REASON = "=1+1 is taught by it."
REPLY = 'mock/reply:{"reasons": "=1+1 is taught by it.", "picks": [2]}'
SELECT = (
    "--budget",
    4,
    "--prompt",
    "rubric@1",
    "--model",
    REPLY,
    "--by",
    "random",
    "--cluster-size",
    3,
)
TEXTS = ["=SUM(A1:A9) says what?", "+1 for", "@all\nlook", "-5 degrees; why?", "Ä, ö\t<b>&", "'=x'"]


@pytest.fixture(autouse=True)
def pool(selectllm: Command) -> list[dict[str, Any]]:
    """Twelve instructions without responses, in the current folder; some look like formulas."""
    rows = [
        {"id": f"={n}" if n % 2 else f"i{n}", "instruction": f"{TEXTS[n % 6]} ({n})", "topic": n}
        for n in range(12)
    ]
    write_jsonl(Path("pool.jsonl"), rows)
    return rows


def handed_over(selectllm: Command, to: str, *options: object) -> Path:
    outcome = selectllm("select", "pool.jsonl", *SELECT, "--to", to, *options)
    assert outcome.code == 0, outcome.err
    return Path(f"pool.handover{TARGETS[to].suffix}")  # type: ignore[index]


def asked(out: Path) -> list[dict[str, Any]]:
    """The selected rows with all their columns."""
    return read_jsonl(Path(f"{out}.selection.jsonl"))


def answer_of(row: dict[str, Any]) -> str:
    return f"=An answer to {row['instruction']}"


def cells(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))


def save(path: Path, rows: list[dict[str, str]]) -> Path:
    """Save a table as a spreadsheet does, with semicolons."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode("utf-8-sig"))
    return path


def answers(selectllm: Command, source: object, *words: object) -> Outcome:
    return selectllm("answers", source, *words, "-o", "training.jsonl")


def check_training(rows: list[dict[str, Any]]) -> None:
    """The training file has all columns of `rows` and their answers, and is a pool itself."""
    training = read_jsonl(Path("training.jsonl"))
    for row, got in zip(rows, training, strict=True):
        kept = {name: value for name, value in row.items() if name != "_selectllm"}
        answered = got.pop("_answered")
        assert got == {**kept, "response": answer_of(row)}
        assert set(answered) == {"by", "place"}
    items = load_pool(Path("training.jsonl")).pool.items
    assert [item.response for item in items] == [answer_of(row) for row in rows]


# --- out


@pytest.mark.parametrize("to", TARGETS)
def test_beside_the_file_lie_the_rows_and_the_command_that_brings_answers_back(
    selectllm: Command, pool: list[dict[str, Any]], to: str
) -> None:
    out = handed_over(selectllm, to)
    originals = {row["id"]: row for row in pool}
    for row in asked(out):
        mark = row.pop("_selectllm")
        assert row == originals[row["id"]]
        assert (mark["rank"], mark["reason"]) == (1, REASON)
    readme = Path(f"{out}.README.md").read_text(encoding="utf-8")
    assert f"selectllm answers {out}.selection.jsonl " in readme
    assert out.name in readme
    again = selectllm("select", "pool.jsonl", *SELECT, "--to", to)  # resumes, and changes nothing
    assert again.code == 0, again.err


def test_label_studio_gets_tasks_and_a_configuration_that_names_their_fields(
    selectllm: Command,
) -> None:
    out = handed_over(selectllm, "label-studio")
    tasks = json.loads(out.read_text(encoding="utf-8"))
    rows = asked(out)
    assert [task["data"]["item_id"] for task in tasks] == [row["id"] for row in rows]
    view = ElementTree.fromstring(Path(f"{out}.config.xml").read_text(encoding="utf-8"))
    fields = {tag.get("value", "")[1:] for tag in view.iter("Text")}
    assert fields == {"instruction", "about", "reason", "rivals"}  # no item has an input
    (area,) = view.iter("TextArea")
    assert (area.get("name"), area.get("toName")) == ("answer", "instruction")
    for task, row in zip(tasks, rows, strict=True):
        assert set(task) == {"data"}
        assert "answer" not in task["data"]
        assert fields < task["data"].keys()
        assert all(isinstance(value, str) for value in task["data"].values())
        assert task["data"]["instruction"] == row["instruction"]
        assert task["data"]["reason"] == REASON
        assert task["data"]["rivals"].count("\u2022") == 2  # of three candidates


def test_argilla_gets_a_dataset_with_a_field_for_the_answer(selectllm: Command) -> None:
    out = handed_over(selectllm, "argilla")
    settings = json.loads((out / ".argilla/settings.json").read_bytes())
    assert [each["name"] for each in settings["questions"]] == ["answer", "comment"]
    assert settings["questions"][0]["settings"]["type"] == "text"
    required = {field["name"] for field in settings["fields"] if field["required"]}
    assert required == {"instruction"}
    records = json.loads((out / "records.json").read_bytes())
    assert [record["id"] for record in records] == [row["id"] for row in asked(out)]
    assert all(record["fields"]["reason"] == REASON for record in records)
    assert all(record["responses"] == {} for record in records)


def test_no_cell_of_a_table_runs_as_a_formula(selectllm: Command) -> None:
    for row in cells(handed_over(selectllm, "csv")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in row.values())
        assert (row["answer"], row["rank"], row["reason"]) == ("", "1", f"'{REASON}")
    with zipfile.ZipFile(handed_over(selectllm, "xlsx")) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "<f " not in sheet


def test_a_workbook_says_what_the_lines_of_json_say(selectllm: Command) -> None:
    out = handed_over(selectllm, "jsonl")
    lines = read_jsonl(out)
    book = load_pool(handed_over(selectllm, "xlsx")).pool.items
    assert [item.instruction for item in book] == [line["instruction"] for line in lines]
    assert [item.row["id"] for item in book] == [line["id"] for line in lines]
    assert {line["answer"] for line in lines} == {""}
    assert all(len(line["rivals"]) == 2 for line in lines)


def test_text_that_excel_would_cut_is_refused(selectllm: Command) -> None:
    write_jsonl(Path("pool.jsonl"), [{"id": "a", "instruction": "x" * 32_768}])
    how = ("select", "pool.jsonl", "--budget", 1, "--strategy", "first", "--to")
    assert_refused(selectllm(*how, "xlsx"), "32,768", "csv", "item a")
    assert not Path("pool.handover.xlsx").exists()
    assert selectllm(*how, "csv").code == 0


@pytest.mark.parametrize(("to", "out"), [("csv", "a.xlsx"), ("label-studio", "a.jsonl")])
def test_a_name_that_the_tool_does_not_take_is_refused(
    selectllm: Command, to: str, out: str
) -> None:
    outcome = selectllm("select", "pool.jsonl", *SELECT, "--to", to, "-o", out)
    assert_refused(outcome, f"-o {out}", TARGETS[to].suffix)  # type: ignore[index]


def test_a_file_that_may_hold_answers_is_not_overwritten(selectllm: Command) -> None:
    out = handed_over(selectllm, "jsonl")
    out.write_text('{"id": "i0", "answer": "work of a day"}\n', encoding="utf-8")
    again = selectllm("select", "pool.jsonl", *SELECT, "--to", "jsonl", "--quiet")
    assert_refused(again, str(out))
    assert "work of a day" in out.read_text(encoding="utf-8")


# --- what was selected before


def test_a_selection_is_handed_over_later_with_the_same_file(selectllm: Command) -> None:
    first = handed_over(selectllm, "label-studio").read_bytes()
    assert selectllm("select", "pool.jsonl", *SELECT).code == 0
    selected = "pool.selected.jsonl"
    to = ("--to", "label-studio", "-o", "later.json")
    done = selectllm("handover", selected, *to, "--pool", "pool.jsonl", "--json")
    assert (done.code, done.json["items"], done.json["selection"]) == (0, 4, selected)
    assert Path("later.json").read_bytes() == first
    assert f"answers {selected} " in Path("later.json.README.md").read_text(encoding="utf-8")
    without = selectllm("handover", selected, "--to", "jsonl", "-o", "ids.jsonl")
    assert "--pool" in without.err
    assert "(item " in read_jsonl(Path("ids.jsonl"))[0]["rivals"][0]["text"]


def test_a_selection_of_an_earlier_version_has_no_ranks(selectllm: Command) -> None:
    mark = {"cluster": 0, "round": 0, "by": "strategy:first", "filled": False}
    write_jsonl(Path("old.jsonl"), [{"instruction": "Say yes.", "_selectllm": mark}])
    assert selectllm("handover", "old.jsonl", "--to", "csv").code == 0
    (row,) = cells(Path("old.handover.csv"))
    assert (row["rank"], row["reason"], row["rivals"]) == ("", "", "")


def test_of_a_run_the_picks_of_one_pair_are_handed_over(selectllm: Command) -> None:
    model = json.dumps({"name": "m", "id": REPLY.replace("[2]", "[2, 1]")})
    suite = write_suite("short@1 -> short@1, rubric@1", f"mock/first -> {model}")
    assert selectllm("eval", suite, "-o", "run", "--quiet").code == 0
    several = selectllm("handover", "run", "--to", "jsonl")
    assert_refused(several, "--arm", "rubric@1+m", "short@1+m")
    done = selectllm("handover", "run", "--to", "jsonl", "--arm", "rubric@1+m")
    assert done.code == 0, done.err
    rows = read_jsonl(Path("run.handover.jsonl"))
    assert {row["rank"] for row in rows} == {1, 2}
    assert {row["reason"] for row in rows} == {REASON}
    assert len(asked(Path("run.handover.jsonl"))) == len(rows)


def test_the_way_back_from_a_run_reads_the_columns_of_its_pool(selectllm: Command) -> None:
    rows = [{"question": f"What is {n}?"} for n in range(12)]
    write_jsonl(Path("pool.jsonl"), rows)
    suite = write_suite("pool: pool.jsonl -> pool: pool.jsonl\ncolumns: {instruction: question}")
    assert selectllm("eval", suite, "-o", "run", "--quiet").code == 0
    done = selectllm("handover", "run", "--to", "csv")
    assert "--map instruction=question" in done.out
    readme = Path("run.handover.csv.README.md").read_text(encoding="utf-8")
    assert "-o training.jsonl --map instruction=question\n" in readme


@pytest.mark.parametrize(
    ("source", "word"), [("pool.jsonl", "select"), ("nowhere.jsonl", "nowhere"), (".", "run")]
)
def test_what_was_not_selected_is_not_handed_over(
    selectllm: Command, source: str, word: str
) -> None:
    assert_refused(selectllm("handover", source, "--to", "csv"), word)


# --- and back


def test_a_table_comes_back_from_a_spreadsheet(selectllm: Command) -> None:
    out = handed_over(selectllm, "csv")
    rows = asked(out)
    filled = [
        {**cell, "answer": answer_of(row), "annotator": "Ann"}
        for cell, row in zip(cells(out), rows, strict=True)
    ]
    done = answers(selectllm, f"{out}.selection.jsonl", save(Path("back.csv"), filled), "--json")
    assert done.code == 0, done.err
    assert (done.json["asked"], done.json["written"], done.json["complete"]) == (4, 4, True)
    assert {row["_answered"]["by"] for row in read_jsonl(Path("training.jsonl"))} == {"Ann"}
    check_training(rows)


def test_a_workbook_and_lines_come_back(selectllm: Command) -> None:
    rows = asked(handed_over(selectllm, "xlsx"))
    table = [["id", "answer"], *([row["id"], answer_of(row)] for row in rows)]
    Path("back.xlsx").write_bytes(workbook({"items": table}))
    assert answers(selectllm, "pool.handover.xlsx.selection.jsonl", "back.xlsx").code == 0
    check_training(rows)
    lines = read_jsonl(handed_over(selectllm, "jsonl"))
    filled = [{**line, "answer": answer_of(row)} for line, row in zip(lines, rows, strict=True)]
    write_jsonl(Path("back.jsonl"), filled)
    assert answers(selectllm, "pool.handover.jsonl.selection.jsonl", "back.jsonl").code == 0
    check_training(rows)


@pytest.mark.parametrize("layout", ["JSON", "JSON-MIN", "CSV"])
def test_exports_of_label_studio_come_back(selectllm: Command, layout: str) -> None:
    out = handed_over(selectllm, "label-studio")
    rows, tasks = asked(out), json.loads(out.read_text(encoding="utf-8"))
    values = {row["id"]: [(7, {"text": [answer_of(row)]})] for row in rows}
    back = Path("export.csv" if layout == "CSV" else "export.json")
    if layout == "CSV":
        text = label_studio.as_csv(tasks, values, "answer")
    else:
        write = label_studio.as_json if layout == "JSON" else label_studio.as_json_min
        text = json.dumps(write(tasks, values, "answer"))
    back.write_text(text, encoding="utf-8", newline="")
    done = answers(selectllm, f"{out}.selection.jsonl", back)
    assert done.code == 0, done.err
    assert {row["_answered"]["by"] for row in read_jsonl(Path("training.jsonl"))} == {"7"}
    check_training(rows)


def test_an_export_of_argilla_comes_back(selectllm: Command) -> None:
    out = handed_over(selectllm, "argilla")
    rows, records = asked(out), json.loads((out / "records.json").read_bytes())
    for record, row in zip(records, rows, strict=True):
        given = {"value": answer_of(row), "user_id": "u-1", "status": "submitted"}
        record["responses"] = {"answer": [given]}
    Path("back").mkdir()
    Path("back/records.json").write_text(json.dumps(records), encoding="utf-8")
    for back in ("back", "back/records.json"):
        assert answers(selectllm, f"{out}.selection.jsonl", back).code == 0
        check_training(rows)


def test_ids_that_look_like_formulas_stay_apart(
    selectllm: Command, pool: list[dict[str, Any]]
) -> None:
    ids = ["=1", "'=1", "''=1", "0012", "é", "a,b"]
    rows = [{**row, "id": name} for row, name in zip(pool, ids, strict=False)]
    write_jsonl(Path("pool.jsonl"), rows)
    first = ("select", "pool.jsonl", "--budget", 6, "--strategy", "first", "--to")
    for to, read in (("csv", "back.csv"), ("xlsx", "back.xlsx")):
        assert selectllm(*first, to).code == 0
        table = cells(Path("pool.handover.csv"))
        filled = [
            {**cell, "id": row["id"] if to == "xlsx" else cell["id"], "answer": answer_of(row)}
            for cell, row in zip(table, rows, strict=True)
        ]
        save(Path("back.csv"), filled)
        lines = [list(filled[0]), *(list(row.values()) for row in filled)]
        Path("back.xlsx").write_bytes(workbook({"items": lines}))
        assert answers(selectllm, f"pool.handover.{to}.selection.jsonl", read).code == 0
        check_training(rows)


def test_one_of_each_is_told_as_one_and_a_training_file_is_called_what_it_is(
    selectllm: Command,
) -> None:
    out = handed_over(selectllm, "jsonl")
    one, two, three, _ = (row["id"] for row in asked(out))
    given = [(one, "a"), (two, "b"), (two, "c"), (three, "d"), ("stranger", "x")]
    write_jsonl(Path("back.jsonl"), [{"id": item, "answer": text} for item, text in given])
    source = f"{out}.selection.jsonl"
    told = answers(selectllm, source, "back.jsonl").err
    for words in ("1 of 4 items has no", "1 item was", "and is left out", "1 answer belongs"):
        assert words in told
    refused = selectllm("answers", source, "back.jsonl", "-o", "training.csv")
    assert (refused.code, Path("training.csv").exists()) == (2, False)
    assert ".jsonl" in refused.err


def test_what_is_missing_twice_or_unknown_is_told(selectllm: Command) -> None:
    out = handed_over(selectllm, "jsonl")
    source = f"{out}.selection.jsonl"
    one, two, three, four = (row["id"] for row in asked(out))
    given = [(one, "a"), (two, "b"), (two, "c"), (three, " "), (one, "a"), ("stranger", "x")]
    write_jsonl(Path("back.jsonl"), [{"id": item, "answer": text} for item, text in given])
    done = answers(selectllm, source, "back.jsonl")
    assert done.code == 1
    for words in (
        "2 of 4 items have no answer",
        repr(three),
        repr(four),
        repr(two),
        "'stranger'",
        "--partial",
        "--keep",
    ):
        assert words in done.err
    assert [row["response"] for row in read_jsonl(Path("training.jsonl"))] == ["a"]
    told = answers(selectllm, source, "back.jsonl", "--partial", "--keep", "last", "--json")
    assert told.code == 0
    assert (told.json["missing"], told.json["unknown"]) == ([three, four], ["stranger"])
    assert (told.json["twice"], told.json["complete"]) == ([two], False)
    assert [row["response"] for row in read_jsonl(Path("training.jsonl"))] == ["a", "c"]
    answers(selectllm, source, "back.jsonl", "--keep", "first")
    assert [row["response"] for row in read_jsonl(Path("training.jsonl"))] == ["a", "b"]


def test_two_annotators_of_one_task_answered_twice(selectllm: Command) -> None:
    out = handed_over(selectllm, "label-studio")
    tasks = json.loads(out.read_text(encoding="utf-8"))
    values = {
        task["data"]["item_id"]: [(1, {"text": ["a"]}), (2, {"text": ["a", "b"]})] for task in tasks
    }
    export = label_studio.as_json(tasks, values, "answer")
    export[0]["annotations"][1]["was_cancelled"] = True
    Path("export.json").write_text(json.dumps(export), encoding="utf-8")
    done = answers(selectllm, f"{out}.selection.jsonl", "export.json", "--json")
    assert (done.code, len(done.json["twice"]), done.json["written"]) == (1, 3, 1)
    done = answers(selectllm, f"{out}.selection.jsonl", "export.json", "--keep", "last", "--json")
    assert (done.code, done.json["complete"]) == (0, True)
    rows = read_jsonl(Path("training.jsonl"))
    assert [row["response"] for row in rows] == ["a", *["a\nb"] * 3]


def test_of_a_pool_the_items_that_the_files_list_were_asked(selectllm: Command) -> None:
    write_jsonl(Path("a.jsonl"), [{"id": "i0", "answer": "yes"}, {"id": "=1", "answer": ""}])
    done = answers(selectllm, "pool.jsonl", "a.jsonl", "--json")
    assert (done.code, done.json["asked"], done.json["missing"]) == (1, 2, ["=1"])
    write_jsonl(Path("b.jsonl"), [{"id": "=1", "answer": "no"}])
    done = answers(selectllm, "pool.jsonl", "a.jsonl", "b.jsonl", "--json")
    assert (done.code, done.json["asked"], done.json["written"]) == (0, 2, 2)


def test_the_answer_takes_the_place_of_the_response_that_the_pool_has(selectllm: Command) -> None:
    row = {"id": "a", "instruction": "Add 1 and 1.", "output": "3"}
    write_jsonl(Path("pool.jsonl"), [row])
    write_jsonl(Path("a.jsonl"), [{"id": "a", "answer": "2"}])
    assert answers(selectllm, "pool.jsonl", "a.jsonl").code == 0
    (got,) = read_jsonl(Path("training.jsonl"))
    assert {**got, "_answered": 0} == {**row, "output": "2", "_answered": 0}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "id,text\ni0,x\n", ["a.csv:1", "answer"]),
        ("a.jsonl", '{"answer": "x"}\n', ["a.jsonl:1", "id"]),
        ("a.jsonl", '{"id": "i0"}\n', ["a.jsonl:1", "answer"]),
        ("a.jsonl", '{"id": "i0", "answer": 7}\n', ["a.jsonl:1", "'i0'", "7"]),
        ("a.jsonl", '{"id": "zz", "answer": "x"}\n', ["a.jsonl", "'zz'"]),
        ("a.jsonl", '{"id": "i0", "answer": ""}\n', ["nothing is answered"]),
        ("a.json", '[{"data": {"text": "x"}, "annotations": []}]', ["element 1", "item_id"]),
        ("a.pdf", "x", [".pdf"]),
        ("a.json", "{", ["a.json"]),
    ],
)
def test_files_that_hold_no_answers_are_refused(
    selectllm: Command, name: str, content: str, words: list[str]
) -> None:
    Path(name).write_text(content, encoding="utf-8")
    assert_refused(answers(selectllm, "pool.jsonl", name), *words)
    assert not Path("training.jsonl").exists()


def test_answers_never_replace_another_kind_of_file(selectllm: Command) -> None:
    write_jsonl(Path("a.jsonl"), [{"id": "i0", "answer": "yes"}])
    for out in ("pool.jsonl", "a.jsonl"):
        assert_refused(selectllm("answers", "pool.jsonl", "a.jsonl", "-o", out), out)
