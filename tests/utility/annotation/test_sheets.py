"""Sheets: what raters get says nothing about picks, and comes back whatever a spreadsheet does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectllm.core.errors import UsageError, UtilityError
from selectllm.core.types import ChatItem, Item, Turn
from selectllm.utility.annotation.asked import (
    Asking,
    ask_path,
    default_rubric,
    read_asking,
    write_asking,
)
from selectllm.utility.annotation.filled_sheets import find_asking, read_sheets
from selectllm.utility.annotation.sheet_files import disarmed, rearmed
from selectllm.utility.annotation.sheets import write_sheets
from tests.support import label_studio
from tests.support.pool_files import workbook

ITEMS = [
    Item(f"item-{n:02}", f"Explain topic {n}.", "a context" if n % 3 else "", f"Answer {n}")
    for n in range(12)
]
Rows = list[list[str]]
Table = dict[str, dict[str, float]]

texts = st.text(max_size=12) | st.sampled_from(
    ["=1+1", "'=1", "+5", "-", "@x", "\tx", "\rx", "a\r\nb", 'a "b", c; d', "#x", "ä", "\u2028", ""]
)
pools = st.lists(
    st.builds(Item, texts.filter(bool), texts, texts, st.none() | texts),
    min_size=1,
    max_size=6,
    unique_by=lambda item: item.id,
)


def asking(items: Sequence[Item] = ITEMS, **changes: Any) -> Asking:
    ids = tuple(sorted(item.id for item in items))
    plain = Asking("demo", "0" * 64, (1.0, 5.0), False, 1, ids, "Rate it.\nAlone, please.")
    return replace(plain, **changes)


def cells(sheet: Path) -> Rows:
    """Every row of a CSV sheet, comments included."""
    csv.field_size_limit(1_000_000)
    with sheet.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.reader(handle))


def header_at(rows: Rows) -> int:
    return next(n for n, row in enumerate(rows) if row[:2] == ["rater", "id"])


def column(sheet: Path, name: str) -> list[str]:
    """A column of a written sheet of either kind."""
    if sheet.suffix == ".jsonl":
        lines = sheet.read_text(encoding="utf-8").rstrip("\n").split("\n")[1:]
        return [json.loads(line)[name] for line in lines]
    rows = cells(sheet)
    start = header_at(rows)
    return [row[rows[start].index(name)] for row in rows[start + 1 :]]


def fill(sheet: Path, ratings: Mapping[str, float], *, rater: str = "") -> None:
    """Rate the items, as a person with a spreadsheet or an editor would."""
    if sheet.suffix == ".csv":
        shown = {disarmed(item): rating for item, rating in ratings.items()}
        rows = cells(sheet)
        for row in rows[header_at(rows) + 1 :]:
            row[0], row[-2] = rater, str(shown[row[1]])
        save(sheet, rows)
    else:
        first, *lines = sheet.read_text(encoding="utf-8").rstrip("\n").split("\n")
        rows_of_json = [json.loads(line) for line in lines]
        filled = [{**row, "rater": rater, "rating": ratings[row["id"]]} for row in rows_of_json]
        sheet.write_text("\n".join([first, *map(json.dumps, filled)]), encoding="utf-8")


def save(sheet: Path, rows: Rows, *, delimiter: str = ",", end: str = "\r\n") -> None:
    """Save rows as a spreadsheet does."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    sheet.write_bytes(text.getvalue().encode("utf-8"))


def a_sheet(tmp_path: Path, *rows: str, header: str = "rater,id,rating") -> Path:
    """A CSV sheet with these lines; the header is line 1."""
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return sheet


def few(*ids: str, **changes: Any) -> Asking:
    return asking([Item(each, "do it") for each in ids], **changes)


TALK = (
    Turn("system", "Be brief."),
    Turn("user", "Name a river."),
    Turn("assistant", "[tool call: look]"),
    Turn("tool", "The Elbe."),
    Turn("assistant", "The Elbe."),
    Turn("user", "Where does it end?"),
    Turn("assistant", "In the North Sea."),
)
ASKED = "\n\n".join(f"{turn.role.capitalize()}: {turn.text}" for turn in TALK[:-1])


