"""Imported utilities: what raters gave, or another tool computed, with every fault named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import selectllm.report.schemas
from selectllm.core.errors import UtilityError
from selectllm.utility.annotation.asked import Asking
from selectllm.utility.annotation.rater_agreement import (
    krippendorff_alpha,
    rater_noise,
    reliability,
)
from selectllm.utility.annotation.ratings_file import write_ratings
from selectllm.utility.imported import imported, read_ratings
from selectllm.utility.utility import Utility

Table = dict[str, dict[str, float]]

THREE: Table = {
    "b": {"Ann": 4.0, "Bob": 5.0, "Eve": 4.0},
    "a": {"Ann": 1.0, "Bob": 2.0, "Eve": 1.5},
    "c": {"Ann": 3.0},
}
tables = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.dictionaries(st.text(min_size=1, max_size=3), st.floats(1, 5), min_size=1, max_size=4),
    min_size=1,
    max_size=6,
)


def asking(*ids: str, differing: bool = False) -> Asking:
    return Asking("demo", "0" * 64, (1.0, 5.0), differing, 3, tuple(sorted(ids)), "Rate it.")


def written(tmp_path: Path, ratings: Table = THREE) -> Path:
    path = tmp_path / "ratings.jsonl"
    write_ratings(path, ratings, asking("a", "b", "c", "d"))
    return path


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().rstrip(b"\n").split(b"\n")]


def put(tmp_path: Path, text: str, name: str = "values.jsonl") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


class TestRatingsFile:
    """What `utility import` writes."""

    def test_the_first_line_says_what_was_asked_and_how_far_the_raters_agree(
        self, tmp_path: Path
    ) -> None:
        assert lines_of(written(tmp_path))[0]["ratings"] == {
            "format": 1,
            "suite": "demo",
            "pool_sha256": "0" * 64,
            "range": [1.0, 5.0],
            "raters": ["Ann", "Bob", "Eve"],
            "items": 3,
            "asked": 4,
            "differing": False,
            "alpha": krippendorff_alpha(THREE),
            "rater_noise": rater_noise(THREE),
            "reliability": reliability(THREE),
        }

    def test_the_items_follow_by_id_with_their_mean(self, tmp_path: Path) -> None:
        rows = lines_of(written(tmp_path))[1:]
        assert [row["id"] for row in rows] == ["a", "b", "c"]
        assert rows[0] == {"id": "a", "value": 1.5, "ratings": THREE["a"]}

    def test_the_same_ratings_give_the_same_bytes(self, tmp_path: Path) -> None:
        one = written(tmp_path).read_bytes()
        turned = {item: dict(reversed(THREE[item].items())) for item in reversed(THREE)}
        assert written(tmp_path, turned).read_bytes() == one

    @pytest.mark.parametrize("ratings", [THREE, {"a": {"Ann": 1.0}}])
    def test_every_line_is_as_the_schema_says(self, tmp_path: Path, ratings: Table) -> None:
        schema = Path(selectllm.report.schemas.__file__).with_name("ratings.json")
        validator = Draft202012Validator(json.loads(schema.read_bytes()))
        for line in lines_of(written(tmp_path, ratings)):
            validator.validate(line)

    @given(tables)
    def test_ratings_come_back_as_they_were(
        self, tmp_path_factory: pytest.TempPathFactory, ratings: Table
    ) -> None:
        path = tmp_path_factory.mktemp("ratings") / "r.jsonl"
        content = write_ratings(path, ratings, asking(*ratings, differing=True))
        assert read_ratings(path) == content
        assert content.ratings == ratings

    def test_another_suffix_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UtilityError, match=r"r\.csv: .*Name it \.jsonl"):
            write_ratings(tmp_path / "r.csv", THREE, asking("a", "b", "c"))


class TestImported:
    """A file as a utility."""

    def test_ratings_become_a_utility_with_range_rater_and_reliability(
        self, tmp_path: Path
    ) -> None:
        utility = imported(written(tmp_path), name="rating")
        alpha = krippendorff_alpha(THREE)
        assert utility == Utility(
            name="rating",
            source="import",
            kind="human",
            values={"a": 1.5, "b": 13 / 3, "c": 3.0},
            rater=f"3 raters (alpha {alpha:.2f})",
            reliability=reliability(THREE),
            range=(1.0, 5.0),
        )

    def test_a_single_rater_is_named_and_says_nothing_of_reliability(self, tmp_path: Path) -> None:
        utility = imported(written(tmp_path, {"a": {"Ann": 1.0}, "b": {"Ann": 2.0}}), name="r")
        assert (utility.rater, utility.reliability) == ("Ann", None)

    def test_raters_who_share_no_item_have_no_alpha(self, tmp_path: Path) -> None:
        path = written(tmp_path, {"a": {"Ann": 1.0}, "b": {"Bob": 2.0}})
        assert imported(path, name="r").rater == "2 raters"

    def test_the_suite_may_name_rater_and_kind(self, tmp_path: Path) -> None:
        utility = imported(written(tmp_path), name="r", kind="model", rater="a judge")
        assert (utility.kind, utility.rater) == ("model", "a judge")

    def test_the_suites_range_must_be_the_files(self, tmp_path: Path) -> None:
        path = written(tmp_path)
        assert imported(path, name="r", value_range=(1, 5)).range == (1, 5)
        with pytest.raises(UtilityError, match=r"scale \[1, 5\], and the suite says range \[0, 1"):
            imported(path, name="r", value_range=(0, 10))

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("v.jsonl", '{"id": "a", "value": 1}\n\n{"id": 2, "value": "4.5", "note": null}\n'),
            ("v.csv", "id,value\na,1\n2,4.5\n"),
            ("v.csv", "\ufeffnote;value;id\r\nx;1;a\r\n;4.5;2\r\n"),
        ],
    )
    def test_ids_and_values_of_other_tools_are_read(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        utility = imported(put(tmp_path, text, name), name="u", kind="outcome", value_range=(0, 5))
        assert utility == Utility(
            "u", "import", "outcome", {"a": 1.0, "2": 4.5}, None, None, (0, 5)
        )

    def test_without_a_range_any_finite_number_will_do(self, tmp_path: Path) -> None:
        utility = imported(put(tmp_path, '{"id": "a", "value": -1e6}'), name="u")
        assert (utility.values, utility.range) == ({"a": -1e6}, None)


class TestFaults:
    """Every fault is named with file, line and value."""

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ('{"id": "b", "value": NaN}', "2: NaN is not JSON"),
            ('{"id": "b", "value": 1e999}', "2: number '1e999' is too large"),
            ('{"id": "b", "value": "good"}', r"2: item 'b': value \('good'\) is not a number"),
            ('{"id": "b", "value": 6}', r"2: item 'b': value \(6\) is outside the range \[1, 5\]"),
            ('{"id": "b"}', r"2: item 'b': value \(None\) is missing"),
            ('{"id": "a", "value": 2}', r"2: item 'a' is in .*values\.jsonl:1 too"),
            ('{"id": "", "value": 2}', "2: id is ''"),
            ('{"value": 2}', "2: id is None"),
            ('{"id": true, "value": 2}', "2: id is True"),
            ("[2]", r"2: \[2\] is not an object"),
            ("{", "2: not JSON"),
        ],
    )
    def test_a_bad_row(self, tmp_path: Path, row: str, message: str) -> None:
        path = put(tmp_path, '{"id": "a", "value": 1}\n' + row)
        with pytest.raises(UtilityError, match=rf"values\.jsonl:{message}"):
            imported(path, name="u", value_range=(1, 5))

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("b,inf", r"3: item 'b': value \('inf'\) is not a number"),
            ("b,", r"3: item 'b': value \(''\) is missing"),
            ('b,"0,500"', r"3: .* 0\.500 or 0500"),
            ("a,2", r"3: item 'a' is in .*v\.csv:2 too"),
            (",2", "3: id is ''"),
        ],
    )
    def test_a_bad_row_of_csv(self, tmp_path: Path, row: str, message: str) -> None:
        path = put(tmp_path, f"id,value\na,1\n{row}\n", "v.csv")
        with pytest.raises(UtilityError, match=rf"v\.csv:{message}"):
            imported(path, name="u")

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("v.jsonl", None, "does not exist"),
            ("v.csv", None, "does not exist"),
            ("v.txt", b"", r"suffix '\.txt'\. Write \.jsonl, \.csv or \.xlsx"),
            ("v.jsonl", b"", "holds no values"),
            ("v.csv", b"id,value\n", "holds no values"),
            ("v.csv", b"id,score\na,1\n", "no column 'value'. It holds: 'id', 'score'"),
            ("v.jsonl", b'{"id": "\xff", "value": 1}', "is not UTF-8"),
        ],
    )
    def test_a_file_that_cannot_be_used(
        self, tmp_path: Path, name: str, content: bytes | None, message: str
    ) -> None:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(UtilityError, match=rf"{name}.*{message}"):
            imported(tmp_path / name, name="u")

    def test_an_empty_range(self, tmp_path: Path) -> None:
        with pytest.raises(UtilityError, match=r"range \[5, 1\] is empty"):
            imported(written(tmp_path), name="u", value_range=(5, 1))

    @pytest.mark.parametrize(
        ("line", "change", "message"),
        [
            (1, {"value": 2.0}, r":2: item 'a': value \(2\.0\) is not the mean .* \(1\.5\)"),
            (1, {"ratings": {"Ann": 9}}, r":2: item 'a': rating by 'Ann' \(9\) is outside the"),
            (1, {"ratings": {"Ann": None}}, r":2: item 'a': rating by 'Ann' \(None\) is missing"),
            (1, {"ratings": {}}, r":2: item 'a': ratings \({}\) holds none"),
            (2, {"id": "a"}, r":3: item 'a' is in .*:2 too"),
            (0, {"ratings": {"format": 2}}, ":1 does not begin a ratings file of format 1"),
            (0, {"ratings": []}, ":1 does not begin a ratings file of format 1"),
        ],
    )
    def test_an_edited_ratings_file(
        self, tmp_path: Path, line: int, change: dict[str, Any], message: str
    ) -> None:
        rows = lines_of(written(tmp_path))
        rows[line] |= change
        path = put(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "ratings.jsonl")
        with pytest.raises(UtilityError, match=rf"ratings\.jsonl{message}"):
            imported(path, name="u")

    @pytest.mark.parametrize("kept", [1, 2, 3])
    def test_a_ratings_file_that_was_cut(self, tmp_path: Path, kept: int) -> None:
        rows = lines_of(written(tmp_path))[:kept]
        path = put(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "ratings.jsonl")
        with pytest.raises(UtilityError, match=rf"holds {kept - 1} items, and .* says 3"):
            imported(path, name="u")
