"""`selectllm prompts`: list, show, render, compare, lock and check versioned prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON, FILE, PROMPTS, grouped, map_option
from selectllm.cli.terminal import Terminal
from selectllm.core.codec import pretty_json
from selectllm.core.shown import visible
from selectllm.jobs.workspace import find_workspace
from selectllm.report.next_steps import command

if TYPE_CHECKING:
    from selectllm.prompting.library import PromptLibrary


@dataclass(frozen=True, slots=True)
class Where:
    """What all commands of the group share: which folder, and who reads the output."""

    prompts: Path | None
    as_json: bool

    @property
    def library(self) -> PromptLibrary:
        """The bundled prompts and the folder's."""
        from selectllm.prompting.library import PromptLibrary

        return PromptLibrary(find_workspace(Path.cwd(), prompts=self.prompts).prompts)

    @property
    def folder(self) -> Path:
        """The folder to write to. Raises PromptError outside of a workspace."""
        return find_workspace(Path.cwd(), prompts=self.prompts).own_prompts

    def say(self, data: Any, text: str) -> None:
        """Either as JSON or as text, on stdout."""
        click.echo(pretty_json(data) if self.as_json else visible(text), nl=False)


where_options = grouped("where", Where, PROMPTS, AS_JSON)
pool_argument = click.argument("pool", type=FILE)
k_option = option(
    "--k",
    type=click.IntRange(1),
    default=2,
    help="The number of candidates that the prompt asks to pick.",
)
size_option = option(
    "--size",
    type=click.IntRange(1),
    default=5,
    help="The number of candidates, which are the first items of the pool.",
)


@click.group(name="prompts")
def prompts() -> None:
    """List, show, render, compare, write, lock and check prompts."""


@prompts.command(name="list", epilog=example("prompts list"))
@where_options
def list_(where: Where) -> None:
    """List every version of every prompt, both bundled ones and those of the workspace."""
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


@prompts.command(epilog=example("prompts show short@1"))
@where_options
@click.argument("ref", metavar="PROMPT")
def show(where: Where, ref: str) -> None:
    """Print the file of PROMPT, which is NAME@VERSION, as it is."""
    prompt = where.library.load(ref)
    data = {"ref": prompt.ref, "sha256": prompt.sha256, "source": prompt.source}
    where.say(data, prompt.source)


@prompts.command(name="render", epilog=example("prompts render short@1 pool.jsonl"))
@where_options
@click.argument("ref", metavar="PROMPT")
@pool_argument
@map_option
@k_option
@size_option
@option(
    "--seed", type=int, show_default="file order", help="Shuffle the candidates with this seed."
)
def render_(
    where: Where,
    ref: str,
    pool: Path,
    columns: Mapping[str, str],
    k: int,
    size: int,
    seed: int | None,
) -> None:
    """Print the messages that a model would be sent for the first items of POOL."""
    from selectllm.jobs import comparing_prompts
    from selectllm.prompting.prompt import first_question

    items = comparing_prompts.first_items(pool, columns, size, Terminal(), seed)
    messages = first_question(where.library.load(ref), items, k)
    where.say(list(messages), comparing_prompts.transcript(messages))


@prompts.command(epilog=example("prompts diff short@1 short@2 --pool pool.jsonl"))
@where_options
@click.argument("a")
@click.argument("b")
@option("--pool", type=FILE, help="Also compare the messages for the first items of this pool.")
@map_option
@k_option
@size_option
def diff(
    where: Where, a: str, b: str, pool: Path | None, columns: Mapping[str, str], k: int, size: int
) -> None:
    """Compare the prompts A and B line by line."""
    from selectllm.jobs import comparing_prompts

    old, new = (where.library.load(ref) for ref in (a, b))
    items = None
    if pool is not None:
        items = comparing_prompts.first_items(pool, columns, size, Terminal())
    lines = comparing_prompts.differences(old, new, items, k)
    where.say(lines, "".join(lines.values()))


@prompts.command(epilog=example("prompts new short", "prompts new mine --from draft.jinja"))
@where_options
@click.argument("name")
@option(
    "--from",
    "source",
    type=FILE,
    metavar="FILE",
    show_default="the newest version",
    help="Start from this file.",
)
def new(where: Where, name: str, source: Path | None) -> None:
    """Write the next version of the prompt NAME, for you to edit."""
    from selectllm.prompting.library import new_version

    path = new_version(where.folder, name, source)
    where.say({"ref": f"{name}@{path.stem[1:]}", "path": str(path)}, f"{path}\n")
    if not where.as_json:
        Terminal().note("Edit this file. Then release it with: selectllm prompts lock")


@prompts.command(name="lock", epilog=example("prompts lock"))
@where_options
def lock_(where: Where) -> None:
    """Release every version that is not locked yet.

    LOCK.yaml then holds the sha256 of each file, which must not change any more.
    """
    from selectllm.prompting.library import lock

    added = lock(where.folder)
    where.say(
        list(added),
        f"Locked {', '.join(added)}.\n" if added else "Every version is already locked.\n",
    )
    if added and not where.as_json:
        words = command("select", "POOL", "--budget", 10, "--prompt", added[-1], "--model", "MODEL")
        Terminal().note(f"To use it, name it in a suite under prompts:, or run: {words}")


@prompts.command(name="check", epilog=example("prompts check"))
@where_options
@click.pass_context
def check_(ctx: click.Context, where: Where) -> None:
    """Check every prompt file, and say what is wrong.

    A file is wrong if it cannot be read as a prompt, if it was changed or removed after its
    release, if a bundled version has different content here, or if no name can refer to it.

    Exit codes: 0 all is well; 1 something is wrong.
    """
    from selectllm.prompting.library import check

    problems = check(where.folder)
    where.say(
        problems, "".join(f"{problem}\n" for problem in problems) or "All prompts are fine.\n"
    )
    ctx.exit(1 if problems else 0)
