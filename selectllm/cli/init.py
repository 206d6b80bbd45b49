"""`selectllm init`: a workspace that runs at once."""

from __future__ import annotations

import shutil
import tempfile
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from selectllm.core.errors import UsageError
from selectllm.core.files import write_text
from selectllm.prompting.library import lock

# Where each part of a workspace comes from; the packages are named by string, see pyproject.toml.
PARTS = {
    "prompts": "selectllm.prompts",
    "eval/suites": "selectllm.starter_suites",
    "eval/data": "selectllm.starter_data",
}
KEPT = (".jinja", ".yaml", ".jsonl", ".md")
LEFT_OUT = ("gate.yaml",)  # our own gate: of no use without its recorded replies and baseline


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a workspace in DIR: prompts/, eval/suites/, eval/data/, cache/.

    Nothing that exists is overwritten.
    """
    taken = [name for name in ("prompts", "eval", "cache") if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder}: {', '.join(taken)} exist already and are not overwritten; name an empty "
            "folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".init-") as name:
        made = Path(name)
        for place, package in PARTS.items():
            _copy(files(package), made / place)
        lock(made / "prompts")
        write_text(made / "cache" / ".gitignore", "*\n!.gitignore\n")
        for part in sorted(made.iterdir()):
            shutil.move(part, folder / part.name)
    click.echo(f"workspace in {folder}; try: selectllm eval {folder}/eval/suites/quickstart.yaml")


def _copy(source: Traversable, target: Path) -> None:
    """Copy the files of a packaged folder, byte for byte."""
    for entry in source.iterdir():
        if entry.is_dir():
            _copy(entry, target / entry.name)
        elif entry.name.endswith(KEPT) and entry.name not in LEFT_OUT:
            target.mkdir(parents=True, exist_ok=True)
            with as_file(entry) as path:
                shutil.copyfile(path, target / entry.name)
