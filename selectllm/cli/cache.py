"""`selectllm cache`: what the reply cache holds, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import (
    AS_JSON,
    DIRECTORY,
    FILE,
    LIMIT,
    SUITE,
    SUITE_SEED,
    Common,
    common_options,
    map_option,
)
from selectllm.cli.terminal import say
from selectllm.jobs.cache_state import (
    begin_anew,
    check_cache,
    check_clearing,
    clear_all,
    lines_of,
    summary_of,
)
from selectllm.jobs.sync import finished
from selectllm.jobs.workspace import find_workspace
from selectllm.models.wrappers.cache import ReplyCache


@click.group()
def cache() -> None:
    """List, explain, check, move, limit or clear the cached replies."""


FOLDER = option("--cache", "folder", type=DIRECTORY, show_default="the workspace's cache/")
YES = option("--yes", is_flag=True, help="Remove the replies without asking.")
PACK = click.argument("file", type=FILE)


@cache.command(epilog=example("cache stats"))
@FOLDER
@AS_JSON
def stats(folder: Path | None, as_json: bool) -> None:
    """Count the cached replies, their tokens and what they cost, for each model."""
    say(summary_of(_open(folder)), as_json=as_json)


@cache.command(epilog=example("cache ls --limit 10"))
@FOLDER
@AS_JSON
@option("--limit", type=click.IntRange(1), default=50, help="Show only the newest N replies.")
def ls(folder: Path | None, as_json: bool, limit: int) -> None:
    """List the newest replies, each with its key, time, model, tokens and text."""
    for line in lines_of(_open(folder), limit, as_json=as_json):
        click.echo(line)


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
    checked = check_cache(_place(folder), mend=mend)
    say(checked, as_json=as_json)
    ctx.exit(1 if checked.failed else 0)


@cache.command(epilog=example("cache explain suite.yaml --prompt short@1 --model gpt --limit 20"))
@SUITE
@option("--prompt")
@option("--model")
@SUITE_SEED
@LIMIT
@common_options
def explain(suite_file: Path, common: Common, **given: Any) -> None:
    """Say why replies to the questions of SUITE are missing in the cache. Nothing is sent.

    For each missing reply the cached question that comes nearest is looked for, and which of the
    model's settings or messages differ.
    """
    from selectllm.cli.session import open_session
    from selectllm.jobs.explaining import explain as explained

    session = open_session(common, suite_file.resolve().parent)
    say(finished(explained(suite_file, session=session, **given)), as_json=common.as_json)


@cache.command("export", epilog=example("cache export replies.jsonl --model openai/gpt-4o-mini"))
@PACK
@option("--model", help="Only replies of this model, by its id as cache stats tells it.")
@option("--suite", type=FILE, help="Only replies to the questions of this suite.")
@FOLDER
@AS_JSON
def export(
    file: Path, model: str | None, suite: Path | None, folder: Path | None, as_json: bool
) -> None:
    """Write cached replies to FILE, a pack for another cache or for the `replies` of a suite.

    The same replies give the same bytes. Keys of providers are not in it.
    """
    from selectllm.jobs.caching import export_replies

    workspace = find_workspace(Path.cwd(), cache=folder)
    job = export_replies(_open(folder), file, workspace, model=model, suite=suite)
    say(finished(job), as_json=as_json)


@cache.command("import", epilog=example("cache import replies.jsonl"))
@PACK
@FOLDER
@AS_JSON
def import_(file: Path, folder: Path | None, as_json: bool) -> None:
    """Take the replies of FILE, which cache export wrote, into the cache.

    A pack that is damaged or cut is refused by its lines. Replies that the cache has stay.
    """
    from selectllm.jobs.caching import import_replies

    say(import_replies(_open(folder), file), as_json=as_json)


@cache.command(epilog=example("cache prune --max-age 90 --dry-run"))
@FOLDER
@option("--max-bytes", type=click.IntRange(0), help="Keep at most N bytes of replies, the newest.")
@option("--max-age", type=click.FloatRange(0), metavar="DAYS", help="Keep none that is older.")
@option("--dry-run", is_flag=True, help="Tell what would be removed, and remove nothing.")
@YES
@AS_JSON
def prune(folder: Path | None, dry_run: bool, yes: bool, as_json: bool, **limits: Any) -> None:
    """Remove the oldest replies, down to a size or an age. Otherwise the cache keeps all for good.

    What goes and what it cost is told before, and asked, unless --yes is given.
    """
    from selectllm.jobs.caching import to_prune

    store = _open(folder)
    pruning = to_prune(store, **limits)
    say(pruning, as_json=as_json)
    if pruning.keys and not dry_run and _agreed(yes, "Remove them?"):
        click.echo(f"Removed {store.remove(pruning.keys):,} of them.", err=True)


@cache.command(epilog=example("cache clear --pool pool.jsonl", "cache clear --budget team"))
@FOLDER
@option("--pool", type=click.Path(path_type=Path), help="Forget the texts of this pool alone.")
@map_option
@option(
    "--unknown",
    is_flag=True,
    help="With --pool: remove also replies of which it is not known which items they showed.",
)
@option("--budget", metavar="NAME", help="Begin this shared budget anew, and keep every reply.")
@YES
def clear(
    folder: Path | None, pool: Path | None, budget: str | None, yes: bool, **how: Any
) -> None:
    """Remove every cached reply. To ask for them again costs their price again.

    With --pool only what holds texts of that pool is removed: replies to questions that showed one
    of its items, its vectors and its clusters. What else on the disk holds them is told.
    """
    place = _place(folder)
    check_clearing(pool, budget, **how)
    if budget is not None:
        click.echo(begin_anew(place.parent, budget))
    elif pool is not None:
        _forget(folder, pool, yes, **how)
    elif _agreed(yes, f"Remove every reply from {place}?"):
        click.echo(clear_all(place))


def _forget(folder: Path | None, pool: Path, yes: bool, **how: Any) -> None:
    from selectllm.jobs.forgetting import forget, to_forget

    workspace, store = find_workspace(Path.cwd(), cache=folder), _open(folder)
    found = to_forget(store, pool, workspace, **how)
    if _agreed(yes, f"Remove {found.amounts}, for good, from {workspace.cache}?"):
        forget(store, workspace, found)
        say(found, as_json=False)


def _agreed(yes: bool, question: str) -> bool:
    """Whether to remove something; says so if not."""
    if yes or click.confirm(question, err=True):
        return True
    click.echo("Nothing was removed.")
    return False


def _place(folder: Path | None) -> Path:
    """The reply cache of this folder's workspace."""
    return find_workspace(Path.cwd(), cache=folder).cache / "replies"


def _open(folder: Path | None) -> ReplyCache:
    """The same, open, and closed when the command ends."""
    store = ReplyCache(_place(folder))
    click.get_current_context().call_on_close(store.close)
    return store
