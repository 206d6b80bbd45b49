"""Former modules: they work for one more release, and name the new place."""

from __future__ import annotations

import importlib
import sys

import pytest

from selectllm.prompting.replies.parse import parse
from selectllm.utility.sources import UTILITIES, UtilitySource


@pytest.mark.parametrize(
    ("module", "names", "place"),
    [
        ("selectllm.parse", {"parse": parse}, r"selectllm\.prompting\.replies\.parse"),
        (
            "selectllm.utility_sources",
            {"UTILITIES": UTILITIES, "UtilitySource": UtilitySource},
            r"UTILITIES from selectllm\.utility\.sources",
        ),
    ],
)
def test_a_former_module_works_and_names_the_new_place(
    monkeypatch: pytest.MonkeyPatch, module: str, names: dict[str, object], place: str
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.warns(DeprecationWarning, match=place):
        former = importlib.import_module(module)
    assert {name: getattr(former, name) for name in names} == names
