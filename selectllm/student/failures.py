"""What can go wrong inside torch, said so that it can be mended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from selectllm.errors import ModelError
from selectllm.student.config import StudentConfig

EXTRA = 'pip install "selectllm[student]"'
_NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")


class LossNotFinite(ModelError):
    """A loss is NaN or infinite: training has diverged, or the weights are broken."""


def check_extra() -> None:
    """Raise ModelError if what trains students is not installed."""
    try:
        import peft  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise ModelError(f"a student needs the extra `student` ({error}); run {EXTRA}") from None


@contextlib.contextmanager
def memory_errors(config: StudentConfig) -> Iterator[None]:
    """Raise ModelError, which says what to lower, in place of an error for want of memory."""
    try:
        yield
    except MemoryError:
        pass
    except RuntimeError as error:  # torch's own, of which only the text tells the cause
        if not any(text in str(error).lower() for text in _NO_MEMORY):
            raise
    else:
        return
    mode = ", use mode fast" if config.mode == "full" else ""
    raise ModelError(
        f"student {config.model} ran out of memory: lower max_length (now {config.max_length})"
        f"{mode} or take a smaller model; batch_size does not matter"
    )
