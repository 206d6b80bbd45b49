"""The house's structure: imports go one way, no cycles, nothing heavy loads unless it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "selectllm"
HEAVY = {
    *("litellm", "openai", "torch", "transformers", "sentence_transformers", "sklearn", "dspy"),
    *("polars", "pandas", "datasets", "peft", "xllamacpp"),
}

# From the inside out; a module imports only from its own layer and those above it in this list.
LAYERS = (
    {"errors", "codec", "types", "names", "files", "workspace", "vote"},
    {"core"},
    {"hub"},
    {
        "model",
        "patience",
        "tables",
        "hub_data",
        "pool",
        "row_log",
        "rows",
        "tokens",
        "stats",
        "vectors",
    },
    {"bisection", "near_duplicates"},
    {"betting", "sequential", "power"},
    {
        "embed",
        "balanced",
        "covering",
        "neighbours",
        "partition",
        "clusters",
        "given_vectors",
        "logprobs",
        "prompt_variables",
        "reply_text",
        "reply_lists",
        "structured",
    },
    {"prompting"},
    {"parse", "prompt", "prompt_library"},
    {
        "models",
        "strategies",
        "utility",
        "scores",
        "agreement",
        "consistency",
        "strict",
        "suite",
        "utility_entry",
        "schemas",
        "arms",
        "paired",
        "decisions",
        "endpoint",
    },
    {"flight", "cache", "pack", "budget", "retry", "failure", "truncation", "mock"},
    {"weights", "embedded"},
    {"litellm_model", "ask", "divide"},
    {"connect", "select", "selection"},
    {"measures"},
    {"student"},
    {"utility_sources"},
    {"baseline", "evidence", "differing", "sides", "verdict"},
    {"contrast", "compare", "gate", "swap", "noise"},
    {"results", "run", "matrix", "prepare", "verify"},
    {"sets"},
    {"outcomes", "export"},
    {"trials"},
    {"plan", "report"},
    {"optimize"},
    {"cli", "testing", "pytest_plugin", "__main__", "__init__"},
)
# These may hold state or talk to the world; every other module is pure or reads and writes files.
ASKS_A_PROVIDER = {"litellm_model"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """(module, at the top of its file) for every import that runs."""
    top = {id(node) for node in getattr(tree, "body", [])}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in top
            if node.module == "selectllm":
                yield from ((f"selectllm.{each.name}", id(node) in top) for each in node.names)
        elif isinstance(node, ast.Import):
            yield from ((each.name, id(node) in top) for each in node.names)


MODULES = dict(modules())


def own(name: str) -> str | None:
    """The module of ours that `name` refers to, without the package's name."""
    parts = name.removeprefix("selectllm.").split(".")
    if not name.startswith("selectllm."):
        return None
    while parts and ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts) or None


def test_every_module_has_a_layer() -> None:
    placed = [name for layer in LAYERS for name in layer]
    assert sorted(placed) == sorted({name.split(".")[0] for name in MODULES})


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name: str) -> None:
    depth = {each: number for number, layer in enumerate(LAYERS) for each in layer}
    here = depth[name.split(".")[0]]
    for imported, _ in imports(MODULES[name]):
        target = own(imported)
        if target is not None:
            assert depth[target.split(".")[0]] <= here, f"{name} imports {target}"


def test_there_are_no_cycles() -> None:
    graph = {
        name: {target for imported, top in imports(tree) if top and (target := own(imported))}
        - {name}
        for name, tree in MODULES.items()
    }
    tuple(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("name", MODULES)
def test_heavy_libraries_are_imported_only_where_they_are_used(name: str) -> None:
    at_top = {imported.split(".")[0] for imported, top in imports(MODULES[name]) if top}
    assert not at_top & HEAVY
    assert "scipy.stats" not in {imported for imported, _ in imports(MODULES[name])}


def test_only_one_file_imports_litellm() -> None:
    users = {name for name, tree in MODULES.items() if "litellm" in dict(imports(tree))}
    assert users == ASKS_A_PROVIDER


@pytest.mark.parametrize("name", MODULES)
def test_broad_excepts_live_at_the_litellm_edge_only(name: str) -> None:
    broad = [
        node.lineno
        for node in ast.walk(MODULES[name])
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
        )
        and not any(isinstance(each, ast.Raise) and each.exc is None for each in node.body)
    ]
    assert not broad or name in ASKS_A_PROVIDER, f"{name}: lines {broad}"


def loaded_by(code: str) -> set[str]:
    """The top-level packages that are loaded after running `code` in a new interpreter."""
    code += "\nimport sys; print(' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by("import selectllm")
    assert not loaded & (HEAVY | {"numpy", "scipy", "pydantic", "jinja2", "rich", "click"})


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_by("from selectllm.cli import main; assert main(['--help']) == 0")
    assert not loaded & (HEAVY | {"numpy", "scipy", "pydantic", "jinja2", "rich"})
