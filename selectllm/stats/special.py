"""The functions of scipy.special that are used here, loaded in an eighth of the time.

`import scipy.special` makes a wrapper for each of its functions that passes on the arrays of
other libraries, for which it loads all of numpy. The functions themselves lie in one compiled
module of the same folder, which is loaded here without that: they are the very objects that
scipy.special has, and importing it afterwards gives these. A scipy that has them elsewhere is
imported as usual, and so is any where other threads run, which may import it at the same moment.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import scipy

_PACKAGE = "scipy.special"


def _compiled() -> ModuleType:
    """The compiled module of scipy.special, or the whole package where that is simpler."""
    if _PACKAGE in sys.modules or threading.active_count() > 1:
        return import_module(_PACKAGE)
    stand_in = ModuleType(_PACKAGE)  # without it Python would import the package first
    stand_in.__path__ = [str(Path(scipy.__file__).parent / "special")]
    sys.modules[_PACKAGE] = stand_in
    try:
        return import_module(f"{_PACKAGE}._ufuncs")
    except ImportError:
        pass
    finally:
        del sys.modules[_PACKAGE]
    return import_module(_PACKAGE)


if TYPE_CHECKING:
    from scipy import special as _special
else:
    _special = _compiled()

bdtrc = _special.bdtrc
betaincinv = _special.betaincinv
binom = _special.binom
chdtrc = _special.chdtrc
chdtri = _special.chdtri
entr = _special.entr
gammaln = _special.gammaln
nctdtr = _special.nctdtr
ndtr = _special.ndtr
ndtri = _special.ndtri
stdtr = _special.stdtr
stdtrit = _special.stdtrit
