"""`hf:` pools: names, what becomes of rows, and what is said when there is no such data set."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from selectllm.core.errors import PoolError
from selectllm.data.hub import HubName, located, parse_hub, seen_from
from selectllm.data.pool import LoadedPool, Rejected, load_pool
from tests.conftest import Command, pool_rows, read_jsonl, write_jsonl
from tests.support.cli_files import MOCK, RATED, assert_refused, write_suite
from tests.support.hub_server import COMMIT, HubServer
from tests.support.pool_files import WRITERS, Row, jsonl, parquet

pytestmark = pytest.mark.skipif(  # it loads for seconds: not before a test needs it
    importlib.util.find_spec("datasets") is None,
    reason='needs the extra: pip install "selectllm[hf]"',
)
ROOT = Path(__file__).parents[2]

# Names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hf:org/name", HubName("org/name")),
        ("hf:org/name.v1-2_x:train", HubName("org/name.v1-2_x", split="train")),
        ("hf:org/name@v1", HubName("org/name", "v1")),
        ("hf:org/name@refs/pr/3:test", HubName("org/name", "refs/pr/3", None, "test")),
        ("hf:org/name:en-GB/test", HubName("org/name", None, "en-GB", "test")),
        ("hf:org/name@v1:en/train.part", HubName("org/name", "v1", "en", "train.part")),
        ("hf:./data", HubName("./data")),
        ("hf:../a b/c@d:en/test", HubName("../a b/c@d", None, "en", "test")),
        ("hf:/srv/data.jsonl:train", HubName("/srv/data.jsonl", split="train")),
        ("hf:~/data", HubName("~/data")),
        ("hf:.", HubName(".")),
    ],
)
def test_a_name_has_one_reading_and_a_path_keeps_its_text(text: str, name: HubName) -> None:
    assert parse_hub(text) == parse_hub(Path(text)) == name
    assert str(name) == str(Path(text)) == text
    assert name.is_local is (name.source[0] in "./~")


@pytest.mark.parametrize(
    "text",
    ["hf:", "hf:json", "hf:data", "hf:a/b/c", "hf:org/name:", "hf:org/name@:x"],
)
def test_a_name_that_cannot_be_read_is_told_how_to_be_written(text: str) -> None:
    with pytest.raises(
        PoolError, match=f"^{re.escape(text)} is not the name .* Write hf:ORG/NAME,"
    ):
        parse_hub(text)


@pytest.mark.parametrize(
    ("name", "place", "back"),
    [
        ("pool.jsonl", "/srv/suites/pool.jsonl", "../suites/pool.jsonl"),
        ("hf:./pool:train", "hf:/srv/suites/pool:train", "hf:../suites/pool:train"),
        ("hf:../runs/pool", "hf:/srv/suites/../runs/pool", "hf:./pool"),
        ("hf:/data/pool:a/b", "hf:/data/pool:a/b", "hf:../../data/pool:a/b"),
        ("hf:org/name@v1:a/b", "hf:org/name@v1:a/b", "hf:org/name@v1:a/b"),
    ],
)
def test_only_a_folder_is_relative_to_the_file_that_names_it(
    name: str, place: str, back: str
) -> None:
    found = located(Path("/srv/suites"), name)
    assert str(found) == place
    assert seen_from(Path("/srv/runs"), str(found)) == back
    again = os.path.normpath(located(Path("/srv/runs"), back))
    assert again == os.path.normpath(place)


# Rows


@pytest.fixture(scope="module")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(autouse=True)
def offline(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with HF_HUB_OFFLINE=1 and HF_HOME, which are read once, when the library is imported."""
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", hub_cache)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path: str, content: bytes | Sequence[Row]) -> Path:
    """Write a file of a data set."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else jsonl(content))
    return file


def load(name: str, **options: Any) -> LoadedPool:
    return load_pool(Path(name), **options)


def complaint(name: str, **options: Any) -> str:
    with pytest.raises(PoolError) as caught:
        load(name, **options)
    assert caught.value.exit_code == 2
    return str(caught.value)


TEXTS = [
    "q\r\nr",
    " q\u2028\u0000 ",
    "e\u0301 \U0001f600 \u00e9",
    "NA",
    "None",
    "null",
    "007",
    "1.0",
]


@pytest.mark.parametrize("name", ["pool.jsonl", "pool.json", "pool.csv", "pool.parquet"])
def test_a_data_set_reads_as_its_file_does(folder: Path, name: str) -> None:
    # pandas, which reads CSV for the library, ends a text at a NUL.
    texts = [text.replace("\0", "") for text in TEXTS] if name.endswith("csv") else TEXTS
    rows = [{"id": f"0{n}", "instruction": text, "input": text} for n, text in enumerate(texts)]
    file = put(f"set/{name}", WRITERS[name](rows))
    direct = load_pool(file).pool
    for hub_name in ("hf:./set", "hf:./set:train", f"hf:./set/{name}", f"hf:{file.resolve()}"):
        pool = load(hub_name).pool
        assert [item.row for item in pool.items] == rows
        assert (pool.sha256, pool.source) == (direct.sha256, hub_name)


ASKED = {"role": "user", "content": "q"}
ANSWERED = {"role": "assistant", "content": "r"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"instruction": "q", "input": "i", "output": "r"}, ("q", "i", "r")),
        ({"instruction": "q", "context": "i", "response": "r", "category": "c"}, ("q", "i", "r")),
        ({"prompt": "q", "completion": "r", "n": {"a": [1, None]}}, ("q", "", "r")),
        ({"messages": [ASKED, ANSWERED]}, ("q", "", "r")),
        ({"instruction": "q", "input": None, "output": None}, ("q", "", None)),
    ],
)
@pytest.mark.parametrize("write", [jsonl, parquet])
def test_layouts_are_those_of_other_pools(
    folder: Path, write: Any, row: Row, expected: tuple[str, str, str | None]
) -> None:
    put(f"set/data/train.{write.__name__}", write([row]))
    (item,) = load("hf:./set").pool.items
    assert (item.instruction, item.input, item.response) == expected
    assert item.row == row


def test_a_column_of_several_types_keeps_the_values_of_each_row(folder: Path) -> None:
    values: list[Any] = ["b", ["b"], {"c": 1}, None, 2.5]
    rows = [{"instruction": "q", "x": value, "chat": [{"y": value}]} for value in values]
    put("set/train.jsonl", rows)
    assert [item.row for item in load("hf:./set").pool.items] == rows


def test_a_mapping_names_columns_of_the_data_set(folder: Path) -> None:
    put("set/train.jsonl", [{"question": "q", "gold": "r"}])
    (item,) = load("hf:./set", columns={"instruction": "question", "response": "gold"}).pool.items
    assert (item.instruction, item.response) == ("q", "r")
    message = complaint("hf:./set:train")
    assert message.startswith("hf:./set:train row 1: no column holds the instruction (columns: ")


def test_a_bad_row_is_named_by_its_number_or_left_out(folder: Path) -> None:
    rows = [{"instruction": text} for text in ("a", "", "b", None)]
    put("set/train.jsonl", rows)
    assert complaint("hf:./set:train") == (
        "hf:./set:train row 2: instruction is empty. Fill it in or leave the row out "
        "(select: `skip_bad`)"
    )
    loaded = load("hf:./set", skip_bad=True)
    assert [item.instruction for item in loaded.pool.items] == ["a", "b"]
    assert loaded.rejected == (
        Rejected(2, "instruction is empty", '{"instruction": ""}'),
        Rejected(4, "instruction is missing", '{"instruction": null}'),
    )


def test_text_that_is_not_utf_8_spoils_its_own_row_alone(folder: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    texts = [b"a", b"caf\xe9", b"b"]
    column = pa.array(texts, pa.binary()).view(pa.string())
    Path("set").mkdir()
    pq.write_table(pa.table({"instruction": column}), "set/train.parquet")
    loaded = load("hf:./set", skip_bad=True)
    assert [item.instruction for item in loaded.pool.items] == ["a", "b"]
    (rejected,) = loaded.rejected
    assert (rejected.line, rejected.row) == (2, r"b'caf\xe9'")


# Splits and configurations


def test_the_split_is_the_only_one_else_train_else_the_one_named(folder: Path) -> None:
    put("one/validation.jsonl", [{"instruction": "v"}])
    assert [item.instruction for item in load("hf:./one").pool.items] == ["v"]
    for split in ("train", "test"):
        put(f"two/{split}.jsonl", [{"instruction": split}])
    assert [item.instruction for item in load("hf:./two").pool.items] == ["train"]
    assert [item.instruction for item in load("hf:./two:test").pool.items] == ["test"]
    message = complaint("hf:./two:tset")
    assert message == (
        "hf:./two:tset: there is no split 'tset'. Did you mean 'test'? There are: test, train"
    )
    Path("two/train.jsonl").rename("two/validation.jsonl")
    assert complaint("hf:./two") == (
        "hf:./two has the splits validation, test, and none is called train. Name one of them: "
        "hf:./two:validation"
    )


CONFIGURED = b"""---
configs:
- {config_name: en, data_files: [{split: train, path: en.jsonl}]}
- {config_name: de, data_files: [{split: train, path: de.jsonl}]}
---
"""


def test_a_configuration_is_named_before_the_split(folder: Path) -> None:
    put("set/README.md", CONFIGURED)
    for language in ("en", "de"):
        put(f"set/{language}.jsonl", [{"instruction": language}])
    assert [item.instruction for item in load("hf:./set:de/train").pool.items] == ["de"]
    assert complaint("hf:./set") == (
        "hf:./set: has several configurations (en, de). Name one and its split: hf:./set:en/train"
    )
    assert complaint("hf:./set:dee/train") == (
        "hf:./set:dee/train: there is no configuration 'dee'. Did you mean 'de'? There are: de, en"
    )


# What cannot be had


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "hf:./set does not exist. Check the path"),
        ({"notes.unknown": b"x"}, "cannot be read as a data set: No (supported) data files"),
        (
            {"set.py": b"raise SystemExit"},
            "is made by its own program, which selectllm does not run",
        ),
        ({"train.jsonl": b""}, "the pool is empty. Give it at least one row"),
        ({"train.csv": b"id,instruction\n"}, "the pool is empty. Give it at least one row"),
        ({"train.jsonl": b'{"instruction": "a"}\n{"instr'}, "cannot be read as a data set: JSON "),
    ],
)
def test_a_folder_that_is_no_data_set_is_an_error(
    folder: Path, files: dict[str, bytes], message: str
) -> None:
    for name, content in files.items():
        put(f"set/{name}", content)
    assert complaint("hf:./set").removeprefix("hf:./set: ").startswith(message)


def test_a_name_that_is_neither_reached_nor_cached_says_so(folder: Path) -> None:
    put("no/such/train.jsonl", [{"instruction": "of a folder, not of the hub"}])
    message = complaint("hf:no/such:train")
    assert message.startswith("hf:no/such:train: the Hugging Face hub cannot be reached, and its ")
    assert "Check the network" in message


def in_a_child(code: str, **environment: str) -> list[str]:
    """The lines that `code` prints in a new interpreter, with nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_without_the_library_the_extra_to_install_is_named(folder: Path) -> None:
    put("set/train.jsonl", [{"instruction": "a"}])
    (message,) = in_a_child(
        "import sys; sys.modules['datasets'] = None\n"
        "from pathlib import Path\n"
        "from selectllm.core.errors import ExtraMissing\n"
        "from selectllm.data.pool import load_pool\n"
        "try:\n"
        "    load_pool(Path('hf:./set'))\n"
        "except ExtraMissing as error:\n"
        "    print(error)\n"
    )
    assert message.startswith("hf:./set: a data set of the hub needs datasets")
    assert message.endswith('To install it, run: pip install "selectllm[hf]"')


