"""CamVid in its official folders, with extracted frames of the videos beside them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError, one_line
from tdnet_offline.datasets.picture_files import (
    FileVideo,
    ids_of_colours,
    read_label_picture,
)
from tdnet_offline.datasets.video import (
    IGNORED,
    Dataset,
    MissingFilesError,
    labelled_ranges,
    naming,
    relabelled,
)
from tdnet_offline.frames.image_files import image_files, read_image

STILLS, LABELS, FRAMES = "701_StillsRaw_full", "LabeledApproved_full", "frames"
FRAME_RATE = 30.0
EXPECTED_BEFORE = 6
"""Frames before a labelled one that clips of four frames, two apart, need."""
STRAY_COLOURS = 0.01
"""Share of the pixels of a label picture that may have colours of no class."""
_SHIFTS = (-2, -1, 0, 1, 2)
_STEM = re.compile(r"([A-Za-z0-9]+)_f?([0-9]+)")
_COLOURS = {
    "sky": "808080",
    "building": "800000 008040 40c000 400040 c00080",  # Building Bridge Wall Tunnel Archway
    "pole": "c0c080 000040",  # Column_Pole TrafficCone
    "road": "804080 8000c0 c00040",  # Road LaneMkgsDriv LaneMkgsNonDriv
    "sidewalk": "0000c0 40c080 8080c0",  # Sidewalk ParkingBlock RoadShoulder
    "tree": "808000 c0c000",  # Tree VegetationMisc
    "sign symbol": "c08080 808040 004040",  # SignSymbol Misc_Text TrafficLight
    "fence": "404080",
    # Car SUVPickupTruck Truck_Bus Train OtherMoving
    "car": "400080 4080c0 c080c0 c04080 804040",
    "pedestrian": "404000 c08040 4000c0 408040",  # Pedestrian Child CartLuggagePram Animal
    "bicyclist": "0080c0 c000c0",  # Bicyclist MotorcycleScooter
}
"""The usual 11 classes, each with the RGB colours of its members among the 32 (without Void)."""


def split_of(sequence: str, number: int) -> str:
    """Return the official split of a frame: 367 for training, 101 for validation, 233 for tests.

    Args:
        sequence: start of the file names: 0001TP, 0006R0, 0016E5 or Seq05VD.
        number: of the frame.
    """
    if sequence == "Seq05VD" or (sequence == "0001TP" and number > 8520):
        return "test"
    # This part of the sequence is labelled 15 times a second.
    if sequence == "0016E5" and 7959 <= number <= 8159:
        return "val"
    return "train"


def open_camvid(root: str, split: str, class_map: ClassMap | None = None) -> Dataset:
    """Open the official layout.

    Frames before a labelled one are found by their number in ``frames/SEQUENCE``; a video is a
    run of frames without a gap. A labelled frame without frames before it is a video of one.

    Args:
        root: folder with ``LabeledApproved_full``, ``701_StillsRaw_full`` and ``frames``.
        split: "train", "val" or "test".
        class_map: see `relabelled`.

    Raises:
        InputError: there are no labels of the split; names the download.
    """
    folder = Path(root)
    labels: dict[str, dict[int, Path]] = defaultdict(dict)
    for path in sorted((folder / LABELS).glob("*_L.png")):
        sequence, number = _parse(path, path.stem.removesuffix("_L"))
        if split_of(sequence, number) == split:
            labels[sequence][number] = path
    if not labels:
        raise MissingFilesError(f"{folder / LABELS}: no *_L.png for {split} in it")
    videos = [
        video
        for sequence, labelled in sorted(labels.items())
        for video in _videos(folder, sequence, labelled)
    ]
    dataset = Dataset("camvid", root, split, ClassMap.load("camvid"), tuple(videos))
    return relabelled(dataset, class_map)


def _parse(path: Path, stem: str) -> tuple[str, int]:
    match = _STEM.fullmatch(stem)
    if match is None:
        raise InputError(f"{path}: not a name like 0006R0_f00930")
    return match[1], int(match[2])


def _videos(root: Path, sequence: str, labels: Mapping[int, Path]) -> Iterator[FileVideo]:
    extracted = extracted_frames(root, sequence)
    stills = {
        number: root / STILLS / f"{path.stem.removesuffix('_L')}.png"
        for number, path in labels.items()
    }
    known = {**extracted, **stills}
    for part in labelled_ranges(sorted(labels)):
        present = [number for number in part if number in known]
        # A gap in the numbers ends a video.
        for _, group in groupby(enumerate(present), key=lambda item: item[1] - item[0]):
            numbers = [number for _, number in group]
            labelled = [number for number in numbers if number in labels]
            if not labelled:
                continue
            yield FileVideo(
                f"{sequence}_{numbers[0]:06d}",
                [known[number] for number in numbers],
                {number - numbers[0]: labels[number] for number in labelled},
                read_colours,
                FRAME_RATE,
                [
                    _frame_path(root, labels[number], before)
                    for number in labelled
                    for before in range(max(0, number - EXPECTED_BEFORE), number)
                    if before not in known
                ],
            )


def extracted_frames(root: Path, sequence: str) -> dict[int, Path]:
    """Return the files in ``frames/SEQUENCE`` by their number."""
    folder = root / FRAMES / sequence
    if not folder.is_dir() or not any(folder.iterdir()):
        return {}
    return {_parse(path, path.stem)[1]: path for path in image_files(folder)}


def _frame_path(root: Path, labels: Path, number: int) -> Path:
    """Return the expected file of a frame, by the name of a neighbour's labels."""
    stem = labels.stem.removesuffix("_L")
    digits = len(stem) - len(stem.rstrip("0123456789"))
    name = f"{stem[:-digits]}{number:0{digits}d}.png"
    return root / FRAMES / stem.partition("_")[0] / name


