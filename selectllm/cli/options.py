"""Options that several verbs share, gathered into frozen groups."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

import click

from selectllm.cli.option_words import option
from selectllm.core.choices import RETAIN, EngineName, Partition, TargetName
from selectllm.core.errors import renaming
from selectllm.core.plugins import is_reference
from selectllm.core.stopping import DRAIN_SECONDS
from selectllm.jobs.options import EngineSettings, ModelOptions
from selectllm.jobs.session_settings import SessionSettings

Function = Callable[..., Any]

DIRECTORY = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
_TURNS = "selectllm.turns"  # what --turns says, until it is part of the columns
_ENGINE = "selectllm.engine"  # where --engine and --ray-address are kept until a session is opened


class OrOwn(click.Choice[str]):
    """One of several names, or `module:attr` of the user's own."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is; click's error for what is neither."""
        if is_reference(value):
            return str(value)
        return super().convert(value, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """The names, and the form of one's own."""
        return f"[{'|'.join(self.choices)}|MODULE:ATTR]"


@dataclass(frozen=True, slots=True)
class Common(SessionSettings):
    """Options of every verb that asks models: how the session works, and what is printed."""

    as_json: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """How verbs that ask no models say what they did."""

    as_json: bool
    quiet: bool

    def common(self) -> Common:
        """What a session is opened with."""
        return Common(**asdict(self))


SUITE = click.argument("suite_file", metavar="SUITE", type=click.Path(path_type=Path))
AS_JSON = option("--json", "as_json", is_flag=True)
QUIET = option("--quiet", is_flag=True)
ENV_FILE = option(
    "--env-file", type=FILE, help="Read environment variables, such as keys, from this file."
)
CACHE = option("--cache", type=DIRECTORY, show_default="the workspace's cache/")
PROMPTS = option("--prompts", type=DIRECTORY, show_default="the workspace's prompts/")
ENCODER = option("--encoder", show_default="all-MiniLM-L6-v2")
STRATEGY = option(
    "--strategy", metavar="NAME", help="Select by this strategy, without a selection prompt."
)
LIMIT = option("--limit", type=click.IntRange(1))
SUITE_SEED = option("--seed", type=int, show_default="the suite's")
SEED = option("--seed", type=int, default=0, show_default=True)
BY = option("--by", type=OrOwn(sorted(get_args(Partition))), default="diverse", show_default=True)
TOOLS = click.Choice(get_args(TargetName))
RETAINED = option(
    "--retain", type=click.FloatRange(0, 1, min_open=True), default=RETAIN[0], show_default=True
)
COMMON = (
    option(
        "-j",
        "--concurrency",
        type=click.IntRange(1, 512),
        default=8,
        show_default=True,
        help="The number of calls that may be under way at the same time.",
    ),
    option(
        "--max-cost",
        type=click.FloatRange(0),
        metavar="USD",
        help="Stop before the total cost exceeds USD (exit code 4). Run the same command again "
        "with a higher limit to continue.",
    ),
    option(
        "--max-total-tokens",
        type=click.IntRange(0),
        help="Stop before more than N tokens are read and written (exit code 4).",
    ),
    option(
        "--max-requests",
        type=click.IntRange(0),
        help="Stop before more than N requests are sent (exit code 4).",
    ),
    option(
        "--shared-budget",
        help="Let --max-cost, --max-total-tokens and --max-requests limit all that is spent under "
        "this name in the workspace, by every command that gives it.",
    ),
    option(
        "--allow-unpriced",
        is_flag=True,
        help="With --max-cost: also call models whose price is not known.",
    ),
    option(
        "--offline",
        is_flag=True,
        help="Send nothing to any model. If a reply is neither recorded nor cached, stop "
        "(exit code 5).",
    ),
    AS_JSON,
    QUIET,
    ENV_FILE,
    PROMPTS,
    CACHE,
    ENCODER,
    option(
        "--vectors",
        type=FILE,
        metavar="FILE.npy",
        help="Use these vectors instead of embedding the pool: a float32 array with one row of "
        "length 1 for each row of the pool.",
    ),
    option(
        "--drain",
        type=click.FloatRange(0),
        metavar="SECONDS",
        default=DRAIN_SECONDS,
        show_default=True,
        help="After Ctrl-C, wait at most this long for replies that are still on their way.",
    ),
)
BATCH = (
    option(
        "--batch",
        is_flag=True,
        help="Ask in batches, at about half the price (OpenAI, Azure, Anthropic, and servers with "
        "OpenAI's API for batches). Answers may take hours.",
    ),
    option(
        "--no-wait",
        "wait",
        is_flag=True,
        flag_value=False,
        default=True,
        help="With --batch: do not wait for the answers (exit code 5). Run the same command again "
        "to collect them.",
    ),
)
OUTPUT = (AS_JSON, QUIET)
MODEL = (
    option("--api-base", metavar="URL", help="The base URL of the model's server."),
    option(
        "--model-arg",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting of the model, such as temperature=0.7 or extra.min_p=0.1.",
    ),
)


