"""`selectllm swap`: is another model a safe swap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selectllm.cli.evaluation import carried_out, evaluation_options, finish
from selectllm.cli.option_words import example, option
from selectllm.cli.options import RETAINED, SUITE, Common


@click.command(epilog=example("swap suite.yaml --from gpt --to llama --prompt criteria@1"))
@SUITE
@option("--from", "from_", required=True)
@option("--to", required=True)
@option("--prompt", show_default="the suite's only one")
@RETAINED
@evaluation_options()
def swap(suite_file: Path, details: bool, common: Common, **told: Any) -> None:
    """Find out whether one model can safely replace another, on the clusters of SUITE.

    The report also says what both models cost.

    Exit codes: 0 the swap is safe; 1 it is not safe; 3 inconclusive.
    """
    from selectllm.evaluation.suite import load_suite
    from selectllm.jobs import comparing

    session, verdict = carried_out(comparing.swap, load_suite(suite_file), common, **told)
    finish(session, verdict.run, details=details)
