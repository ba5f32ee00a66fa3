"""Evaluations for reports, and numbers as reports show them."""

from __future__ import annotations

import base64

import numpy as np

from tdnet import SegmenterSettings
from tdnet_offline.datasets import open_dataset
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.evaluation.runner import Mode, evaluate

STREET = "street:1000123-1000124@90x160,frames=9"


def measured(
    source: str = STREET,
    size: tuple[int, int] | None = None,
    mode: Mode = "every-frame",
    labelled: bool = True,
) -> Evaluation:
    """Evaluate the packaged network on a street."""
    dataset = open_dataset(source, "val")
    if not labelled:
        for video in dataset.videos:
            video.labelled = ()
    segmenter = SegmenterSettings(device="cpu", input_size=size, runtime="torch").build()
    return evaluate(dataset, segmenter, mode=mode, worst=2)


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def decoded(values: dict[str, str] | list[float]) -> np.ndarray:
    """Numbers of a figure as plotly writes them."""
    if isinstance(values, list):
        return np.array(values, float)
    flat = np.frombuffer(base64.b64decode(values["bdata"]), np.dtype(values["dtype"]))
    shape = [int(side) for side in values.get("shape", str(len(flat))).split(",")]
    return flat.reshape(shape).astype(float)
