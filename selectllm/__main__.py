"""`python -m selectllm`."""

from selectllm.cli import script

script()
