"""The functions of scipy.special that are used here, loaded in two thirds of the time.

scipy lists all of numpy while it loads, which loads what numpy has put off until somebody asks for
it: f2py and testing, a hundred modules that no formula needs. They are not listed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy

_PUT_OFF = frozenset(("f2py", "testing"))


@contextmanager
def _unlisted(module: Any) -> Iterator[None]:
    """While it lasts, `module` does not list what it has put off."""
    every, listed = module.__all__, module.__dir__
    module.__all__ = [name for name in every if name not in _PUT_OFF]
    module.__dir__ = lambda: [name for name in listed() if name not in _PUT_OFF]
    try:
        yield
    finally:
        module.__all__, module.__dir__ = every, listed


with _unlisted(numpy):
    from scipy.special import (
        bdtrc,
        betaincinv,
        chdtrc,
        chdtri,
        comb,
        entr,
        gammaln,
        nctdtr,
        ndtr,
        ndtri,
        stdtr,
        stdtrit,
    )

__all__ = [
    "bdtrc",
    "betaincinv",
    "chdtrc",
    "chdtri",
    "comb",
    "entr",
    "gammaln",
    "nctdtr",
    "ndtr",
    "ndtri",
    "stdtr",
    "stdtrit",
]
