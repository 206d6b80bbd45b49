"""`selectllm view`: the runs of a folder in a browser."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.jobs.outputs import nearby
from selectllm.jobs.workspace import find_workspace

PORT = 8642


@click.command(epilog=example("view", "view eval/runs --port 8700 --no-browser"))
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@option("--port", type=click.IntRange(0, 65535), default=PORT)
@option("--no-browser", is_flag=True, help="Print the address only, and open no browser.")
def view(folder: Path | None, port: int, no_browser: bool) -> None:
    """Show the runs in DIR in a browser until you press Ctrl-C.

    DIR is eval/runs of this workspace unless you name another folder. The page lists the runs,
    opens their reports, compares two of them, and shows how results changed from run to run. Only
    this machine can reach it (127.0.0.1), and nothing is written.
    """
    from selectllm.jobs.runs import list_runs
    from selectllm.jobs.view_server import ViewServer
    from selectllm.jobs.viewing import View

    if folder is not None:
        list_runs(folder)
    place = folder or find_workspace(Path.cwd()).runs
    with ViewServer(View(place), port) as server:
        click.echo(f"The runs in {nearby(place)} are shown at {server.url}. Press Ctrl-C to stop.")
        if not no_browser:
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("\nStopped. Nothing was changed.")
