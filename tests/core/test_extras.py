"""What a light installation lacks is told in one way, with a line to copy, before work begins."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from selectllm.core import extras
from selectllm.core.errors import ExtraMissing, UsageError
from selectllm.jobs.session import Session
from tests.conftest import Command
from tests.support.cli_files import write_suite

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def absent(patch: pytest.MonkeyPatch, *modules: str) -> None:
    """As if these were not installed."""
    for module in modules:
        patch.setitem(sys.modules, module, None)


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent(monkeypatch, "sklearn")
    line = r'dividing needs scikit-learn, .*To install it, run: pip install "selectllm\[embed\]"$'
    with pytest.raises(ExtraMissing, match=line):
        extras.check("embed", "sklearn", "dividing")
    with pytest.raises(ExtraMissing, match=line):
        extras.need("embed", "sklearn", "dividing")


def test_one_that_is_broken_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text("import nothing_of_that_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    extras.check("local", "broken_module", "answering")
    with pytest.raises(UsageError, match=r"cannot be imported .*nothing_of_that_name"):
        extras.need("local", "broken_module", "answering")


def test_one_that_is_there_is_given() -> None:
    assert extras.need("embed", "json", "nobody") is sys.modules["json"]


def test_every_extra_that_is_named_is_one_of_the_project() -> None:
    offered = PROJECT["optional-dependencies"]
    assert set(extras.MAIN) | {"all", "browser", "docs", "test"} == offered.keys()
    (everything,) = offered["all"]
    assert everything == extras.pip_line(*sorted(extras.MAIN)).split('"')[1]


def test_the_core_names_none_of_what_the_extras_bring() -> None:
    names = {re.split(r"[<>=!]", each)[0] for each in PROJECT["dependencies"]}
    assert not names & {"torch", "sentence-transformers", "dspy-ai", "scikit-learn", "datasets"}


@pytest.mark.parametrize(
    "words",
    [
        ("--prompt", "short@1", "--model", "mock/first"),
        ("--prompt", "short@1", "--model", "mock/first", "--dry-run"),
        (
            *("--prompt", "short@1", "--model", "mock/first"),
            *("--prefilter", "rating:quality@1+mock/first:0.5"),
        ),
    ],
)
def test_select_names_the_extra_and_clusters_that_do_without(
    selectllm: Command, pool_file: str, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    absent(monkeypatch, "sentence_transformers")
    outcome = selectllm("select", pool_file, "--budget", 3, *words)
    assert outcome.code == 2
    assert 'pip install "selectllm[embed]"' in outcome.err
    assert "--by random" in outcome.err
    assert not Path("pool.selected.jsonl").exists()
    assert selectllm("select", pool_file, "--budget", 3, "--by", "random", *words).code == 0


def test_given_vectors_need_no_encoder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import numpy as np

    absent(monkeypatch, "sentence_transformers")
    np.save(tmp_path / "v.npy", np.eye(3, dtype=np.float32))
    with Session(tmp_path, vectors=tmp_path / "v.npy") as session:
        session.check_encoder()
    with Session(tmp_path) as session, pytest.raises(ExtraMissing):
        session.check_encoder()


SETS = "sets: {budgets: [4], seeds: [0]}"


def test_sets_that_embed_nothing_need_no_encoder(
    selectllm: Command, pool_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent(monkeypatch, "sentence_transformers")
    suite = write_suite(SETS, "strategies: [random, longest]")
    made = selectllm("sets", suite, "--json")
    assert made.code == 0, made.err
    assert made.json["pool"]["vendi"] is None
    (note,) = made.json["notes"]
    assert 'pip install "selectllm[embed]"' in note
    needy = write_suite(SETS, "strategies: [random, k-center]")
    refused = selectllm("sets", needy)
    assert refused.code == 2
    assert 'pip install "selectllm[embed]"' in refused.err


def test_init_says_what_its_quickstart_lacks(
    selectllm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent(monkeypatch, "sentence_transformers", "xllamacpp")
    made = selectllm("init", "demo")
    assert made.code == 0
    assert 'pip install "selectllm[embed,local]"' in made.err