class TestConversations:
    """Their turns are shown; what answers them only where responses are asked for."""

    items = (
        ChatItem("talk", TALK[-2].text, "before", TALK[-1].text, turns=TALK),
        Item("plain", "Name a colour.", "", "Red."),
    )

    @pytest.mark.parametrize("with_responses", [False, True])
    def test_every_kind_of_sheet_shows_the_turns(
        self, tmp_path: Path, with_responses: bool
    ) -> None:
        turns = TALK if with_responses else TALK[:-1]
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        sheets = {
            suffix: write_sheets(
                tmp_path / f"sheet{number}{suffix}",
                self.items,
                asking(self.items),
                with_responses=with_responses,
            )[0]
            for number, suffix in enumerate((".csv", ".jsonl", ".json", ".argilla"))
        }
        ids = column(sheets[".jsonl"], "id")
        assert dict(zip(ids, column(sheets[".jsonl"], "turns"), strict=True)) == {
            "talk": messages,
            "plain": [],
        }
        (cell,) = filter(None, column(sheets[".csv"], "turns"))
        assert cell == (f"{ASKED}\n\nAssistant: {TALK[-1].text}" if with_responses else ASKED)
        tasks = {
            task["data"]["item_id"]: task["data"]
            for task in json.loads(sheets[".json"].read_text(encoding="utf-8"))
        }
        assert tasks["talk"]["turns"] == messages
        config = sheets[".json"].with_name(f"{sheets['.json'].name}.config.xml")
        assert 'value="$turns"' in config.read_text(encoding="utf-8")
        records = json.loads((sheets[".argilla"] / "records.json").read_text(encoding="utf-8"))
        fields = {record["id"]: record["fields"] for record in records}
        assert fields["talk"]["turns"] == messages
        assert "turns" not in fields["plain"]

    @pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
    def test_a_sheet_with_turns_is_read_like_any_other(self, tmp_path: Path, suffix: str) -> None:
        (sheet,) = write_sheets(tmp_path / f"sheet{suffix}", self.items, asking(self.items))
        fill(sheet, {"talk": 4, "plain": 2}, rater="kim")
        read = read_sheets([sheet], asking(self.items))
        assert read == {"talk": {"kim": 4.0}, "plain": {"kim": 2.0}}


