"""What the verbs of `student` share: options, and how the files that they name are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from selectllm.cli.options import DIRECTORY, FILE, Common, grouped
from selectllm.core.types import Item
from selectllm.data.hub import located
from selectllm.data.pool import load_pool
from selectllm.downstream.student.template import check_responses


@dataclass(frozen=True, slots=True)
class Local:
    """Those of the common options that have a meaning where nobody is asked."""

    as_json: bool
    quiet: bool
    env_file: Path | None
    cache: Path | None

    def common(self, encoder: str | None = None) -> Common:
        """What a session is opened with."""
        return Common(
            as_json=self.as_json,
            quiet=self.quiet,
            env_file=self.env_file,
            cache=self.cache,
            encoder=encoder,
        )


local_options = grouped(
    "local",
    Local,
    click.option("--json", "as_json", is_flag=True, help="Machine output alone on stdout."),
    click.option("--quiet", is_flag=True, help="No progress and no notes."),
    click.option("--env-file", type=FILE, help="Read environment variables (keys) from FILE."),
    click.option("--cache", type=DIRECTORY, help="Folder of the cache [workspace's cache/]."),
)
map_option = click.option(
    "--map",
    "columns",
    multiple=True,
    metavar="NAME=COL",
    help="Column of the files that holds instruction, input, response or id; repeatable.",
)


def answered_items(file: str, columns: Mapping[str, str]) -> tuple[Item, ...]:
    """The items of a pool file. Raises UsageError, which names the file, without responses."""
    items = load_pool(located(Path.cwd(), file), columns=columns).pool.items
    check_responses(items, file)
    return tuple(items)
