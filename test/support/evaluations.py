"""Evaluations as plain values, to be compared."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from tdnet_offline.evaluation.result import Evaluation


def plain(value: Any) -> Any:
    """Turn dataclasses and arrays into what `==` compares."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tolist()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(plain(part) for part in value)
    return value


def values_of(evaluation: Evaluation) -> Any:
    """Everything that an evaluation holds."""
    return plain(asdict(evaluation))


def without_times(evaluation: Evaluation) -> Any:
    """What does not depend on the machine's speed, nor on how many processes there were."""
    setting = replace(evaluation.setting, started="", processes=0)
    frames = tuple(replace(frame, stages_ms={}) for frame in evaluation.frames)
    worst = tuple(
        replace(frame, record=replace(frame.record, stages_ms={})) for frame in evaluation.worst
    )
    return values_of(replace(evaluation, setting=setting, frames=frames, worst=worst, seconds=0.0))
