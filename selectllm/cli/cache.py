"""`selectllm cache`: what the reply cache holds."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from selectllm.cli.options import AS_JSON, DIRECTORY
from selectllm.core.shown import visible
from selectllm.jobs.workspace import find_workspace
from selectllm.models.wrappers.cache import ReplyCache, remedy
from selectllm.models.wrappers.cache_repair import ASIDE, CacheState, examine, repair
from selectllm.models.wrappers.cache_repair import clear as clear_cache


@click.group()
def cache() -> None:
    """Look into the reply cache, check, repair or clear it."""


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
        line = f"{key[:12]}  {when}  {row['model']}  {reply['tokens_in']} tokens  {text}"
        click.echo(visible(line))


@cache.command()
@FOLDER
@AS_JSON
@click.option("--repair", "mend", is_flag=True, help="Keep the replies that are whole, alone.")
@click.pass_context
def verify(ctx: click.Context, folder: Path | None, as_json: bool, mend: bool) -> None:
    """Check that every cached reply can be read and is what was kept.

    Exit code 0 if it is so, 1 if not. With --repair, 0 once the damaged rows are gone; the damaged
    database is kept beside the new one. No other command may use the cache meanwhile.
    """
    place = _place(folder)
    state = repair(place) if mend else examine(place)
    if as_json:
        summary = {"folder": str(place), "whole": state.whole, "damaged": list(state.damaged)}
        click.echo(json.dumps(summary, sort_keys=True))
    else:
        for line in state.damaged[:SHOWN]:
            click.echo(f"  {line}")
        if len(state.damaged) > SHOWN:
            click.echo(f"  and {len(state.damaged) - SHOWN} more")
        _tell(place, state, mend)
    ctx.exit(1 if state.damaged and not mend else 0)


SHOWN = 20


def _tell(place: Path, state: CacheState, mended: bool) -> None:
    if not state.damaged:
        click.echo(f"{place}: {state.whole} replies, all of them whole")
    elif mended:
        click.echo(f"{place}: {state.whole} replies are whole and were kept.")
        click.echo(f"The damaged database is {place / ASIDE}; remove it once you are sure.")
    else:
        click.echo(f"{place}: {state.whole} replies are whole; others are damaged. {remedy(place)}")


@cache.command()
@FOLDER
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear(folder: Path | None, yes: bool) -> None:
    """Remove every cached reply; asking again costs again."""
    place = _place(folder)
    if not yes and not click.confirm(f"Remove every reply from {place}?", err=True):
        click.echo("nothing removed")
        return
    count = clear_cache(place)
    removed = "the damaged cache" if count is None else f"{count} replies"
    click.echo(f"removed {removed} from {place}")


def _place(folder: Path | None) -> Path:
    """The reply cache of this folder's workspace."""
    return find_workspace(Path.cwd(), cache=folder).cache / "replies"


def _open(folder: Path | None) -> ReplyCache:
    """The same, open, and closed when the command ends."""
    store = ReplyCache(_place(folder))
    click.get_current_context().call_on_close(store.close)
    return store
