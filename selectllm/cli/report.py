"""`selectllm report`: a finished run's tables again."""

from __future__ import annotations

from pathlib import Path

import click

from selectllm.core.codec import canonical_json
from selectllm.core.files import read_json
from selectllm.jobs.reporting import read_results


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine output alone on stdout.")
def report(folder: Path, as_json: bool) -> None:
    """Print the tables of the run in folder RUN; nothing is asked or computed."""
    results = read_results(folder)
    if as_json:
        click.echo(canonical_json(read_json(folder / "results.json")))
        return
    from rich.console import Console

    from selectllm.report.terminal import print_results

    print_results(results, Console())
