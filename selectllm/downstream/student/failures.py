"""What can go wrong inside torch, said so that it can be mended."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from selectllm.core.errors import ModelError
from selectllm.core.extras import check
from selectllm.downstream.student.config import StudentConfig

_NO_MEMORY = (
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
)


class LossNotFinite(ModelError):
    """A loss is NaN or infinite: training has diverged, or the weights are broken."""


def check_extra() -> None:
    """Raise ExtraMissing if what trains students is not installed."""
    for module in ("torch", "transformers", "peft"):
        check("student", module, "training a student")


def memory_errors(config: StudentConfig) -> contextlib.AbstractContextManager[None]:
    """Raise ModelError, which says what to lower, in place of an error for want of memory."""
    mode = ", use mode fast" if config.mode == "full" else ""
    return _in_place_of_memory_errors(
        f"student {config.model} ran out of memory: lower max_length (now {config.max_length})"
        f"{mode} or take a smaller model; batch_size does not matter"
    )


def loading_errors(name: str) -> contextlib.AbstractContextManager[None]:
    """`memory_errors` while the model called `name` is loaded."""
    return _in_place_of_memory_errors(
        f"student {name} does not fit into memory. Take a smaller model"
    )


@contextlib.contextmanager
def _in_place_of_memory_errors(message: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        pass
    except OSError as error:  # of a file that is mapped into memory
        if error.errno != errno.ENOMEM:
            raise
    except RuntimeError as error:  # torch's own, of which only the text tells the cause
        if not any(text in str(error).lower() for text in _NO_MEMORY):
            raise
    else:
        return
    raise ModelError(message)
