"""NYU Depth V2: labelled frames of its .mat file, and the frames before them of the raw videos."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets.nyudv2_files import (
    CLASSES,
    read_class_table,
    read_ppm,
    read_raw_names,
    read_rows,
    undistorted,
)
from tdnet_offline.datasets.video import (
    CaptureTime,
    Dataset,
    LabelledVideo,
    find_breaks,
    labelled_ranges,
    relabelled,
)
from tdnet_offline.frames import Frame

LABELLED, SPLIT_FILE = "nyu_depth_v2_labeled.mat", "splits.mat"
MAPPING, RAW = "classMapping40.mat", "raw"
_SPLIT_KEYS = {"train": "trainNdxs", "val": "testNdxs", "test": "testNdxs"}
_NAME = re.compile(r"r-([0-9]+\.[0-9]+)-[0-9]+\.ppm")


@dataclass(frozen=True)
class RawFrame:
    """A frame of a raw video, or its undistorted copy in the .mat file.

    Attributes:
        path: of its raw file.
        time: seconds since the epoch.
        row: in the .mat file, from 0; None if it has no labels.
    """

    path: Path
    time: float
    row: int | None


class NyuVideo(LabelledVideo):
    """Neighbouring frames of a scene.

    Args:
        name: unique in the data set.
        frames: ascending in time.
        mat: the .mat file.
        table: (895,) uint8, label of the .mat file to class id.
        also_expected: see `LabelledVideo`.
    """

    def __init__(
        self,
        name: str,
        frames: Sequence[RawFrame],
        mat: Path,
        table: npt.NDArray[np.uint8],
        also_expected: Sequence[Path] = (),
    ) -> None:
        self.name = name
        self.num_frames = len(frames)
        self.labelled = [index for index, frame in enumerate(frames) if frame.row is not None]
        self.frame_rate = None
        self.also_expected = also_expected
        self.breaks = find_breaks(CaptureTime(round(frame.time * 1e9)) for frame in frames)
        self._frames, self._mat, self._table = frames, mat, table

    def frame(self, index: int) -> Frame:
        """Return frame ``index``; see `LabelledVideo.frame`."""
        frame = self._at(index)
        if frame.row is None:
            image = undistorted(read_ppm(frame.path))
        else:
            image = np.ascontiguousarray(self._read("images", frame.row).transpose(2, 1, 0))
        return Frame(frame.path.stem, round(frame.time * 1e9), "", image)

    def labels(self, index: int) -> npt.NDArray[np.uint8]:
        """Return the labels of frame ``index``; see `LabelledVideo.labels`."""
        row = self._at(index).row
        if row is None:
            raise InputError(f"{self.name}: frame {index} has no labels")
        labels = self._read("labels", row).T
        if labels.max(initial=0) > CLASSES:
            raise InputError(
                f"{self._mat}: labels number {row + 1} go up to {int(labels.max())}; allowed are "
                f"0 to {CLASSES}"
            )
        return np.ascontiguousarray(self._table[labels])

    def _at(self, index: int) -> RawFrame:
        self.check_index(index)
        return self._frames[index]

    def _read(self, key: str, row: int) -> npt.NDArray[Any]:
        # Opened for each picture: an open file cannot be passed to data loading processes.
        try:
            with h5py.File(self._mat, "r") as file:
                return np.asarray(file[key][row])
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise InputError(f"{self._mat}: {key} {row + 1} cannot be read ({error})") from error


def open_nyudv2(root: str, split: str, class_map: ClassMap | None = None) -> Dataset:
    """Open the official files, with the 894 classes merged into 40.

    Args:
        root: folder with ``nyu_depth_v2_labeled.mat``, ``splits.mat``, ``classMapping40.mat`` and
            the raw scenes in ``raw/SCENE`` or ``raw/PART/SCENE``.
        split: "train"; "val" and "test" are both the official test list.
        class_map: see `relabelled`.

    Raises:
        InputError: a file is missing or not the expected one; names the download.
    """
    folder = Path(root)
    mat = folder / LABELLED
    names = read_raw_names(mat)
    rows = read_rows(folder / SPLIT_FILE, _SPLIT_KEYS[split])
    table = read_class_table(folder / MAPPING)
    if len(rows) == 0 or rows.min() < 0 or rows.max() >= len(names):
        raise InputError(
            f"{folder / SPLIT_FILE}: {_SPLIT_KEYS[split]} names frames that {LABELLED} with its "
            f"{len(names)} does not have"
        )
    scenes: dict[PurePosixPath, dict[str, int]] = defaultdict(dict)
    for row in sorted(rows.tolist()):
        _time(mat, names[row].name)
        scenes[names[row].parent][names[row].name] = row
    folders = _scene_folders(folder / RAW)
    videos = [
        video
        for scene, labelled in sorted(scenes.items())
        for video in _videos(folder, mat, scene.name, labelled, folders, table)
    ]
    dataset = Dataset("nyudv2", root, split, ClassMap.load("nyudv2"), tuple(videos))
    return relabelled(dataset, class_map)


def _time(mat: Path, name: str) -> float:
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"{mat}: raw file {name!r} is not named like r-1294886363.0-311878.ppm")
    return float(match[1])


def _scene_folders(raw: Path) -> dict[str, Path]:
    """Return the scene folders by name, directly in a folder or in those of downloaded parts."""
    if not raw.is_dir():
        return {}
    top = [path for path in sorted(raw.iterdir()) if path.is_dir()]
    inner = [path for part in top for path in sorted(part.iterdir()) if path.is_dir()]
    return {path.name: path for path in (*inner, *top)}


def _videos(
    root: Path,
    mat: Path,
    scene: str,
    labelled: Mapping[str, int],
    folders: Mapping[str, Path],
    table: npt.NDArray[np.uint8],
) -> Iterator[NyuVideo]:
    folder = folders.get(scene)
    if folder is None:
        nowhere = root / RAW / scene
        for name, row in labelled.items():
            frame = RawFrame(nowhere / name, _time(mat, name), row)
            yield NyuVideo(f"{scene}_{row + 1:04d}", [frame], mat, table, [nowhere])
        return
    times = {
        path.name: float(match[1])
        for path in folder.iterdir()
        if (match := _NAME.fullmatch(path.name)) is not None
    }
    times |= {name: _time(mat, name) for name in labelled}
    ordered = sorted(times, key=lambda name: (times[name], name))
    frames = [RawFrame(folder / name, times[name], labelled.get(name)) for name in ordered]
    places = [index for index, frame in enumerate(frames) if frame.row is not None]
    for part in labelled_ranges(places):
        kept = frames[part.start : part.stop]
        first_row = next(frame.row for frame in kept if frame.row is not None)
        yield NyuVideo(f"{scene}_{first_row + 1:04d}", kept, mat, table)