def read_colours(path: Path) -> npt.NDArray[np.uint8]:
    """Read a label file of 32 colours as ids of the 11 classes (H, W) uint8, 255 = ignored.

    Raises:
        InputError: it cannot be read, or has colours of no class.
    """
    picture = read_label_picture(path)
    if picture.ndim == 2:
        raise InputError(f"{path}: not a coloured picture; the labels are those in {LABELS}")
    class_map = ClassMap.load("camvid")
    ids = {(0, 0, 0): IGNORED}
    for name, members in _COLOURS.items():
        for red, green, blue in map(bytes.fromhex, members.split()):
            ids[red, green, blue] = class_map.class_by_name(name).id
    with naming(path):
        return ids_of_colours(picture, ids, "CamVid", STRAY_COLOURS)


def check_frame_numbers(root: str) -> tuple[list[str], list[str]]:
    """Compare the numbers of extracted frames with the official stills.

    Programs count the frames of a video differently; nothing else reveals an offset of one.

    Returns:
        Problems: a line for each sequence with an offset and each picture that cannot be read.
        Notes: a line for each sequence with frames, none of which can be compared.
    """
    wrong: list[str] = []
    unknown: list[str] = []
    stills: dict[str, dict[int, Path]] = defaultdict(dict)
    for path in sorted((Path(root) / STILLS).glob("*.png")):
        with _collecting(wrong):
            sequence, number = _parse(path, path.stem)
            stills[sequence][number] = path
    for sequence, numbered in stills.items():
        with _collecting(wrong):
            _compare(Path(root) / FRAMES / sequence, numbered, wrong, unknown)
    return wrong, unknown


def _compare(
    folder: Path, stills: Mapping[int, Path], wrong: list[str], unknown: list[str]
) -> None:
    extracted = extracted_frames(folder.parent.parent, folder.name)
    chosen = [n for n in stills if all(n + shift in extracted for shift in _SHIFTS)]
    votes: list[int] = []
    for number in chosen[:: max(1, len(chosen) // 5)]:
        with _collecting(wrong):
            votes.append(_shift(stills[number], extracted, number))
    if extracted and not votes:
        unknown.append(
            f"{folder}: its numbers could not be compared with the stills; that needs the frames "
            "from two before to two after a still"
        )
    elif votes and np.median(votes) != 0:
        shift = int(np.median(votes))
        wrong.append(
            f"{folder}: frame N looks like still N{-shift:+d}; change the numbers of the "
            f"extracted frames by {-shift:+d}"
        )


@contextmanager
def _collecting(problems: list[str]) -> Iterator[None]:
    """Add input errors to the problems and continue."""
    try:
        yield
    except InputError as error:
        problems.append(one_line(error))


def _shift(still: Path, extracted: Mapping[int, Path], number: int) -> int:
    """Return the offset of the extracted frame that is clearly most similar to a still, else 0."""
    wanted = _thumbnail(still)
    differences = {
        shift: float(np.abs(_thumbnail(extracted[number + shift]) - wanted).mean())
        for shift in _SHIFTS
    }
    best = min(differences, key=lambda shift: differences[shift])
    return best if differences[best] < 0.8 * differences[0] else 0


def _thumbnail(path: Path) -> npt.NDArray[np.float32]:
    with naming(path):
        small = cv2.resize(read_image(path), (192, 144), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)
