"""Files of other tools, paths into objects, and the column that is proposed to be mapped."""

from __future__ import annotations

from typing import Any

import pytest

from selectllm.core.types import Pool
from tests.support.pool_files import Folder, jsonl, workbook

Row = dict[str, Any]
CHAT = [
    {"role": "user", "content": "Name a river."},
    {"role": "assistant", "content": "The Elbe."},
]
PARTS = [{"type": "text", "text": "Name "}, {"type": "text", "text": "a river."}]


def only(row: Row, **columns: str) -> tuple[str, str, str, str | None]:
    pool = Pool.from_records([row], columns=columns)
    (item,) = pool.items
    return item.id, item.instruction, item.input, item.response


# Recognised without a mapping


@pytest.mark.parametrize(
    ("row", "expected", "note"),
    [
        (
            {
                "custom_id": "r-1",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": "m", "messages": CHAT[:1]},
            },
            ("r-1", "Name a river.", "", None),
            "OpenAI batch",
        ),
        (
            {"custom_id": "r-1", "body": {"model": "m", "input": "Name a river."}},
            ("r-1", "Name a river.", "", None),
            "OpenAI batch",
        ),
        (
            {
                "input": {"messages": CHAT[:1], "tools": []},
                "preferred_output": CHAT[1:],
                "non_preferred_output": CHAT[1:],
                "id": 5,
            },
            ("5", "Name a river.", "", "The Elbe."),
            "OpenAI preference",
        ),
        (
            {
                "id": "a7",
                "status": "pending",
                "fields": {"text": "Name a river.", "context": "In Europe."},
                "metadata": {},
                "responses": {"rating": []},
            },
            ("a7", "Name a river.", "In Europe.", None),
            "Argilla",
        ),
        (
            {"id": "a7", "fields": {"dialogue": CHAT}, "responses": {}},
            ("a7", "Name a river.", "", "The Elbe."),
            "Argilla",
        ),
        (
            {"id": 3, "annotations": [], "data": {"my_text": "Name a river."}, "project": 1},
            ("3", "Name a river.", "", None),
            "Label Studio",
        ),
        (
            {
                "text": "Name a river.",
                "id": 3,
                "annotator": 1,
                "annotation_id": 2,
                "lead_time": 1.5,
            },
            ("3", "Name a river.", "", None),
            "Label Studio",
        ),
    ],
)
def test_files_of_other_tools_are_recognised(
    row: Row, expected: tuple[str, str, str, str | None], note: str
) -> None:
    assert only(row) == expected
    (said,) = Pool.from_records([row]).notes
    assert note in said


@pytest.mark.parametrize(
    "row",
    [
        {"messages": CHAT, "tools": [], "parallel_tool_calls": False},
        {"prompt": CHAT[:1], "completion": CHAT[1:]},
        {"instruction": CHAT[:1], "response": CHAT[1:]},
        {"instruction": PARTS, "response": [{"type": "text", "text": "The Elbe."}]},
        {"messages": [{"role": "user", "content": PARTS}, CHAT[1]]},
    ],
)
def test_turns_and_parts_of_text_are_read_wherever_they_stand(row: Row) -> None:
    assert only(row)[1:] == ("Name a river.", "", "The Elbe.")


@pytest.mark.parametrize("row", [{"input": CHAT}, {"input": CHAT[:1], "ideal": "The Elbe."}])
def test_turns_under_input_are_the_instruction(row: Row) -> None:
    assert only(row)[1:] == ("Name a river.", "", "The Elbe.")
    assert len(Pool.from_records([row]).notes) == 1


def test_several_right_answers_are_no_response() -> None:
    row = {"input": CHAT[:1], "ideal": ["The Elbe.", "Elbe"]}
    assert only(row)[1:] == ("Name a river.", "", None)


def test_a_canonical_column_comes_before_what_a_tool_writes() -> None:
    row = {"instruction": "Name a lake.", "fields": {"text": "Name a river."}, "data": {}}
    assert only(row)[1] == "Name a lake."


@pytest.mark.parametrize(
    "row",
    [
        {"custom_id": "r-1", "body": {"model": "gpt"}},
        {"fields": {"name": "Elbe"}, "ask": "Why does a river bend?"},
        {"data": {"name": "Elbe"}, "ask": "Why does a river bend?"},
        {"input": "Why does a river bend?", "label": "geography"},
    ],
)
def test_what_only_resembles_them_is_not_guessed_at(folder: Folder, row: Row) -> None:
    assert "no column holds the instruction" in folder.complaint("pool.jsonl", jsonl([row]))


# Paths


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"fields": {"instruction": "Name a river.", "other": "x"}}, "fields.instruction"),
        ({"body": {"messages": CHAT}}, "body.messages"),
        ({"data": {"deep": {"text": "Name a river."}}}, "data.deep.text"),
        ({"inputs": [{"text": "Name a river."}]}, "inputs.0.text"),
        ({"a.b": "Name a river.", "a": {"b": "Name a lake."}}, "a.b"),
    ],
)
def test_a_mapping_reaches_into_objects(row: Row, path: str) -> None:
    assert only(row, instruction=path)[1] == "Name a river."


def test_ids_and_responses_are_reached_too() -> None:
    row = {"meta": {"key": 7}, "q": {"text": "Name a river."}, "a": {"text": "The Elbe."}}
    mapped = {"id": "meta.key", "instruction": "q.text", "response": "a.text"}
    assert only(row, **mapped) == ("7", "Name a river.", "", "The Elbe.")