# The hub

LOADING = """
from pathlib import Path
from selectllm.core.errors import PoolError
from selectllm.data.pool import load_pool
for name in NAMES:
    try:
        print([item.instruction for item in load_pool(Path(name)).pool.items])
    except PoolError as error:
        print(error)
"""
SERVED = {
    "README.md": b"---\n---\n",
    "data/train.jsonl": b'{"instruction": "a"}\n{"instruction": "b"}\n',
    "data/test.jsonl": b'{"instruction": "c"}\n',
}


def test_a_data_set_of_the_hub_is_fetched_once_and_a_revision_is_never_another(
    folder: Path,
) -> None:
    put("org/name/train.jsonl", [{"instruction": "of a folder, not of the hub"}])
    with HubServer(SERVED) as hub:
        told = in_a_child(
            f"NAMES = ['hf:org/name', 'hf:org/name@v1:test', 'hf:org/name@v9', 'hf:org/gated',"
            f" 'hf:org/secret']\n{LOADING}",
            HF_ENDPOINT=hub.url,
            HF_HOME="home",
            HF_HUB_OFFLINE="0",
        )
        fetched = [path for method, path in hub.asked if method == "GET" and "/data/" in path]
    assert told[:2] == ["['a', 'b']", "['c']"]
    assert sorted(path.rpartition("/")[2] for path in fetched) == ["test.jsonl", "train.jsonl"]
    assert told[2].startswith("hf:org/name@v9: Revision 'v9' doesn't exist for dataset 'org/name'")
    assert "Accept the terms at https://huggingface.co/datasets/org/gated, and log in" in told[3]
    assert "'org/secret' doesn't exist on the Hub or cannot be accessed. Check the name" in told[4]

    kept = in_a_child(
        f"NAMES = ['hf:org/name:test', 'hf:org/name@{COMMIT}:test', 'hf:org/name@v1']\n{LOADING}",
        HF_HOME="home",
        HF_HUB_OFFLINE="1",
    )
    assert kept[:2] == ["['c']", "['c']"]
    assert "cannot be reached, and its cache holds no copy that fits" in kept[2]


