"""Suite files: what they may say, and one clear error for what they may not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selectllm.core.errors import SuiteError
from selectllm.evaluation.suite import Suite, load_suite
from selectllm.models.model import Price

GOOD = """
name: demo
pool: pool.jsonl
utilities:
  - {name: rating, source: ratings, column: rating, range: [1, 5]}
picks: 2
prompts: [short@1]
models: [mock/first]
"""


def load(tmp_path: Path, text: str) -> Suite:
    path = tmp_path / "suite.yaml"
    path.write_text(text, encoding="utf-8")
    return load_suite(path)


def test_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    suite = load(tmp_path, GOOD)
    assert (suite.orders, suite.repeats, suite.reask, suite.seed) == (1, 1, 2, 0)
    assert (suite.clusters.by, suite.structured, suite.gate.margin) == ("diverse", "auto", 0.10)
    assert suite.utilities[0].kind == "human"


def test_a_bare_model_id_and_a_full_entry(tmp_path: Path) -> None:
    models = """
models:
  - openai/gpt-4o-mini
  - {name: q4, id: ollama_chat/llama3.1:8b, api_base: "http://localhost:11434", revision: q4_k_m,
     context: 8192, price: {input: 0, output: 1.5}, temperature: 0.5, extra: {min_p: 0.1}}
"""
    bare, full = load(tmp_path, GOOD.replace("models: [mock/first]", models)).specs()
    assert (bare.name, bare.id, bare.price) == ("openai/gpt-4o-mini", "openai/gpt-4o-mini", None)
    assert (full.name, full.revision, full.price) == ("q4", "q4_k_m", Price(0.0, 1.5))
    assert (full.temperature, dict(full.extra)) == (0.5, {"min_p": 0.1})


def test_models_share_settings_by_merge_keys(tmp_path: Path) -> None:
    models = """
models:
  - &base {id: mock/first, name: a, max_tokens: 512}
  - {<<: *base, name: b, temperature: 0.5}
"""
    first, second = load(tmp_path, GOOD.replace("models: [mock/first]", models)).specs()
    assert (first.name, first.max_tokens, first.temperature) == ("a", 512, 0.0)
    assert (second.name, second.max_tokens, second.temperature) == ("b", 512, 0.5)


def test_a_number_without_a_dot_is_a_number_wherever_one_can_stand(tmp_path: Path) -> None:
    models = """
models:
  - {id: mock/first, temperature: 1e-2, extra: {min_p: 1e-2, of: [{top_a: 5e-1}], tag: '1e-2'}}