class TestWriting:
    """What the raters get."""

    @pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
    def test_a_sheet_has_every_item_once_and_nothing_filled_in(
        self, tmp_path: Path, suffix: str
    ) -> None:
        (sheet,) = write_sheets(tmp_path / f"sheet{suffix}", ITEMS, asking())
        assert sorted(column(sheet, "id")) == [item.id for item in ITEMS]
        for name in ("rater", "rating", "comment"):
            assert not any(column(sheet, name))

    def test_the_columns_are_these_and_responses_come_only_when_asked_for(
        self, tmp_path: Path
    ) -> None:
        (without,) = write_sheets(tmp_path / "a.csv", ITEMS, asking())
        (with_them,) = write_sheets(tmp_path / "b.csv", ITEMS, asking(), with_responses=True)
        plain = ["rater", "id", "instruction", "input", "rating", "comment"]
        assert cells(without)[header_at(cells(without))] == plain
        assert cells(with_them)[header_at(cells(with_them))] == [
            *plain[:4],
            "response",
            *plain[4:],
        ]
        assert "Answer 3" in column(with_them, "response")

    def test_the_rubric_stands_on_top(self, tmp_path: Path) -> None:
        (table,) = write_sheets(tmp_path / "a.csv", ITEMS, asking())
        assert cells(table)[:2] == [["# Rate it."], ["# Alone, please."]]
        (lines,) = write_sheets(tmp_path / "b.jsonl", ITEMS, asking())
        first = json.loads(lines.read_text(encoding="utf-8").split("\n")[0])
        assert first == {"rubric": asking().rubric, "ask": "b.ask.json"}

    @pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
    def test_every_rater_gets_a_sheet_in_an_order_that_is_neither_the_pools_nor_anothers(
        self, tmp_path: Path, suffix: str
    ) -> None:
        sheets = write_sheets(tmp_path / f"sheet{suffix}", ITEMS, asking(raters=3))
        assert [sheet.name for sheet in sheets] == [f"sheet-{n}{suffix}" for n in (1, 2, 3)]
        orders = {tuple(column(sheet, "id")) for sheet in sheets}
        assert len(orders) == 3
        assert tuple(item.id for item in ITEMS) not in orders

    def test_the_order_is_drawn_from_ids_and_seed_alone(self, tmp_path: Path) -> None:
        def order(name: str, items: Sequence[Item], seed: int) -> list[str]:
            (sheet,) = write_sheets(tmp_path / name, items, asking(), seed=seed)
            return column(sheet, "id")

        assert order("a.csv", ITEMS, 0) == order("b.csv", ITEMS[::-1], 0)
        assert order("c.csv", ITEMS, 1) != order("d.csv", ITEMS, 0)

    @pytest.mark.parametrize("start", "=+-@\t\r\n")
    def test_no_cell_of_a_csv_sheet_runs_as_a_formula(self, tmp_path: Path, start: str) -> None:
        text = f"{start}HYPERLINK(1)"
        items = [Item(text, text, text, text)]
        (sheet,) = write_sheets(tmp_path / "s.csv", items, asking(items), with_responses=True)
        for name in ("id", "instruction", "input", "response"):
            assert column(sheet, name) == [f"'{text}"]

    def test_excel_is_told_that_it_is_utf_8(self, tmp_path: Path) -> None:
        (sheet,) = write_sheets(tmp_path / "s.csv", ITEMS, asking())
        assert sheet.read_bytes().startswith(b"\xef\xbb\xbf# Rate it.")

    def test_text_of_any_length_is_written_whole(self, tmp_path: Path) -> None:
        items = [Item("long", "word " * 60_000)]
        (sheet,) = write_sheets(tmp_path / "s.csv", items, asking(items))
        fill(sheet, {"long": 2})
        assert column(sheet, "instruction") == [items[0].instruction]
        assert read_sheets([sheet], asking(items)) == {"long": {"s": 2.0}}

    @pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".argilla"])
    def test_what_was_asked_is_beside_the_sheets(self, tmp_path: Path, suffix: str) -> None:
        asked = asking(raters=2, differing=True)
        path = tmp_path / f"sheet{suffix}"
        sheets = write_sheets(path, ITEMS, asked)
        assert read_asking(tmp_path / "sheet.ask.json") == asked
        assert [find_asking(sheet) for sheet in sheets] == [asked] * len(sheets)

    def test_an_existing_sheet_is_never_overwritten(self, tmp_path: Path) -> None:
        taken = tmp_path / "sheet-2.csv"
        taken.write_text("rated", encoding="utf-8")
        with pytest.raises(UsageError, match=r"sheet-2\.csv exists, and ratings may be in it"):
            write_sheets(tmp_path / "sheet.csv", ITEMS, asking(raters=3))
        assert [path.name for path in tmp_path.iterdir()] == ["sheet-2.csv"]
        assert taken.read_text(encoding="utf-8") == "rated"

    def test_another_asking_of_that_name_is_not_overwritten_the_same_one_may_stay(
        self, tmp_path: Path
    ) -> None:
        write_sheets(tmp_path / "sheet.csv", ITEMS, asking())
        write_sheets(tmp_path / "sheet.jsonl", ITEMS, asking())
        (tmp_path / "sheet.csv").unlink()
        with pytest.raises(
            UsageError, match=r"sheet\.ask\.json exists and belongs to other sheets"
        ):
            write_sheets(tmp_path / "sheet.csv", ITEMS, asking(rubric="Other."))
        assert not (tmp_path / "sheet.csv").exists()

    @pytest.mark.parametrize("name", ["sheet.xlsx", "sheet"])
    def test_another_suffix_is_refused_with_those_that_exist(
        self, tmp_path: Path, name: str
    ) -> None:
        with pytest.raises(UsageError, match=r"There are: \.csv, \.jsonl, \.argilla"):
            write_sheets(tmp_path / name, ITEMS, asking())
        assert not list(tmp_path.iterdir())

    def test_items_that_are_not_those_of_the_asking_are_a_mistake_of_the_caller(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(ValueError, match="not those of the asking"):
            write_sheets(tmp_path / "s.csv", ITEMS[:3], asking())

    @pytest.mark.parametrize("bounds", [(1.0, 5.0), (0.0, 1.0), (-3.0, 4.5)])
    def test_the_default_rubric_says_what_both_ends_and_the_middle_mean(
        self, bounds: tuple[float, float]
    ) -> None:
        low, high = bounds
        rubric = default_rubric(bounds)
        assert all(f"{each:g} = " in rubric for each in (low, (low + high) / 2, high))


class TestRoundTrip:
    """Written, filled in, read."""

    @given(pools, st.sampled_from([".csv", ".jsonl"]), st.integers(1, 3), st.data())
    def test_ratings_come_back_for_any_text(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        items: list[Item],
        suffix: str,
        raters: int,
        data: st.DataObject,
    ) -> None:
        asked = asking(items, raters=raters)
        path = tmp_path_factory.mktemp("ask") / f"sheet{suffix}"
        sheets = write_sheets(path, items, asked, with_responses=True)
        given = {sheet: {item.id: data.draw(st.floats(1, 5)) for item in items} for sheet in sheets}
        for sheet, ratings in given.items():
            fill(sheet, ratings)
        assert find_asking(sheets[0]) == asked
        assert read_sheets(sheets, asked) == {
            item.id: {sheet.stem: ratings[item.id] for sheet, ratings in given.items()}
            for item in items
        }

    @given(pools)
    def test_an_asking_comes_back_as_it_was(
        self, tmp_path_factory: pytest.TempPathFactory, items: list[Item]
    ) -> None:
        asked = asking(items, rubric=items[0].instruction, range=(-1.0, 2.5))
        path = tmp_path_factory.mktemp("ask") / "a.ask.json"
        write_asking(path, asked)
        assert read_asking(path) == asked


class TestSpreadsheets:
    """A sheet survives what spreadsheets make of it."""

    @given(texts, texts)
    def test_disarmed_texts_come_back_and_stay_different(self, one: str, other: str) -> None:
        assert rearmed(disarmed(one)) == one
        assert (disarmed(one) == disarmed(other)) == (one == other)

    ASKED = few("a", "b")
    READ: Table = {"a": {"sheet": 1.0}, "b": {"sheet": 4.5}}

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_any_delimiter_and_line_end_with_padded_comments_and_blank_rows(
        self, tmp_path: Path, delimiter: str, end: str
    ) -> None:
        rows = [
            ["# Rate it; alone, please.", "", "", ""],
            ["# ask: sheet.ask.json", "", "", ""],
            ["rater", "id", "instruction", "rating"],
            ["", "a", "one; two, three\tfour\nfive", "1"],
            ["", "b", "do it", "4.5"],
            ["", "", "", ""],
            ["", "", "", ""],
        ]
        save(tmp_path / "sheet.csv", rows, delimiter=delimiter, end=end)
        assert read_sheets([tmp_path / "sheet.csv"], self.ASKED) == self.READ

    def test_a_workbook_is_a_sheet_too(self, tmp_path: Path) -> None:
        rows = [
            ["# ask: sheet.ask.json"],
            ["rater", "id", "instruction", "rating", None],
            [None, "a", "one; two", 1],
            [None, "b", "do it", "4,5"],
        ]
        (tmp_path / "sheet.xlsx").write_bytes(workbook({"Sheet1": rows}))
        assert read_sheets([tmp_path / "sheet.xlsx"], self.ASKED) == self.READ

    def test_a_decimal_comma_is_a_decimal_point(self, tmp_path: Path) -> None:
        sheet = a_sheet(tmp_path, "a;1,0", "b;4,5", header="id;rating")
        assert read_sheets([sheet], self.ASKED) == self.READ

    def test_columns_may_be_moved_added_dropped_and_capitalised(self, tmp_path: Path) -> None:
        sheet = a_sheet(tmp_path, "1,note,a", "4.5,,b", header="Rating , my notes,ID")
        assert read_sheets([sheet], self.ASKED) == self.READ

    def test_trailing_cells_may_be_missing_or_blank(self, tmp_path: Path) -> None:
        sheet = a_sheet(tmp_path, "a,1,,", "b,4.5", header="id,rating,comment")
        assert read_sheets([sheet], self.ASKED) == self.READ

    def test_the_apostrophe_before_an_id_may_be_gone(self, tmp_path: Path) -> None:
        sheet = a_sheet(tmp_path, ",=a,1", ",'=b,2")
        assert read_sheets([sheet], few("=a", "=b")) == {"=a": {"sheet": 1.0}, "=b": {"sheet": 2.0}}

    def test_a_comment_in_a_row_is_no_rating(self, tmp_path: Path) -> None:
        sheet = a_sheet(tmp_path, "a,1,", "b,,unclear", header="id,rating,comment")
        assert read_sheets([sheet], self.ASKED, partial=True) == {"a": {"sheet": 1.0}}

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (
                b"id,rating\na,1\n\xe9,2\n",
                r"sheet\.csv:3: byte 0xe9 is .*'é'.*'CSV UTF-8'",
            ),
            (b"# x\nid,score\na,1\n", r"sheet\.csv:2: the header has no column 'rating'.*'score'"),
            (b"rating;comment\n1;x\n", r"sheet\.csv:1: the header has no column 'id'"),
            (b"id,rating,rating\na,1,2\n", r"sheet\.csv:1: the header has 2 columns 'rating'"),
            (b"", r"sheet\.csv:1: the header has no column 'id'\. It holds: nothing"),
            (b"id,rating\na,1,x\n", r"sheet\.csv:2: 3 cells where the header names 2"),
            (b'id,rating\na,1\nb,"2\n', r"sheet\.csv:3: broken CSV"),
        ],
        ids=["not utf-8", "no rating", "no id", "twice", "empty", "too long", "open quote"],
    )
    def test_what_cannot_be_read_is_named_with_its_line(
        self, tmp_path: Path, content: bytes, message: str
    ) -> None:
        sheet = tmp_path / "sheet.csv"
        sheet.write_bytes(content)
        with pytest.raises(UtilityError, match=message):
            read_sheets([sheet], self.ASKED)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("none.csv", r"none\.csv does not exist"),
            ("none", r"none does not exist"),
            ("a.ods", r"a\.ods: .*suffix '\.ods'\. Save it as \.csv .* or \.xlsx"),
        ],
    )
    def test_what_is_no_sheet_is_named(self, tmp_path: Path, name: str, message: str) -> None:
        (tmp_path / "a.ods").touch()
        with pytest.raises(UtilityError, match=message):
            read_sheets([tmp_path / name], self.ASKED)


