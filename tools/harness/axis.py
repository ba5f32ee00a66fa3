"""Where the marks of a plot's axis stand."""

from __future__ import annotations

import math


def round_step(value: float) -> float:
    """Give the next of 1, 2, 5 times a power of ten that is not below a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * f for f in (1, 2, 5, 10) if power * f >= value * (1 - 1e-9))
