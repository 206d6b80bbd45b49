"""The house's structure: imports go one way, no cycles, nothing heavy loads unless it is used."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "selectllm"
MOST_ENTRIES = 17
HEAVY = {
    *("litellm", "openai", "torch", "transformers", "sentence_transformers", "sklearn", "dspy"),
    *("polars", "pandas", "datasets", "peft", "xllamacpp", "ray"),
}

# From the inside out: a room imports only from itself and from the rooms above it in this list;
# rooms of one line do not import each other.
ROOMS = (
    {"core"},
    {"stats", "data"},
    {"models"},
    {"prompting"},
    {"selection"},
    {"utility"},
    {"evaluation"},
    {"optimization", "downstream"},
    {"report"},
    {"jobs"},
    {"cli"},
    {"pytest_plugin"},
    {"__init__", "__main__"},
)
# The same inside a room, over its folders and files. What a line does not name comes last.
INSIDE = {
    "models": (
        {"model", "tokens", "token_logprobs", "secrets"},
        {"providers"},
        {"wrappers"},
        {"connect"},
    ),
    "prompting": (
        {"variables", "replies", "metering"},
        {"sandbox"},
        {"template"},
        {"prompt"},
        {"library"},
    ),
    "selection": (
        {"schema"},
        {"clustering"},
        {"selector", "task", "decision_log", "voting", "concurrency", "overfilled"},
        {"ways"},
        {"ask", "merits"},
        {"scorers"},
        {"strategies"},
        {"by_model", "by_strategy", "output"},
    ),
    "utility": ({"schema"}, {"utility"}, {"annotation"}),
    "evaluation": (
        {"suite_entries"},
        {"suite", "suite_paths", "suite_keys", "suite_columns", "metrics"},
        {"comparison"},
        {"runs", "two_runs"},
        {"sets"},
        {"planning"},
        {"audit"},
    ),
    "downstream": ({"student"}, {"outcomes"}, {"trials"}),
}
# These may hold state or talk to the world; every other module is pure or reads and writes files.
ASKS_A_PROVIDER = {"models.providers.litellm"}
IMPORTS_LITELLM = {"models.providers.litellm_quirks"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imports(tree: ast.AST) -> tuple[tuple[str, bool], ...]:
    """(module, at the top of its file) for every import that runs."""
    return tuple(_imports(tree))


def _imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    top = {id(node) for node in getattr(tree, "body", [])}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in top
            if node.module.split(".")[0] == "selectllm":
                yield from ((f"{node.module}.{a.name}", id(node) in top) for a in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)


MODULES = dict(modules())


def own(name: str) -> str | None:
    """The module of ours that `name` refers to, without the package's name."""
    parts = name.removeprefix("selectllm.").split(".")
    if not name.startswith("selectllm."):
        return None
    while parts and ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts) or None


def own_imports() -> Iterator[tuple[str, str]]:
    """(module, module of ours that it imports) for every import of ours."""
    for name, tree in MODULES.items():
        for imported, _ in imports(tree):
            if target := own(imported):
                yield name, target


def depths(floors: tuple[set[str], ...]) -> dict[str, int]:
    return {name: number for number, floor in enumerate(floors) for name in floor}


def one_way(name: str, target: str) -> bool:
    """Whether the house lets module `name` import module `target`."""
    here, there = name.split("."), target.split(".")
    if here[0] != there[0]:
        rooms = depths(ROOMS)
        return rooms[there[0]] < rooms[here[0]]
    if here[0] not in INSIDE or len(there) == 1:
        return True
    inside = depths(INSIDE[here[0]])
    last = len(INSIDE[here[0]])
    where = inside.get(here[1], last) if len(here) > 1 else last
    return inside.get(there[1], last) <= where


def test_the_house_has_few_entries() -> None:
    entries = [path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_every_module_has_a_room() -> None:
    rooms = {name.split(".")[0] for name in MODULES}
    assert rooms == set(depths(ROOMS))


def test_every_room_says_what_lives_there() -> None:
    packages = [path.parent for path in PACKAGE.rglob("__init__.py")]
    silent = [
        str(package.relative_to(PACKAGE))
        for package in packages
        if not ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
    ]
    assert not silent


def test_imports_go_one_way() -> None:
    wrong = [
        f"{name} imports {target}" for name, target in own_imports() if not one_way(name, target)
    ]
    assert not wrong


def test_reports_import_results_and_nothing_that_computes_them() -> None:
    results = {
        "stats.interval",
        "evaluation.suite",
        "evaluation.comparison.baseline_file",
        "evaluation.planning.sets_schema",
    }
    wrong = [
        f"{name} imports {target}"
        for name, target in own_imports()
        if name.startswith("report")
        and target.split(".")[0] not in ("core", "report")
        and not (target.endswith(".schema") or target in results)
    ]
    assert not wrong


def test_there_are_no_cycles() -> None:
    graph = {
        name: {target for imported, top in imports(tree) if top and (target := own(imported))}
        - {name}
        for name, tree in MODULES.items()
    }
    tuple(TopologicalSorter(graph).static_order())


def test_heavy_libraries_are_imported_only_where_they_are_used() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, tree in MODULES.items()
        for imported, top in imports(tree)
        if (top and imported.split(".")[0] in HEAVY) or imported == "scipy.stats"
    ]
    assert not wrong


def test_only_one_file_imports_litellm() -> None:
    users = {name for name, tree in MODULES.items() if "litellm" in dict(imports(tree))}
    assert users == IMPORTS_LITELLM


def test_broad_excepts_live_at_the_litellm_edge_only() -> None:
    broad = [
        f"{name}: line {node.lineno}"
        for name, tree in MODULES.items()
        if name not in ASKS_A_PROVIDER
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
        )
        and not any(isinstance(each, ast.Raise) and each.exc is None for each in node.body)
    ]
    assert not broad


def loaded_by(code: str) -> set[str]:
    """The top-level packages that are loaded after running `code` in a new interpreter."""
    code += "\nimport sys; print(' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by("import selectllm")
    assert not loaded & (HEAVY | {"numpy", "scipy", "pydantic", "jinja2", "rich", "click"})


EVERY_HELP = """
import click
from selectllm.cli import cli, main

def ask(group, words):
    assert main([*words, '--help']) == 0
    for name in group.list_commands(None) if isinstance(group, click.Group) else ():
        ask(group.get_command(click.Context(group), name), [*words, name])

ask(cli, [])
"""


def test_the_help_of_every_command_loads_nothing_heavy() -> None:
    loaded = loaded_by(EVERY_HELP)
    assert not loaded & (HEAVY | {"numpy", "scipy", "pydantic", "jinja2", "yaml", "rich"})


# The verdict of the Python API is the row of results.json with the run that it is of.
NAMED_TWICE = {"Verdict"}


def test_a_class_has_its_name_to_itself() -> None:
    homes: dict[str, list[str]] = {}
    for module, tree in MODULES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    twice = {name: where for name, where in homes.items() if len(where) > 1}
    assert twice.keys() == NAMED_TWICE, twice
