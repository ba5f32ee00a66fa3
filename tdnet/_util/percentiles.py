"""Percentiles of measured values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Percentiles:
    """Median, 95th and 99th percentile, linearly interpolated, and the number of values."""

    p50: float
    p95: float
    p99: float
    count: int


def percentiles(values: Iterable[float]) -> Percentiles:
    """Return the percentiles of one or more values."""
    found = list(values)
    p50, p95, p99 = np.percentile(found, (50, 95, 99))
    return Percentiles(float(p50), float(p95), float(p99), len(found))
