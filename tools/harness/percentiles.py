"""Median and 95th percentile of measured times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Percentiles:
    """Median and 95th percentile in milliseconds."""

    p50: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles:
        """Give those of some values, at least one."""
        p50, p95 = np.percentile(values, (50, 95))
        return cls(float(p50), float(p95))