class TestReading:
    """Every rating has a rater, an item and a number on the scale; or an error says where not."""

    def test_raters_are_called_by_their_name_else_like_their_sheet(self, tmp_path: Path) -> None:
        sheets = write_sheets(tmp_path / "s.csv", ITEMS, asking(raters=2))
        ratings = {item.id: 3 for item in ITEMS}
        fill(sheets[0], ratings, rater=" Ann ")
        fill(sheets[1], ratings)
        read = read_sheets(sheets, asking(raters=2))
        assert {tuple(raters) for raters in read.values()} == {("Ann", "s-2")}
        assert list(read) == sorted(read)

    @pytest.mark.parametrize(
        ("value", "fault"),
        [
            ("good", r"'good'\) is not a number\. Write one such as"),
            ("1,500", r"'1,500'\) may be 1\.500 or 1500"),
            ("nan", r"'nan'\) is not a number"),
            ("1e999", r"'1e999'\) is not finite"),
            ("6", r"'6'\) is outside the range \[1, 5\]"),
            ("0.99", r"'0\.99'\) is outside the range"),
        ],
    )
    def test_a_bad_rating_is_named_with_file_line_item_and_value(
        self, tmp_path: Path, value: str, fault: str
    ) -> None:
        sheet = a_sheet(tmp_path, ",a,1", f',b,"{value}"')
        with pytest.raises(UtilityError, match=rf"sheet\.csv:3: item 'b': rating \({fault}"):
            read_sheets([sheet], few("a", "b"))

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ('{"id": "a", "rating": NaN}', r"s\.jsonl:2: NaN is not JSON"),
            ('{"id": "a", "rating": [3]}', r"s\.jsonl:2: item 'a': rating \(\[3\]\) is not a num"),
            ("[1]", r"s\.jsonl:2: \[1\] is not an object"),
            ('{"rating": 3}', r"s\.jsonl:2: rating 3 has no id"),
        ],
    )
    def test_a_bad_line_of_json_is_named(self, tmp_path: Path, line: str, message: str) -> None:
        sheet = tmp_path / "s.jsonl"
        sheet.write_text('{"rubric": "r", "ask": "s.ask.json"}\n' + line, encoding="utf-8")
        with pytest.raises(UtilityError, match=message):
            read_sheets([sheet], few("a"))

    def test_ids_that_were_not_asked_about_are_counted_and_five_are_named(
        self, tmp_path: Path
    ) -> None:
        sheet = a_sheet(tmp_path, ",a,1", *(f",{n},2" for n in range(7)))
        with pytest.raises(
            UtilityError,
            match=r"sheet\.csv:3: .*7 rated items were not asked about: .*'0', .* and 2 more\. A",
        ):
            read_sheets([sheet], few("a"))

    def test_a_rater_rates_an_item_once(self, tmp_path: Path) -> None:
        sheet = a_sheet(tmp_path, "Ann,a,1", "Bob,a,2", "Ann,a,3")
        with pytest.raises(
            UtilityError,
            match=r":4: item 'a': rating \(3\) is a second rating by 'Ann'; .*csv:2\. Keep",
        ):
            read_sheets([sheet], few("a"))

    def test_the_same_sheet_twice_is_no_second_rater(self, tmp_path: Path) -> None:
        sheet = a_sheet(tmp_path, ",a,1")
        with pytest.raises(UtilityError, match="a second rating by 'sheet'"):
            read_sheets([sheet, sheet], few("a"))

    def test_items_that_nobody_rated_are_counted_and_named(self, tmp_path: Path) -> None:
        sheet = a_sheet(tmp_path, ",a,1", ",b,")
        with pytest.raises(
            UtilityError, match=r"sheet\.csv: 2 of 3 items have no rating: 'b', 'c'\. .*`partial`"
        ):
            read_sheets([sheet], few("a", "b", "c"))

    def test_part_of_the_ratings_is_read_as_it_is_and_nothing_is_made_up(
        self, tmp_path: Path
    ) -> None:
        sheet = a_sheet(tmp_path, ",a,1", ",b,")
        assert read_sheets([sheet], few("a", "b", "c"), partial=True) == {"a": {"sheet": 1.0}}

    def test_a_sheet_without_any_rating_is_an_error_even_so(self, tmp_path: Path) -> None:
        sheet = a_sheet(tmp_path, ",a,", ",b,")
        with pytest.raises(UtilityError, match="2 of 2 items have no rating"):
            read_sheets([sheet], few("a", "b"), partial=True)


