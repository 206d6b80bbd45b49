"""Names for the arrays that the package computes with. Shapes stand where they are used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""Numbers that are summed and compared."""

Ints = NDArray[np.intp]
"""Positions, row numbers and labels."""

Counts = NDArray[np.int64]
"""Numbers of tokens or items."""

Vectors = NDArray[np.float32]
"""(n, dim): a row per text, as encoders make them."""
