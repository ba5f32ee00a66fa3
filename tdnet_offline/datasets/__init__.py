"""Data sets as people download or record them, each as labelled videos.

The names below are imported when they are first used: who only wants the list of data sets does
not wait for PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tdnet_offline.datasets.catalogue import DATASETS
    from tdnet_offline.datasets.clips import Clip, ClipDataset, ClipError, ClipMixture
    from tdnet_offline.datasets.opening import open_dataset
    from tdnet_offline.datasets.video import IGNORED, Dataset, LabelledVideo

_HOMES = {
    "DATASETS": "catalogue",
    "IGNORED": "video",
    "Clip": "clips",
    "ClipDataset": "clips",
    "ClipError": "clips",
    "ClipMixture": "clips",
    "Dataset": "video",
    "LabelledVideo": "video",
    "open_dataset": "opening",
}

__all__ = [
    "DATASETS",
    "IGNORED",
    "Clip",
    "ClipDataset",
    "ClipError",
    "ClipMixture",
    "Dataset",
    "LabelledVideo",
    "open_dataset",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