"""
    (spec,) = load(tmp_path, GOOD.replace("models: [mock/first]", models)).specs()
    assert spec.temperature == 0.01
    assert dict(spec.extra) == {"min_p": 0.01, "of": [{"top_a": 0.5}], "tag": "1e-2"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("vote: {orders: [2, 7], until: '0.8'}", "vote.until: '0.8' should be a number, without"),
        ("vote: {orders: [2, 7], until: true}", "vote.until: True should be a number, not true"),
        ("max_tokens: true", "max_tokens: True should be a whole number, not true or false"),
        ("max_tokens: '64'", "max_tokens: '64' should be a whole number, without quotes"),
        ("price: {input: no, output: 1}", "price.input: False should be a number, not true"),
        ("temperature: warm", "temperature: 'warm' should be a number"),
        ("structured: 'yes'", "structured: 'yes' should be true or false"),
        ("structured: 1", "structured: 1 should be true or false"),
    ],
)
def test_neither_text_nor_a_truth_value_is_a_number(
    tmp_path: Path, entry: str, message: str
) -> None:
    models = f"models: [{{id: mock/first, {entry}}}]"
    with pytest.raises(SuiteError, match=re.escape(f"models.0.{message}")):
        load(tmp_path, GOOD.replace("models: [mock/first]", models))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("picks: true", "picks: True should be a whole number"),
        ("seed: '3'", "seed: '3' should be a whole number"),
        ("clusters: {size: '5'}", "clusters.size: '5' should be a whole number"),
        ("gate: {margin: '0.1'}", "gate.margin: '0.1' should be a number"),
        ("budget: {name: team, limit: yes}", "budget.limit: True should be a number"),
        ("sets: {budgets: ['10']}", "sets.budgets.0: '10' should be a whole number"),
        ("utilities: [{name: r, source: ratings, column: r, range: ['1', 5]}]", "range.0: '1'"),
    ],
)
def test_so_it_is_wherever_a_suite_has_a_number(tmp_path: Path, line: str, message: str) -> None:
    key = line.partition(":")[0]
    rest = "".join(
        f"{part}\n" for part in GOOD.splitlines() if not part.startswith((f"{key}:", "  - {name"))
    ).replace("utilities:\n", "")
    with pytest.raises(SuiteError, match=re.escape(message)):
        load(tmp_path, f"{rest}{line}\n")


def test_a_large_value_is_shown_shortened(tmp_path: Path) -> None:
    rows = ", ".join(["[x, x, x, x, x, x, x, x, x, x]"] * 500)
    with pytest.raises(SuiteError, match=r"picks: \[\['x', .*\.\.\. should be") as caught:
        load(tmp_path, GOOD.replace("picks: 2", f"picks: [{rows}]"))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("written", ["off", "'off'", "false"])
def test_structured_off_survives_yaml(tmp_path: Path, written: str) -> None:
    assert load(tmp_path, GOOD + f"structured: {written}\n").structured == "off"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("picks:", "pikcs:"), "unknown key 'pikcs'. Did you mean 'picks'"),
        (("column:", "colum:"), "'utilities.0.column' is missing"),
        (("picks: 2", "picks: 0"), "picks: 0 should be at least 1"),
        (("picks: 2", "picks: 2\ngate: {severe: 0.3}"), "gate.severe: 0.3 should be a mapping"),
        (("picks: 2", "picks: two"), "picks: 'two' should be a whole number"),
        (
            ("source: ratings", "source: rating"),
            "'rating' is none of ratings, knn, import, pairwise, ifd, or module:attr of your own. "
            "Did you mean 'ratings'?",
        ),
        (
            ("[mock/first]", "[mock/first, mock/first]"),
            "models: Two entries have the name 'mock/first'",
        ),
        (("[mock/first]", "[]"), "models is empty. Name at least one prompt and one model"),
        (("name: demo", "name: de/mo"), "name: 'de/mo' String should match pattern"),
        (("name: demo", "name: demo\nname: twice"), "the key 'name' appears twice"),
        (("picks: 2", "picks: 10"), "picks: 10 items cannot be chosen from clusters of 10"),
        (("pool: pool.jsonl", ""), "'pool' is missing"),
        (("picks: 2", "gate: {utility: rated}"), "gate.utility: 'rated' is none of"),
        (("picks: 2", "clusters: {sise: 5}"), "unknown key 'clusters.sise'. Did you mean 'size'"),
        (("picks: 2", "clusters: {by: kmeans}"), "clusters.by: 'kmeans' should be 'diverse'"),
        (
            ("[mock/first]", "[{id: a/b, prise: 1}]"),
            "unknown key 'models.0.prise'. Did you mean 'price'",
        ),
        (("name: demo", "- demo"), "not YAML"),
    ],
)
def test_bad_input_gets_one_clear_error(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(SuiteError) as caught:
        load(tmp_path, GOOD.replace(*change))
    assert message in str(caught.value)
    assert str(tmp_path / "suite.yaml") in str(caught.value)


def test_files_that_are_no_suite(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="cannot be read"):
        load_suite(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(SuiteError, match="not UTF-8"):
        load_suite(tmp_path / "latin.yaml")
    with pytest.raises(SuiteError, match="a suite consists of keys and values"):
        load(tmp_path, "- a list")
    with pytest.raises(SuiteError, match="nothing to evaluate"):
        load(tmp_path, "name: a\npool: p\n")
