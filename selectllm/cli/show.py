"""Results on stdout: as JSON alone, or as the tables of a report."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from selectllm.core.codec import canonical_json
from selectllm.core.document import Document

if TYPE_CHECKING:
    from rich.console import Console


DocumentT = TypeVar("DocumentT", bound=Document)


def show(
    content: DocumentT, tables: Callable[[DocumentT, Console], None], *, as_json: bool
) -> None:
    """Print `content`: as one line of JSON, or by `tables`."""
    if as_json:
        click.echo(canonical_json(content.to_json()))
        return
    from rich.console import Console

    tables(content, Console())
