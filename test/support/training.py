"""A small data set, a small recipe, and the log of a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from support.labelled import write_labels
from support.media import drive, write_image
from tdnet_offline.training.configuration import TrainingRecipe
from tdnet_offline.training.recipe import load_recipe

CLASS_MAP = """
name: little
network: 3
classes:
  - {id: 0, name: road, color: [128, 64, 128]}
  - {id: 1, name: tree, color: [107, 142, 35]}
  - {id: 2, name: sky, color: [70, 130, 180]}
"""
SIZE = (41, 73)
SINGLE = {"network__variant": "psp18-nano", "loss__auxiliary": 0}
"""Keys of a network of one path, which trains fastest."""


def write_little(root: Path, videos: int = 2, frames: int = 6) -> Path:
    """Write a `folder:` data set of moving pictures, every frame labelled."""
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    for video in range(videos):
        for index, image in enumerate(drive(frames, *SIZE)):
            name = f"v{video}/{index}.png"
            write_image(root / "frames" / name, np.roll(image, video * 9, axis=1))
            labels = (rows // 14 + (columns + index) // 30) % 3
            labels[0] = 255
            write_labels(root / "labels" / name, labels.astype(np.uint8))
    (root / "class_map.yaml").write_text(CLASS_MAP, encoding="utf-8")
    return root


def little_recipe(path: Path, data: Path, **keys: object) -> Path:
    """Write a recipe that trains on it; write dots in `keys` as two underscores."""
    values: dict[str, object] = {
        "output": str(path.parent / "run"),
        "device": "cpu",
        "log_every": 1,
        "network.variant": "td4-psp18-nano",
        "network.input_size": [33, 65],
        "data.train": f"folder:{data}",
        "data.validation_split": "train",
        "data.spacings": [1],
        "data.workers": 0,
        "loss.distillation": "none",
        "optimisation.iterations": 4,
        "optimisation.batch_size": 2,
        "optimisation.warm_up": 2,
        "validation.every": 100,
        "validation.clips": 2,
    }
    values |= {key.replace("__", "."): value for key, value in keys.items()}
    nested: dict[str, dict[str, object] | object] = {}
    for key, value in values.items():
        *section, name = key.split(".")
        target = nested.setdefault(section[0], {}) if section else nested
        assert isinstance(target, dict)
        target[name] = value
    path.write_text(yaml.safe_dump(nested), encoding="utf-8")
    return path


def little_config(folder: Path, data: Path, **keys: object) -> TrainingRecipe:
    """Read such a recipe."""
    return load_recipe(str(little_recipe(folder / "recipe.yaml", data, **keys)))


def changed(config: TrainingRecipe, **keys: object) -> TrainingRecipe:
    """Return the recipe with other values at its top level."""
    return dataclasses.replace(config, **keys)  # type: ignore[arg-type]


def logged(folder: Path, tag: str = "loss/total") -> dict[int, float]:
    """Read the TensorBoard log of a run, by iteration."""
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    if tag not in events.Tags()["scalars"]:
        return {}
    return {event.step: event.value for event in events.Scalars(tag)}
