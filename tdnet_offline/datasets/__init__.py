"""Data sets as they are downloaded or recorded, each as labelled videos.

The names below are imported at their first use: reading the table of data sets does not import
PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tdnet_offline.datasets.clips import Clip, ClipDataset, ClipError, ClipMixture
    from tdnet_offline.datasets.registry import DATASETS, open_dataset
    from tdnet_offline.datasets.video import IGNORED, Dataset, LabelledVideo

SPLITS = ("train", "val", "test")

_HOMES = {
    "clips": ("Clip", "ClipDataset", "ClipError", "ClipMixture"),
    "registry": ("DATASETS", "open_dataset"),
    "video": ("IGNORED", "Dataset", "LabelledVideo"),
}

__all__ = [
    "DATASETS",
    "IGNORED",
    "SPLITS",
    "Clip",
    "ClipDataset",
    "ClipError",
    "ClipMixture",
    "Dataset",
    "LabelledVideo",
    "open_dataset",
]


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