def common_options(function: Function) -> Function:
    """Give a verb the common options; it receives them as `common: Common`."""
    return _grouped(function, "common", Common, COMMON)


def asking_options(function: Function) -> Function:
    """Give a verb the common options, with --batch and --no-wait among them."""
    return _grouped(function, "common", Common, (*COMMON, *BATCH))


def output_options(function: Function) -> Function:
    """Give a verb --json and --quiet; it receives them as `output: Output`."""
    return _grouped(function, "output", Output, OUTPUT)


def model_options(function: Function) -> Function:
    """Give a verb the model options; it receives them as `model_options: ModelOptions`."""
    return _grouped(function, "model_options", ModelOptions, MODEL)


def grouped(name: str, kind: type[Any], *options: Function) -> Callable[[Function], Function]:
    """Decorate a verb with `options` whose values arrive together as one `kind` called `name`.

    A field without an option keeps its default.
    """
    return lambda function: _grouped(function, name, kind, options)


def engine_options(function: Function) -> Function:
    """Give a verb --engine and --ray-address; `engine_settings` tells what they say."""
    name = option(
        "--engine",
        type=click.Choice(get_args(EngineName)),
        default="local",
        show_default=True,
        expose_value=False,
        callback=_keep,
        help="Where to embed, compute and ask: on this machine, or on the machines of a Ray "
        "cluster.",
    )
    address = option(
        "--ray-address",
        metavar="HOST:PORT",
        expose_value=False,
        callback=_keep,
        help="With --engine ray: the head of the cluster. Without it, Ray is started on this "
        "machine.",
    )
    decorated: Function = name(address(function))
    return decorated


def engine_settings() -> EngineSettings:
    """What the command that is running was told by `engine_options`."""
    context = click.get_current_context(silent=True)
    return EngineSettings(**(context.meta.get(_ENGINE, {}) if context else {}))


def _keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    ctx.meta.setdefault(_ENGINE, {})[str(param.name)] = value


def map_option(function: Function) -> Function:
    """--map NAME=COL, repeatable, and --turns; a verb receives both as `columns`."""
    mapped = option("--map", "columns", multiple=True, callback=_columns)
    turns = option(
        "--turns",
        type=click.Choice(["first", "last", "all"]),
        is_eager=True,
        expose_value=False,
        callback=_turns,
        show_default="last",
    )
    decorated: Function = mapped(turns(function))
    return decorated


def _test_columns(
    ctx: click.Context, param: click.Parameter, texts: Sequence[str]
) -> dict[str, str]:
    from selectllm.data.layouts import parse_mapping

    with renaming("columns", "test_columns"):
        return parse_mapping(texts)


test_map_option = option("--test-map", "test_columns", multiple=True, callback=_test_columns)
"""--test-map NAME=COL, repeatable; a verb receives it as `test_columns`."""


def _turns(ctx: click.Context, param: click.Parameter, shown: str | None) -> None:
    ctx.meta[_TURNS] = {} if shown is None else {"turns": shown}


def _columns(ctx: click.Context, param: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    from selectllm.data.layouts import parse_mapping

    turns: dict[str, str] = ctx.meta[_TURNS]
    return parse_mapping(texts) | turns


def _grouped(
    function: Function, name: str, kind: type[Any], options: tuple[Function, ...]
) -> Function:
    members = [field.name for field in fields(kind)]

    @functools.wraps(function)
    def gathered(**arguments: Any) -> Any:
        given = [member for member in members if member in arguments]
        values: Mapping[str, Any] = {member: arguments.pop(member) for member in given}
        return function(**{name: kind(**values)}, **arguments)

    for decorator in reversed(options):
        gathered = decorator(gathered)
    return gathered
