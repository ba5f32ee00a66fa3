"""A folder of your own: folders of frames, and labels for some of the frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets import SPLITS
from tdnet_offline.datasets.picture_files import (
    FileVideo,
    check_ids,
    ids_of_colours,
    read_label_picture,
)
from tdnet_offline.datasets.video import IGNORED, Dataset, MissingFilesError, naming
from tdnet_offline.frames.image_files import IMAGE_SUFFIXES, image_files, natural_key

CLASS_MAP = "class_map.yaml"


def open_folder(root: str, split: str, class_map: ClassMap | None) -> Dataset:
    """Open ``ROOT/frames/VIDEO/NAME.png`` with ``ROOT/labels/VIDEO/NAME.png``.

    Args:
        root: the folder.
        split: name of a list ``ROOT/SPLIT.txt`` with a line ``VIDEO`` or ``VIDEO/NAME``, with or
            without suffix, for each part of the split; without any list every split is the whole.
        class_map: meaning of the labels; None: ``ROOT/class_map.yaml``.

    Raises:
        InputError: folders are missing, labels have no frame, a list names a missing file.
        ClassMapError: there is no class map, or it is not valid.
    """
    folder = Path(root)
    frames_folder, labels_folder = folder / "frames", folder / "labels"
    names = _subfolders(frames_folder)
    if not names:
        raise MissingFilesError(f"{frames_folder}: no folders of frames in it")
    strange = sorted(set(_subfolders(labels_folder)) - set(names))
    if strange:
        raise InputError(f"{labels_folder / strange[0]}: no such folder in {frames_folder}")
    if class_map is None:
        class_map = _class_map(folder)
    reader = OwnLabels(class_map)
    chosen = _read_list(folder, split)
    frames = {name: image_files(frames_folder / name) for name in names}
    labels = {name: _labels(labels_folder / name, frames[name]) for name in names}
    if chosen is not None:
        labels = _choose(chosen, labels, folder / f"{split}.txt", labels_folder)
    videos = [FileVideo(name, frames[name], labels[name], reader) for name in labels]
    return Dataset("folder", root, "" if chosen is None else split, class_map, tuple(videos))


@dataclass(frozen=True)
class OwnLabels:
    """Reads label PNGs of class ids, or of the class map's colours.

    Attributes:
        class_map: their meaning.
    """

    class_map: ClassMap

    def __call__(self, path: Path) -> npt.NDArray[np.uint8]:
        """Return the ids (H, W) uint8 of a file, 255 = ignored.

        Raises:
            InputError: it cannot be read, or has ids or colours that are not in the class map.
        """
        picture = read_label_picture(path)
        with naming(path):
            if picture.ndim == 2:
                return check_ids(picture, self.class_map)
            return ids_of_colours(picture, self._colours(), f"class map {self.class_map.name}")

    def _colours(self) -> dict[tuple[int, int, int], int]:
        ids = {(0, 0, 0): IGNORED}
        for entry in self.class_map.classes:
            if ids.get(entry.color, IGNORED) != IGNORED:
                raise InputError(
                    f"a coloured picture, but in class map {self.class_map.name} two classes have "
                    f"colour {list(entry.color)}; give each its own, or save class ids"
                )
            ids[entry.color] = entry.id
        return ids


def _choose(
    names: list[str], labels: dict[str, dict[int, Path]], path: Path, labels_folder: Path
) -> dict[str, dict[int, Path]]:
    """Return the labels whose ``VIDEO`` or ``VIDEO/NAME`` is in the list of a split."""
    videos = {name for name in names if "/" not in name}
    for name in sorted(videos - set(labels)):
        raise InputError(f"{path}: video {name!r} is not in the frames folder")
    known = {f"{name}/{file.stem}" for name in labels for file in labels[name].values()}
    listed = set(names) - videos
    frames = {name if name in known else _without_suffix(name) for name in listed}
    for name in sorted(frames - known):
        raise InputError(f"{path}: {name!r} has no labels in {labels_folder}")
    chosen = {}
    for name, found in labels.items():
        single = {i: file for i, file in found.items() if f"{name}/{file.stem}" in frames}
        if name in videos or single:
            chosen[name] = found if name in videos else single
    return chosen


def _without_suffix(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return stem if f"{dot}{ending}".lower() in IMAGE_SUFFIXES else name


def _subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    return sorted((n for n in names if not n.startswith(".")), key=natural_key)


def _labels(folder: Path, frames: list[Path]) -> dict[int, Path]:
    if not folder.is_dir():
        return {}
    indices = {path.stem: index for index, path in enumerate(frames)}
    labels = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem not in indices:
            raise InputError(f"{path}: no frame {path.stem} in {frames[0].parent}")
        labels[indices[path.stem]] = path
    return labels


def _class_map(folder: Path) -> ClassMap:
    path = folder / CLASS_MAP
    if not path.is_file():
        raise InputError(
            f"{path}: does not exist; write the meaning of the labels into it, or give a class map"
        )
    return ClassMap.load(path)


def _read_list(folder: Path, split: str) -> list[str] | None:
    path = folder / f"{split}.txt"
    if not path.is_file():
        others = [name for name in SPLITS if (folder / f"{name}.txt").is_file()]
        if others:
            raise InputError(
                f"{path}: does not exist, but lists for {', '.join(others)} do; write one"
            )
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text ({error.reason})") from error
    return [line.strip() for line in lines if line.strip()]
