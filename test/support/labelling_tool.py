"""Replaces a person at a labelling tool: draws masks from the labels of a bag."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np

from tdnet import ClassMap
from tdnet_offline.datasets import open_dataset

IMAGES, LABELS = "/camera/image_raw", "/camera/labels"


def export_masks(task: Path, bag: Path, drawn: ClassMap, seen: ClassMap, export: Path) -> None:
    """Write the "Segmentation mask" export of CVAT for a task with an archive of pictures.

    Args:
        task: zip of the pictures, each with a name of the bag's frames, in folders.
        bag: where they come from, with labels that are ids of Cityscapes.
        drawn: names and colours of the labels that the tool has.
        seen: class of `drawn` (by id) that the person sees in a pixel of a Cityscapes class.
        export: zip to write.
    """
    (video,) = open_dataset(str(bag), topic=IMAGES, label_topic=LABELS).videos
    index = {video.frame(number).name: number for number in range(video.num_frames)}
    palette = np.zeros((256, 3), np.uint8)  # black is the tool's background
    for entry in drawn.classes:
        palette[entry.id] = entry.color
    with zipfile.ZipFile(task) as pictures, zipfile.ZipFile(export, "w") as masks:
        names = [name for name in pictures.namelist() if name.endswith(".png")]
        rows = "".join(f"{c.name}:{','.join(map(str, c.color))}::\n" for c in drawn.classes)
        header = "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"
        masks.writestr("labelmap.txt", header + rows)
        lines = "".join(f"{name[:-4]}\n" for name in names)
        masks.writestr("ImageSets/Segmentation/default.txt", lines)
        for name in names:
            ids = seen.id_table[video.labels(index[Path(name).stem])]
            ok, data = cv2.imencode(".png", palette[ids][..., ::-1])
            assert ok
            masks.writestr(f"SegmentationClass/{name}", data.tobytes())
            masks.writestr(f"SegmentationObject/{name}", data.tobytes())
