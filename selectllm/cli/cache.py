"""`selectllm cache`: what the reply cache holds."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from selectllm.cli.options import AS_JSON, DIRECTORY
from selectllm.jobs.workspace import find_workspace
from selectllm.models.wrappers.cache import ReplyCache


@click.group()
def cache() -> None:
    """Look into the reply cache, or clear it."""


FOLDER = click.option("--cache", "folder", type=DIRECTORY, help="Folder of the cache.")


@cache.command()
@FOLDER
@AS_JSON
def stats(folder: Path | None, as_json: bool) -> None:
    """Replies, tokens and original cost, by model."""
    store = _open(folder)
    models, size = store.by_model(), store.size
    if as_json:
        summary = {"folder": str(store.folder), "bytes": size, "models": models}
        click.echo(json.dumps(summary, sort_keys=True))
        return
    click.echo(f"{store.folder}: {len(store)} replies, {size / 1e6:.1f} MB")
    for model, entry in sorted(models.items()):
        click.echo(
            f"  {model}: {entry['replies']} replies, {entry['tokens_in']} + "
            f"{entry['tokens_out']} tokens, {entry['cost_usd']:.4f} USD when they were made"
        )


@cache.command()
@FOLDER
@AS_JSON
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def ls(folder: Path | None, as_json: bool, limit: int) -> None:
    """The newest replies: key, model, when, tokens, text."""
    rows = sorted(_open(folder).rows(), key=lambda pair: -pair[1]["at"])[:limit]
    for key, row in rows:
        if as_json:
            click.echo(json.dumps({"key": key, **row}, sort_keys=True, ensure_ascii=False))
            continue
        reply = row["reply"]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["at"]))
        text = " ".join(reply["text"].split())[:50]
        click.echo(f"{key[:12]}  {when}  {row['model']}  {reply['tokens_in']} tokens  {text}")


@cache.command()
@FOLDER
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear(folder: Path | None, yes: bool) -> None:
    """Remove every cached reply; asking again costs again."""
    store = _open(folder)
    if not yes and not click.confirm(f"Remove {len(store)} replies from {store.folder}?", err=True):
        click.echo("nothing removed")
        return
    click.echo(f"removed {store.clear()} replies from {store.folder}")


def _open(folder: Path | None) -> ReplyCache:
    """The reply cache of this folder's workspace, closed when the command ends."""
    store = ReplyCache(find_workspace(Path.cwd(), cache=folder).cache / "replies")
    click.get_current_context().call_on_close(store.close)
    return store
