"""`selectllm student`: a language model that is fine-tuned on selections, and measured."""

from __future__ import annotations

import click

from selectllm.cli.student_compare import compare
from selectllm.cli.student_score import score
from selectllm.cli.student_train import train


@click.group("student")
def student() -> None:
    """A language model that is fine-tuned on selections, and measured on held-out items."""


for verb in (train, score, compare):
    student.add_command(verb)
