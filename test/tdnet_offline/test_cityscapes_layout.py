"""The folder layout of Cityscapes: file names, ids, the labelled frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tdnet import ClassMap
from tdnet_offline.cityscapes_layout import (
    LABEL_ID_OF_TRAIN_ID,
    TRAIN_ID_OF_LABEL_ID,
    SnippetPaths,
    snippet_split,
    write_snippet,
)
from tdnet_offline.street import StreetDrive

# Written down a second time, by name, as the data set's own table has them.
RAW_IDS = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17,
    "traffic light": 19, "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23,
    "person": 24, "rider": 25, "car": 26, "truck": 27, "bus": 28, "train": 31,
    "motorcycle": 32, "bicycle": 33,
}  # fmt: skip


def test_ids_are_those_of_the_data_set() -> None:
    assert LABEL_ID_OF_TRAIN_ID[:19].tolist() == list(RAW_IDS.values())
    assert np.all(LABEL_ID_OF_TRAIN_ID[19:] == 0)
    assert np.all(TRAIN_ID_OF_LABEL_ID[LABEL_ID_OF_TRAIN_ID[:19]] == np.arange(19))
    unused = sorted(set(range(256)) - set(RAW_IDS.values()))
    assert np.all(TRAIN_ID_OF_LABEL_ID[unused] == 255)


def test_the_class_map_of_the_server_has_these_ids() -> None:
    classes = ClassMap.load("cityscapes-label-ids").classes
    assert {entry.name: entry.id for entry in classes} == RAW_IDS


def test_paths_are_those_of_the_data_set() -> None:
    paths = SnippetPaths(Path("root"), "val", "frankfurt", 1)
    image = "root/leftImg8bit_sequence/val/frankfurt/frankfurt_000001_000019_leftImg8bit.png"
    labels = "root/gtFine/val/frankfurt/frankfurt_000001_000019_gtFine_labelIds.png"
    assert (str(paths.image(19)), str(paths.labels(19))) == (image, labels)


def test_every_fifth_snippet_is_for_validation() -> None:
    splits = [snippet_split(snippet) for snippet in range(10)]
    assert [index for index, split in enumerate(splits) if split == "val"] == [4, 9]


def test_a_snippet_has_thirty_frames_and_labels_of_the_twentieth(tmp_path: Path) -> None:
    drive = StreetDrive(3, (48, 96))
    paths = SnippetPaths(tmp_path, "train", "street3")
    steps: list[None] = []
    write_snippet(paths, drive, lambda: steps.append(None))
    assert len(steps) == 30
    pictures = sorted((tmp_path / "leftImg8bit_sequence/train/street3").iterdir())
    assert [p.name for p in pictures] == [
        f"street3_000000_{frame:06d}_leftImg8bit.png" for frame in range(30)
    ]
    (labels,) = (tmp_path / "gtFine/train/street3").iterdir()
    assert labels.name == "street3_000000_000019_gtFine_labelIds.png"
    frame = drive.frame(19)
    stored = cv2.cvtColor(cv2.imread(str(pictures[19])), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(stored, frame.image)
    ids = cv2.imread(str(labels), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(TRAIN_ID_OF_LABEL_ID[ids], frame.labels)