def test_a_path_that_leads_nowhere_is_an_error_with_the_nearest(folder: Folder) -> None:
    content = jsonl([{"data": {"text": "Name a river."}}])
    complaint = folder.complaint("pool.jsonl", content, columns={"instruction": "data.txt"})
    assert "{'instruction': 'data.txt'}" in complaint
    assert "Did you mean 'data.text'?" in complaint


def test_a_column_that_is_mapped_as_instruction_is_not_the_input_too() -> None:
    row = {"input": "Name a river.", "output": "The Elbe."}
    assert only(row, instruction="input")[1:] == ("Name a river.", "", "The Elbe.")


# What is proposed


def rows_with(**values: Any) -> bytes:
    texts = [f"Explain in {n} sentences why the sky is blue." for n in range(2, 22)]
    return jsonl(
        [
            {
                **{name: make(n) if callable(make) else make for name, make in values.items()},
                "words": text,
            }
            for n, text in enumerate(texts)
        ]
    )


@pytest.mark.parametrize(
    "values",
    [
        {"status": "in progress"},
        {"url": lambda n: f"https://example.org/tasks/about-the-sky/{n}"},
        {"url": lambda n: f"https://example.org/a page of its own about the sky/{n}"},
        {"site": lambda n: f"www.example.org/a page of its own about the sky/{n}"},
        {"place": lambda n: f"/home/me/the files of my own about the sky, from {n}"},
        {"path": lambda n: f"My documents, then those about the sky, then number {n}"},
        {"doc_id": lambda n: f"The document about the colour of the sky, number {n}"},
        {"task": "Rate the answer to the question."},
        {"created": lambda n: f"2024-02-03 10:{n:02}:00"},
        {"text_hash": lambda n: f"{n:064x}"},
        {"query": lambda n: n},
        {"prompt_file": lambda n: f"prompts/number-{n}.txt"},
        {"note": lambda n: "Ask the author about this." if n == 1 else None},
        {
            "answer": lambda n: (
                f"The sky is blue because {n} kinds of light are scattered by the air."
            )
        },
    ],
)
def test_what_is_proposed_looks_like_instructions(folder: Folder, values: Row) -> None:
    complaint = folder.complaint("pool.jsonl", rows_with(**values))
    assert "instruction': 'words'" in complaint


def test_what_is_proposed_may_lie_in_an_object_and_works(folder: Folder) -> None:
    content = jsonl([{"meta": {"state": "new"}, "item": {"q1": "Why is the sky blue today?"}}])
    assert "`columns={'instruction': 'item.q1'}`" in folder.complaint("pool.jsonl", content)
    (item,) = folder.items("pool.jsonl", content, columns={"instruction": "item.q1"})
    assert item.instruction == "Why is the sky blue today?"


def test_the_turns_of_gemini_are_read_as_proposed(folder: Folder) -> None:
    turns = [
        {"role": "user", "parts": [{"text": "Why is the sky blue?"}]},
        {"role": "model", "parts": [{"text": "Because of the air."}]},
    ]
    content = jsonl([{"contents": turns}])
    assert "`columns={'instruction': 'contents'}`" in folder.complaint("pool.jsonl", content)
    (item,) = folder.items("pool.jsonl", content, columns={"instruction": "contents"})
    assert (item.instruction, item.response) == ("Why is the sky blue?", "Because of the air.")


def test_a_file_without_instructions_is_said_to_have_none(folder: Folder) -> None:
    content = jsonl([{"status": "in progress", "url": f"https://a.org/{n}"} for n in range(20)])
    complaint = folder.complaint("pool.jsonl", content)
    assert "none looks like one (columns: status, url)" in complaint
    assert "{'instruction': 'COL'}" in complaint


# Texts that are nearly all equal


@pytest.mark.parametrize(("different", "warned"), [(1, True), (2, True), (10, True), (11, False)])
def test_a_pool_whose_texts_are_nearly_all_equal_is_noted(different: int, warned: bool) -> None:
    rows = [{"instruction": f"Say {n % different}."} for n in range(100)]
    notes = Pool.from_records(rows).notes
    assert len(notes) == warned
    assert all(f"100 items have only {different} different" in note for note in notes)


def test_a_few_equal_texts_are_not_noted() -> None:
    assert Pool.from_records([{"instruction": "Say a."}] * 9).notes == ()


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"input": {"question": "Name a river.", "top": 3}}, "input.question"),
        ({"context": {"text": "Name a river."}, "output": "The Elbe."}, "context.text"),
    ],
)
def test_what_an_instruction_is_mapped_into_is_not_the_input_too(row: Row, path: str) -> None:
    assert only(row, instruction=path)[1:3] == ("Name a river.", "")


def test_a_file_without_names_of_columns_is_told_so(folder: Folder) -> None:
    rows = "Name a river that flows north.\nName a lake in Africa.\nName a sea.\n"
    complaint = folder.complaint("pool.csv", rows)
    assert "Add a row of names above it" in complaint
    assert "'instruction': 'Name" not in complaint


def test_of_a_workbook_the_sheets_that_are_not_read_are_told_with_the_error(
    folder: Folder,
) -> None:
    sheets = {"About": [["Notes"], ["From May."]], "Data": [["instruction"], ["Name a sea."]]}
    complaint = folder.complaint("pool.xlsx", workbook(sheets))
    assert "2 sheets" in complaint
    assert "'Data'" in complaint
