"""scipy's functions, loaded without what stands around them."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from selectllm.stats import special as ours
assert "scipy.special" not in sys.modules
assert "scipy._lib.array_api_compat" not in sys.modules
from scipy import special
for name in {names}:
    assert getattr(ours, name) is getattr(special, name), name
import scipy.stats
"""
BEFORE = """
import sys
import scipy.special
from selectllm.stats import special as ours
assert ours.stdtr is scipy.special.stdtr and sys.modules["scipy.special"] is scipy.special
"""
BESIDE_ANOTHER_THREAD = """
import sys, threading
def look():
    while "scipy.special" not in sys.modules:
        pass
    from scipy.special import logsumexp
    seen.append(logsumexp)
seen = []
sys.setswitchinterval(1e-5)
other = threading.Thread(target=look)
other.start()
from selectllm.stats import special as ours
other.join()
assert seen
"""
NAMES = (
    *("bdtrc", "betaincinv", "binom", "chdtrc", "chdtri", "entr", "gammaln", "nctdtr", "ndtr"),
    *("ndtri", "stdtr", "stdtrit"),
)


@pytest.mark.parametrize(
    "code",
    [CODE.format(names=NAMES), BEFORE, BESIDE_ANOTHER_THREAD],
    ids=["before scipy.special", "after it", "beside a thread that imports it"],
)
def test_the_functions_are_those_of_scipy_special(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