class TestAsking:
    """What was asked is found beside the sheet."""

    def test_a_renamed_sheet_still_names_it(self, tmp_path: Path) -> None:
        for suffix in (".csv", ".jsonl"):
            (sheet,) = write_sheets(tmp_path / f"sheet{suffix}", ITEMS, asking())
            assert find_asking(sheet.rename(tmp_path / f"ann{suffix}")) == asking()

    def test_a_sheet_without_its_comments_is_found_by_its_name(self, tmp_path: Path) -> None:
        write_asking(tmp_path / "sheet.ask.json", few("a"))
        for name in ("sheet.csv", "sheet-12.csv"):
            a_sheet(tmp_path, ",a,1").rename(tmp_path / name)
            assert find_asking(tmp_path / name) == few("a")

    def test_a_sheet_names_only_files_in_its_own_folder(self, tmp_path: Path) -> None:
        write_asking(tmp_path / "secret.ask.json", few("a"))
        folder = tmp_path / "sheets"
        folder.mkdir()
        sheet = a_sheet(folder, "rater,id,rating", ",a,1", header="# ask: ../secret.ask.json")
        with pytest.raises(UtilityError, match="says what was asked"):
            find_asking(sheet)

    def test_the_one_given_wins(self, tmp_path: Path) -> None:
        (sheet,) = write_sheets(tmp_path / "sheet.csv", ITEMS, asking())
        other = tmp_path / "other.json"
        write_asking(other, few("z"))
        assert find_asking(sheet, other) == few("z")

    def test_without_one_the_option_that_names_it_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(UtilityError, match=r"sheet\.ask\.json, which says .*`asked` FILE"):
            find_asking(a_sheet(tmp_path, ",a,1"))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"format": 2}, "it does not have format 1"),
            ({"ids": ["b", "a"]}, "sorted and distinct"),
            ({"ids": ["a", "a"]}, "sorted and distinct"),
            ({"ids": []}, "no items"),
            ({"ids": [1]}, "it does not have format 1"),
            ({"raters": 0}, "raters must be at least 1, not 0"),
            ({"range": [5, 1]}, r"range \[5, 1\] is empty"),
            ({"range": [1]}, "it does not have format 1"),
        ],
    )
    def test_a_damaged_one_is_named(
        self, tmp_path: Path, change: dict[str, Any], message: str
    ) -> None:
        path = tmp_path / "a.ask.json"
        write_asking(path, few("a", "b"))
        path.write_text(json.dumps(json.loads(path.read_bytes()) | change), encoding="utf-8")
        with pytest.raises(UtilityError, match=rf"a\.ask\.json .*{message}"):
            read_asking(path)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda path: None, r"cannot be read \(No such file"),
            (lambda path: path.write_bytes(b"{"), "is not JSON"),
            (lambda path: path.write_bytes(b"\xff"), "is not JSON"),
        ],
        ids=["missing", "cut", "not utf-8"],
    )
    def test_an_unreadable_one_is_named(
        self, tmp_path: Path, spoil: Callable[[Path], object], message: str
    ) -> None:
        path = tmp_path / "a.ask.json"
        spoil(path)
        with pytest.raises(UtilityError, match=rf"a\.ask\.json {message}"):
            read_asking(path)

    def test_it_is_kept_beside_the_sheet(self) -> None:
        assert ask_path(Path("x/my.sheet.csv")) == Path("x/my.sheet.ask.json")


