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
    check_is_cache,
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
    say(summary_of(_place(folder)), as_json=as_json)


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

    For each missing reply, the command finds the most similar cached question and says which
    settings of the model or which messages differ.
    """
    from selectllm.cli.session import open_session, real
    from selectllm.jobs.explaining import explain as explained

    session = open_session(common, real(suite_file).parent)
    say(finished(explained(suite_file, session=session, **given)), as_json=common.as_json)


@cache.command("export", epilog=example("cache export replies.jsonl --model openai/gpt-4o-mini"))
@PACK
@option("--model", help="Export only the replies of this model: its id in cache stats.")
@option("--suite", type=FILE, help="Export only the replies to the questions of this suite.")
@FOLDER
@AS_JSON
def export(
    file: Path, model: str | None, suite: Path | None, folder: Path | None, as_json: bool
) -> None:
    """Write cached replies to FILE, a pack for another cache or for the `replies` of a suite.

    The same replies always give the same bytes. The file contains no API keys.
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
    """Add the replies in FILE, which cache export wrote, to the cache.

    A damaged file is refused, and its bad lines are named. Replies already in the cache are kept.
    """
    from selectllm.jobs.caching import import_replies

    say(import_replies(_open(folder, new=True), file), as_json=as_json)


@cache.command(epilog=example("cache prune --max-age 90 --dry-run"))
@FOLDER
@option("--max-bytes", type=click.IntRange(0), help="Keep only the newest N bytes of replies.")
@option("--max-age", type=click.FloatRange(0), metavar="DAYS", help="Remove older replies.")
@option("--dry-run", is_flag=True, help="Report what would be removed, and remove nothing.")
@YES
@AS_JSON
def prune(folder: Path | None, dry_run: bool, yes: bool, as_json: bool, **limits: Any) -> None:
    """Remove the oldest replies, down to a size or an age. The cache never does that by itself.

    The command says what it would remove and what that cost, and asks first, unless you add --yes.
    """
    from selectllm.jobs.caching import to_prune

    store = _open(folder)
    pruning = to_prune(store, **limits)
    say(pruning, as_json=as_json)
    if pruning.keys and not dry_run and _agreed(yes, "Remove them?"):
        click.echo(f"Removed {store.remove(pruning.keys):,} of them.", err=True)


@cache.command(epilog=example("cache clear --pool pool.jsonl", "cache clear --budget team"))
@FOLDER
@option("--pool", type=click.Path(path_type=Path), help="Remove only what belongs to this pool.")
@map_option
@option(
    "--unknown",
    is_flag=True,
    help="With --pool: also remove replies if it is not known which items they showed.",
)
@option("--budget", metavar="NAME", help="Reset this shared budget to zero; keep all replies.")
@YES
def clear(
    folder: Path | None, pool: Path | None, budget: str | None, yes: bool, **how: Any
) -> None:
    """Remove every cached reply. Asking the same questions again will cost money again.

    With --pool, only what holds texts of that pool is removed: replies to questions that showed one
    of its items, its vectors and its clusters. Other files that hold its texts are listed.
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


def _place(folder: Path | None, *, new: bool = False) -> Path:
    """The reply cache of this folder's workspace; one that is named is there, unless `new`."""
    place = find_workspace(Path.cwd(), cache=folder).cache
    if folder is not None and not new:
        check_is_cache(place)
    return place / "replies"


def _open(folder: Path | None, *, new: bool = False) -> ReplyCache:
    """The same, open, and closed when the command ends."""
    store = ReplyCache(_place(folder, new=new), reading=not new)
    click.get_current_context().call_on_close(store.close)
    return store