# The command line


def test_select_writes_items_of_a_data_set(selectllm: Command) -> None:
    put("set/train.jsonl", pool_rows())
    outcome = selectllm("select", "hf:./set", "--budget", 8, *MOCK, "-o", "out.jsonl")
    assert (outcome.code, outcome.err.count("Generating")) == (0, 0), outcome.err
    selected = read_jsonl(Path("out.jsonl"))
    ids = {row["id"]: row for row in pool_rows()}
    assert len(selected) == 8
    for row in selected:
        del row["_selectllm"]
        assert row == ids[row["id"]]
    missing = ("select", "hf:./set:tset", "--budget", 8, *MOCK, "-o", "other.jsonl")
    assert_refused(selectllm(*missing), "hf:./set:tset: there is no split 'tset'")


def test_a_suite_on_a_data_set_is_run_resumed_verified_and_found_again(
    selectllm: Command,
) -> None:
    put("data/set/train.jsonl", pool_rows())
    changes = ("pool: pool.jsonl -> pool: hf:../data/set:train", RATED.strip())
    suite = write_suite(*changes, path="suites/s.yaml")
    assert selectllm("eval", suite, "-o", "runs/one").code == 0
    first = Path("runs/one/results.json").read_bytes()
    described = json.loads(Path("runs/one/run.json").read_bytes())
    assert described["pool"]["path"] == "hf:../../data/set:train"

    decided = Path("runs/one/decisions.jsonl").read_bytes()
    assert selectllm("eval", suite, "-o", "runs/one").code == 0
    assert Path("runs/one/decisions.jsonl").read_bytes() == decided
    assert Path("runs/one/results.json").read_bytes() == first
    assert selectllm("verify", "runs/one").code == 0
    assert selectllm("utility", "ask", "runs/one", "-o", "sheet.csv", "--quiet").code == 0

    # The same items from a file: the same evaluation, but for where they came from.
    write_jsonl(Path("pool.jsonl"), pool_rows())
    write_suite(RATED.strip())
    assert selectllm("eval", "suite.yaml", "-o", "runs/two").code == 0
    assert Path("runs/two/results.json").read_bytes() == first

    shutil.rmtree("data")
    refused = selectllm("utility", "ask", "runs/one", "-o", "again.csv", "--quiet")
    assert_refused(refused, "does not exist", "run.json")