def annotate(folder: Path, answers: Mapping[str, list[dict[str, Any]]]) -> None:
    """Add responses as Argilla exports them."""
    path = folder / "records.json"
    records = json.loads(path.read_bytes())
    for record in records:
        record["responses"] = {"rating": answers.get(record["id"], [])}
    path.write_text(json.dumps(records), encoding="utf-8")


class TestArgilla:
    """The folder is what Argilla 2 imports; its exports are read."""

    ITEMS = [Item("a", "Schäle", "mit Öl", "so"), Item("b", "Count")]

    def written(self, tmp_path: Path, **changes: Any) -> Path:
        asked = asking(self.ITEMS, raters=2, **changes)
        (folder,) = write_sheets(tmp_path / "my sheet.argilla", self.ITEMS, asked)
        return folder

    def test_all_raters_share_one_folder(self, tmp_path: Path) -> None:
        folder = self.written(tmp_path)
        settings = json.loads((folder / ".argilla/settings.json").read_bytes())
        dataset = json.loads((folder / ".argilla/dataset.json").read_bytes())
        assert settings["distribution"] == {"strategy": "overlap", "min_submitted": 2}
        assert settings["guidelines"] == dataset["guidelines"] == asking().rubric
        assert dataset["name"] == "my-sheet"

    def test_the_question_takes_the_whole_numbers_of_the_range(self, tmp_path: Path) -> None:
        folder = self.written(tmp_path, range=(0.0, 3.0))
        questions = json.loads((folder / ".argilla/settings.json").read_bytes())["questions"]
        assert [(each["name"], each["required"]) for each in questions] == [
            ("rating", True),
            ("comment", False),
        ]
        assert [each["value"] for each in questions[0]["settings"]["options"]] == [0, 1, 2, 3]

    def test_records_keep_id_and_text_and_blank_text_is_left_out(self, tmp_path: Path) -> None:
        folder = self.written(tmp_path)
        records = json.loads((folder / "records.json").read_bytes())
        assert {record["id"]: record["fields"] for record in records} == {
            "a": {"instruction": "Schäle", "input": "mit Öl"},
            "b": {"instruction": "Count"},
        }
        assert all(record["responses"] == {} for record in records)

    def test_the_order_is_shuffled(self, tmp_path: Path) -> None:
        (folder,) = write_sheets(tmp_path / "s.argilla", ITEMS, asking())
        order = [record["id"] for record in json.loads((folder / "records.json").read_bytes())]
        assert sorted(order) == [item.id for item in ITEMS]
        assert order != sorted(order)

    @pytest.mark.parametrize("bounds", [(0.0, 100.0), (-1.0, 1.0), (0.0, 0.5), (0.5, 1.5)])
    def test_a_range_that_argilla_lacks_is_refused_with_a_way_out(
        self, tmp_path: Path, bounds: tuple[float, float]
    ) -> None:
        with pytest.raises(UsageError, match=r"whole numbers from 0 to 10\. .*\.csv"):
            self.written(tmp_path, range=bounds)
        assert not list(tmp_path.iterdir())

    def test_a_rubric_that_argilla_would_refuse_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="rubric has 10001 characters"):
            self.written(tmp_path, rubric="x" * 10_001)

    def test_every_submitted_response_is_a_rating_by_its_user(self, tmp_path: Path) -> None:
        folder = self.written(tmp_path)
        draft = {"value": 5, "user_id": "u-3", "status": "draft"}
        skipped = {"value": None, "user_id": "u-4"}
        annotate(
            folder,
            {
                "a": [{"value": 2, "user_id": "u-1"}, {"value": 4, "user_id": "u-2"}, draft],
                "b": [{"value": 5, "user_id": "u-2", "status": "submitted"}, skipped],
            },
        )
        expected = {"a": {"u-1": 2.0, "u-2": 4.0}, "b": {"u-2": 5.0}}
        for export in (folder, folder / "records.json"):
            assert read_sheets([export], find_asking(export)) == expected

    @pytest.mark.parametrize(
        ("responses", "message"),
        [
            ({"rating": [{"value": 9, "user_id": "u"}]}, r"item 'a': rating \(9\) is outside"),
            ({"rating": [{"value": 3}]}, r"item 'a': .* is not a response with a user_id"),
            ({"rating": 3}, "is not a record with responses"),
            (None, "is not a record with responses"),
            ({}, r"1 of 1 items have no rating: 'a'"),
        ],
    )
    def test_a_bad_export_is_named_with_its_element(
        self, tmp_path: Path, responses: Any, message: str
    ) -> None:
        export = tmp_path / "records.json"
        export.write_text(json.dumps([{"id": "a", "responses": responses}]), encoding="utf-8")
        with pytest.raises(UtilityError, match=rf"records\.json:? ?(element 1:? )?{message}"):
            read_sheets([export], few("a"))


