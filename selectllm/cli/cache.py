"""`selectllm cache`: what the reply cache holds."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON, DIRECTORY
from selectllm.core.errors import UsageError
from selectllm.core.names import unknown
from selectllm.core.shown import visible
from selectllm.jobs.workspace import find_workspace
from selectllm.models.wrappers.cache import ReplyCache, remedy
from selectllm.models.wrappers.cache_repair import ASIDE, CacheState, examine, repair
from selectllm.models.wrappers.cache_repair import clear as clear_cache
from selectllm.models.wrappers.shared_budget import budgets, forget
from selectllm.models.wrappers.shared_state import SharedState


@click.group()
def cache() -> None:
    """List, check, repair or clear the cached replies."""


FOLDER = option("--cache", "folder", type=DIRECTORY, show_default="the workspace's cache/")


@cache.command(epilog=example("cache stats"))
@FOLDER
@AS_JSON
def stats(folder: Path | None, as_json: bool) -> None:
    """Count the cached replies, their tokens and what they cost, for each model."""
    store = _open(folder)
    models, size = store.by_model(), store.size
    shared = budgets(SharedState(store.folder.parent))
    if as_json:
        summary = {"folder": str(store.folder), "bytes": size, "models": models}
        summary["budgets"] = {name: asdict(spent) for name, spent in shared.items()}
        click.echo(json.dumps(summary, sort_keys=True))
        return
    click.echo(f"{store.folder}: {_replies(len(store))}, {size / 1e6:.1f} MB")
    for model, entry in sorted(models.items()):
        click.echo(
            f"  {model}: {_replies(entry['replies'])}, {entry['tokens_in']} + "
            f"{entry['tokens_out']} tokens, {entry['cost_usd']:.4f} USD when they were made"
        )
    for name, spent in shared.items():
        click.echo(
            f"  budget {name}: {spent.usd:.4f} USD, {spent.tokens:,} tokens and "
            f"{spent.requests:,} requests so far"
        )


@cache.command(epilog=example("cache ls --limit 10"))
@FOLDER
@AS_JSON
@option(
    "--limit",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Show only the newest N replies.",
)
def ls(folder: Path | None, as_json: bool, limit: int) -> None:
    """List the newest replies, each with its key, time, model, tokens and text."""
    rows = sorted(_open(folder).rows(), key=lambda pair: -pair[1]["at"])[:limit]
    if not rows and not as_json:
        click.echo("There are no replies in the cache.")
    for key, row in rows:
        if as_json:
            click.echo(json.dumps({"key": key, **row}, sort_keys=True, ensure_ascii=False))
            continue
        reply = row["reply"]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["at"]))
        text = " ".join(reply["text"].split())[:50]
        line = f"{key[:12]}  {when}  {row['model']}  {reply['tokens_in']} tokens  {text}"
        click.echo(visible(line))


@cache.command(epilog=example("cache verify", "cache verify --repair"))
@FOLDER
@AS_JSON
@option(
    "--repair",
    "mend",
    is_flag=True,
    help="Keep the replies that are whole and remove those that are damaged.",
)
@click.pass_context
def verify(ctx: click.Context, folder: Path | None, as_json: bool, mend: bool) -> None:
    """Check that every cached reply can be read and is unchanged.

    With --repair the damaged replies are removed, and the old database is kept beside the new one.
    No other command may use the cache meanwhile.

    Exit codes: 0 all replies are whole, or were repaired; 1 at least one is damaged.
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
        click.echo(f"All {state.whole} replies in {place} are whole. There is nothing to do.")
    elif mended:
        click.echo(f"The {state.whole} replies in {place} that are whole were kept.")
        click.echo(f"The damaged database is now {place / ASIDE}. Remove it once you are sure.")
    else:
        click.echo(
            f"{state.whole} replies in {place} are whole, and others are damaged. {remedy(place)}"
        )


@cache.command(epilog=example("cache clear --yes", "cache clear --budget team"))
@FOLDER
@option("--budget", metavar="NAME", help="Begin this shared budget anew, and keep every reply.")
@option("--yes", is_flag=True, help="Remove the replies without asking.")
def clear(folder: Path | None, budget: str | None, yes: bool) -> None:
    """Remove every cached reply. To ask for them again costs their price again."""
    place = _place(folder)
    if budget is not None:
        click.echo(_begun_anew(place.parent, budget))
        return
    if not yes and not click.confirm(f"Remove every reply from {place}?", err=True):
        click.echo("Nothing was removed.")
        return
    count = clear_cache(place)
    removed = "the damaged cache" if count is None else _replies(count)
    click.echo(
        f"Removed {removed} from {place}. The next command that needs a reply asks for it again."
    )


def _begun_anew(place: Path, budget: str) -> str:
    state = SharedState(place)
    spent = forget(state, budget)
    if spent is None:
        raise UsageError(
            f"`budget` {unknown('shared budget', budget, list(budgets(state)))}", argument="budget"
        )
    return f"The budget {budget} begins anew. {spent.usd:.4f} USD had been spent under it."


def _place(folder: Path | None) -> Path:
    """The reply cache of this folder's workspace."""
    return find_workspace(Path.cwd(), cache=folder).cache / "replies"


def _open(folder: Path | None) -> ReplyCache:
    """The same, open, and closed when the command ends."""
    store = ReplyCache(_place(folder))
    click.get_current_context().call_on_close(store.close)
    return store


def _replies(count: int) -> str:
    return "1 reply" if count == 1 else f"{count} replies"
