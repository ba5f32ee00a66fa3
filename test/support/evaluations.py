"""Evaluations as plain values, for comparison."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from tdnet_offline.evaluation.result import Evaluation


def plain(value: Any) -> Any:
    """Convert dataclasses and arrays to values that `==` compares."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tolist()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(plain(part) for part in value)
    return value


def values_of(evaluation: Evaluation) -> Any:
    """Return all values of an evaluation."""
    return plain(asdict(evaluation))


def without_times(evaluation: Evaluation) -> Any:
    """Return the values that do not depend on speed or number of processes."""
    setting = replace(evaluation.setting, started="", processes=0)
    frames = tuple(replace(frame, stages_ms={}) for frame in evaluation.frames)
    worst = tuple(
        replace(frame, record=replace(frame.record, stages_ms={})) for frame in evaluation.worst
    )
    return values_of(replace(evaluation, setting=setting, frames=frames, worst=worst, seconds=0.0))
