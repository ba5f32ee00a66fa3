"""Writes real street frames as data sets for `tdnet train` and `tdnet evaluate`.

    python -m tools.real_streets SOURCE OUTPUT

SOURCE holds ``camvid``, ``aachen`` and ``kitti`` with ``frames``, ``teacher`` (19 Cityscapes train
ids) and, CamVid only, ``human`` labels (ids of the class map ``camvid``). OUTPUT gets:

- ``camvid``: 19 classes; ``train``: stills, a video each, teacher labels corrected by the human
  ones where these are unambiguous; ``val``: one video of 101 frames, labelled in the same way.
- ``clips``: 19 classes; the videos of Aachen and KITTI with teacher labels.
- ``camvid11``: 11 classes, human labels only; ``val`` as above, ``test``: stills, a video each.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tdnet._util.resources import config_dir
from tdnet.class_map.model import ClassMap
from tdnet_offline.datasets import IGNORED

CORRECTIONS: dict[str, tuple[tuple[str, ...], str | None]] = {
    **{name: ((), name) for name in ("sky", "building", "pole", "road", "sidewalk", "fence")},
    "tree": (("terrain",), "vegetation"),
    "sign symbol": (("traffic light",), "traffic sign"),
    "car": (("truck", "bus", "train"), "car"),
    "pedestrian": ((), "person"),
    "bicyclist": (("rider", "bicycle", "motorcycle"), None),
}
"""By human class: the teacher classes that are subclasses of it and are kept, and the class of all
other pixels; None: ignored."""


def correct(teacher: npt.NDArray[np.uint8], human: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Correct teacher labels (H, W) of 19 classes by human labels (H, W) of 11.

    Human void (255) keeps the teacher's label.
    """
    fine, coarse = ClassMap.load("cityscapes"), ClassMap.load("camvid")
    result = teacher.copy()
    for name, (kept, other) in CORRECTIONS.items():
        pixels = human == coarse.class_by_name(name).id
        for subclass in kept:
            pixels &= teacher != fine.class_by_name(subclass).id
        result[pixels] = IGNORED if other is None else fine.class_by_name(other).id
    # CamVid labels many walls as fence: if the teacher predicts wall, the pixel is ignored.
    fence, wall = coarse.class_by_name("fence").id, fine.class_by_name("wall").id
    result[(human == fence) & (teacher == wall)] = IGNORED
    return result


def lay_out(source: Path, output: Path) -> None:
    """Write the data sets; frames are links to the source.

    Raises:
        FileExistsError: the output folder exists.
        FileNotFoundError: the source lacks a folder.
    """
    output.mkdir(parents=True)
    camvid = source / "camvid"
    for frame in sorted((camvid / "frames" / "train").iterdir()):
        _add(output / "camvid", frame.stem, frame, _corrected(camvid, "train", frame.stem))
        _list(output / "camvid", "train", frame.stem)
    for frame in sorted((camvid / "frames" / "val").iterdir()):
        _add(output / "camvid", "val", frame, _corrected(camvid, "val", frame.stem))
        _add(output / "camvid11", "val", frame, _read(camvid / "human" / "val", frame.stem))
    for root in ("camvid", "camvid11"):
        _list(output / root, "val", "val")
    for frame in sorted((camvid / "frames" / "test").iterdir()):
        _add(output / "camvid11", frame.stem, frame, _read(camvid / "human" / "test", frame.stem))
        _list(output / "camvid11", "test", frame.stem)
    for name in ("aachen", "kitti"):
        for clip in sorted((source / name / "frames").iterdir()):
            for frame in sorted(clip.iterdir()):
                labels = _read(source / name / "teacher" / clip.name, frame.stem)
                _add(output / "clips", f"{name}-{clip.name}", frame, labels)
    maps = config_dir() / "class_maps"
    for root, name in (("camvid", "cityscapes"), ("clips", "cityscapes"), ("camvid11", "camvid")):
        shutil.copy(maps / f"{name}.yaml", output / root / "class_map.yaml")


def _corrected(camvid: Path, split: str, stem: str) -> npt.NDArray[np.uint8]:
    return correct(_read(camvid / "teacher" / split, stem), _read(camvid / "human" / split, stem))


def _read(folder: Path, stem: str) -> npt.NDArray[np.uint8]:
    path = folder / f"{stem}.png"
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if labels is None:
        raise FileNotFoundError(path)
    return np.asarray(labels, np.uint8)


def _add(root: Path, video: str, frame: Path, labels: npt.NDArray[np.uint8]) -> None:
    for kind in ("frames", "labels"):
        (root / kind / video).mkdir(parents=True, exist_ok=True)
    (root / "frames" / video / frame.name).symlink_to(frame.resolve())
    cv2.imwrite(str(root / "labels" / video / f"{frame.stem}.png"), labels)


def _list(root: Path, split: str, line: str) -> None:
    with (root / f"{split}.txt").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def main() -> None:
    """Write the data sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    lay_out(arguments.source, arguments.output)


if __name__ == "__main__":
    main()