class TestLabelStudio:
    """Tasks and a configuration are what Label Studio imports; its exports are read."""

    ITEMS = [Item("a", "Peel & cut", 'with "oil"', "so"), Item("7", "Count")]

    def written(self, tmp_path: Path, **changes: Any) -> tuple[Path, list[Any]]:
        asked = asking(self.ITEMS, raters=2, **changes)
        (sheet,) = write_sheets(tmp_path / "sheet.json", self.ITEMS, asked)
        return sheet, json.loads(sheet.read_bytes())

    def test_a_task_has_all_fields_that_the_configuration_names(self, tmp_path: Path) -> None:
        _, tasks = self.written(tmp_path)
        assert {task["data"]["item_id"] for task in tasks} == {"a", "7"}
        view = ElementTree.fromstring((tmp_path / "sheet.json.config.xml").read_text("utf-8"))
        fields = {tag.get("value", "")[1:] for tag in view.iter("Text")}
        assert fields == {"instruction", "input", "rubric"}
        assert all(fields < task["data"].keys() for task in tasks)

    @pytest.mark.parametrize(
        ("bounds", "tag", "most"),
        [((1.0, 5.0), "Rating", "maxRating"), ((0.0, 100.0), "Number", "max")],
    )
    def test_the_control_takes_the_range(
        self, tmp_path: Path, bounds: tuple[float, float], tag: str, most: str
    ) -> None:
        self.written(tmp_path, range=bounds)
        view = ElementTree.fromstring((tmp_path / "sheet.json.config.xml").read_text("utf-8"))
        (control,) = view.iter(tag)
        assert (control.get("name"), control.get(most)) == ("rating", f"{bounds[1]:g}")

    @pytest.mark.parametrize("layout", ["JSON", "JSON-MIN", "CSV"])
    def test_every_annotation_is_a_rating_by_its_user(self, tmp_path: Path, layout: str) -> None:
        _, tasks = self.written(tmp_path)
        values = {"a": [(1, {"rating": 2}), (2, {"rating": 4})], "7": [(2, {"rating": 5})]}
        export = tmp_path / ("export.csv" if layout == "CSV" else "export.json")
        if layout == "CSV":
            export.write_text(label_studio.as_csv(tasks, values, "rating"), "utf-8", newline="")
            asked = find_asking(export, tmp_path / "sheet.ask.json")
        else:
            write = label_studio.as_json if layout == "JSON" else label_studio.as_json_min
            export.write_text(json.dumps(write(tasks, values, "rating")), encoding="utf-8")
            asked = find_asking(export)
        assert read_sheets([export], asked) == {"7": {"2": 5.0}, "a": {"1": 2.0, "2": 4.0}}

    def test_a_number_is_a_rating_and_a_skipped_task_none(self, tmp_path: Path) -> None:
        _, tasks = self.written(tmp_path, range=(0.0, 100.0))
        values = {"a": [(1, {"number": 37.5})], "7": [(1, {"number": 3})]}
        export = label_studio.as_json(tasks, values, "rating")
        for task in export:
            task["annotations"][0]["was_cancelled"] = task["data"]["item_id"] == "7"
        (tmp_path / "export.json").write_text(json.dumps(export), encoding="utf-8")
        asked = find_asking(tmp_path / "export.json")
        with pytest.raises(UtilityError, match=r"1 of 2 items have no rating: '7'"):
            read_sheets([tmp_path / "export.json"], asked)
        rated = read_sheets([tmp_path / "export.json"], asked, partial=True)
        assert rated == {"a": {"1": 37.5}}
