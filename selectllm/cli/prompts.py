"""`selectllm prompts`: list, show, render, compare, lock and check versioned prompts."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from selectllm.cli.options import AS_JSON, FILE, PROMPTS, grouped, map_option
from selectllm.cli.terminal import Terminal
from selectllm.core.codec import pretty_json, seeded_hash
from selectllm.core.errors import PromptError
from selectllm.core.shown import visible
from selectllm.core.types import Item, Message
from selectllm.data.pool import load_pool
from selectllm.jobs.workspace import find_workspace
from selectllm.prompting.library import PromptLibrary, check, lock, new_version
from selectllm.prompting.prompt import Prompt, render


@dataclass(frozen=True, slots=True)
class Where:
    """What all commands of the group share: which folder, and who reads the output."""

    prompts: Path | None
    as_json: bool

    @property
    def library(self) -> PromptLibrary:
        """The bundled prompts and the folder's."""
        return PromptLibrary(find_workspace(Path.cwd(), prompts=self.prompts).prompts)

    @property
    def folder(self) -> Path:
        """The folder to write to. Raises PromptError outside of a workspace."""
        folder = find_workspace(Path.cwd(), prompts=self.prompts).prompts
        if folder is None:
            raise PromptError(
                "no workspace here; run `selectllm init` or name one by --prompts DIR"
            )
        return folder

    def say(self, data: Any, text: str) -> None:
        """Either as JSON or as text, on stdout."""
        click.echo(pretty_json(data) if self.as_json else visible(text), nl=False)


where_options = grouped("where", Where, PROMPTS, AS_JSON)
pool_argument = click.argument("pool", type=FILE)
k_option = click.option("--k", type=click.IntRange(1), default=2, show_default=True, help="Picks.")
columns_option = map_option("Column of POOL that holds instruction, input or id; repeatable.")
size_option = click.option(
    "--size",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Candidates: the first items of POOL.",
)


@click.group(name="prompts")
def prompts() -> None:
    """List, show, render, compare, lock prompts."""


@prompts.command(name="list")
@where_options
def list_(where: Where) -> None:
    """Every prompt version, bundled and of the workspace."""
    versions = where.library.list()
    if where.as_json:
        keys = ("name", "version", "reply", "sha256", "locked")
        click.echo(json.dumps([{key: getattr(each, key) for key in keys} for each in versions]))
        return
    from rich.console import Console
    from rich.table import Table

    from selectllm.report.layout import Visible

    table = Table("prompt", "reply", "labels", "locked", "sha256", "description", box=None)
    for each in versions:
        locked = "yes" if each.locked else "no"
        table.add_row(each.ref, each.reply, each.labels, locked, each.sha256[:12], each.description)
    Console().print(Visible(table), markup=False)


@prompts.command()
@where_options
@click.argument("ref")
def show(where: Where, ref: str) -> None:
    """Print the file of one prompt as it is."""
    prompt = where.library.load(ref)
    data = {"ref": prompt.ref, "sha256": prompt.sha256, "source": prompt.source}
    where.say(data, prompt.source)


@prompts.command(name="render")
@where_options
@click.argument("ref")
@pool_argument
@columns_option
@k_option
@size_option
@click.option("--seed", type=int, help="Shuffle the candidates [file order].")
def render_(
    where: Where,
    ref: str,
    pool: Path,
    columns: Mapping[str, str],
    k: int,
    size: int,
    seed: int | None,
) -> None:
    """Print what a model would be shown of POOL.

    These are the messages for its first items.
    """
    prompt, items = where.library.load(ref), _first(pool, columns, size)
    if seed is not None:
        items = sorted(items, key=lambda item: seeded_hash("render", seed, item.id))
    messages = render(prompt, items, k)
    where.say(list(messages), _transcript(messages))


@prompts.command()
@where_options
@click.argument("a")
@click.argument("b")
@click.option("--pool", type=FILE, help="Compare the messages for the first items of POOL too.")
@columns_option
@k_option
@size_option
def diff(
    where: Where,
    a: str,
    b: str,
    pool: Path | None,
    columns: Mapping[str, str],
    k: int,
    size: int,
) -> None:
    """Compare two prompts, line by line."""
    old, new = (where.library.load(ref) for ref in (a, b))
    lines = {"source": _difference(old, new, old.source, new.source)}
    if pool is not None:
        items = _first(pool, columns, size)
        before, after = (_transcript(render(prompt, items, k)) for prompt in (old, new))
        lines["rendered"] = _difference(old, new, before, after)
    where.say(lines, "".join(lines.values()))


@prompts.command()
@where_options
@click.argument("name")
@click.option("--from", "source", type=FILE, help="Start from FILE, not the latest version.")
def new(where: Where, name: str, source: Path | None) -> None:
    """Write the next version of NAME, to be edited."""
    path = new_version(where.folder, name, source)
    where.say({"ref": f"{name}@{path.stem[1:]}", "path": str(path)}, f"{path}\n")


@prompts.command(name="lock")
@where_options
def lock_(where: Where) -> None:
    """Release every version not yet locked.

    LOCK.yaml then holds its sha256, and its bytes may not change any more.
    """
    added = lock(where.folder)
    where.say(list(added), f"locked {', '.join(added)}\n" if added else "nothing new to lock\n")


@prompts.command(name="check")
@where_options
@click.pass_context
def check_(ctx: click.Context, where: Where) -> None:
    """Exit 1 if anything is wrong, and say what.

    That is: a malformed file, a released one that changed or vanished, a bundled name with
    other bytes, a file that nothing can refer to.
    """
    problems = check(where.folder)
    where.say(problems, "".join(f"{problem}\n" for problem in problems) or "prompts are fine\n")
    ctx.exit(1 if problems else 0)


def _first(file: Path, columns: Mapping[str, str], size: int) -> Sequence[Item]:
    pool = load_pool(file, columns=columns).pool
    for note in pool.notes:
        Terminal().note(f"note: {file}: {note}")
    return pool.items[:size]


def _transcript(messages: Sequence[Message]) -> str:
    return "".join(f"--- {each['role']} ---\n{each['content']}\n" for each in messages)


def _difference(old: Prompt, new: Prompt, before: str, after: str) -> str:
    # Every line gets an end, so that a last line without one cannot run into the next.
    left, right = ([f"{line}\n" for line in text.split("\n")] for text in (before, after))
    return "".join(difflib.unified_diff(left, right, old.ref, new.ref))
