"""Small trees in the exact layout of published data sets."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

from support.labelled import picture, write_labels
from support.media import write_image

ROAD = (128, 64, 128)
"""Colour of roads in CamVid."""


def camvid_stem(sequence: str, number: int) -> str:
    """Return the name of a frame in the style of its sequence."""
    form = {"0001TP": "_{:06d}", "0016E5": "_{:05d}"}.get(sequence, "_f{:05d}")
    return sequence + form.format(number)


def add_camvid(root: Path, sequence: str, labelled: list[int], extracted: list[int]) -> None:
    """Add labelled stills, all road, and frames of the video to a tree of CamVid."""
    for number in labelled:
        name = camvid_stem(sequence, number)
        write_image(root / f"701_StillsRaw_full/{name}.png", picture(number % 80))
        colours = np.full((6, 8, 3), ROAD, np.uint8)
        write_labels(root / f"LabeledApproved_full/{name}_L.png", colours)
    for number in extracted:
        name = camvid_stem(sequence, number)
        write_image(root / f"frames/{sequence}/{name}.png", picture(number % 80))


NYU_SIZE = H, W = 480, 640
NYU_START = 1294886363.25
SCENE_OF_ROW = ["kitchen_0001", "kitchen_0001", "office_0002a", "office_0002a"]
FRAME_OF_ROW = [4, 40, 2, 9]


def raw_name(frame: int) -> str:
    """Return the name of a raw frame, at 20 per second."""
    return f"r-{NYU_START + frame / 20:.6f}-{3118787619 + frame}.ppm"


def nyu_image(row: int) -> np.ndarray:
    """Return the picture of a labelled frame."""
    rows, columns, channels = np.mgrid[0:H, 0:W, 0:3]
    return (rows * 5 + columns * 3 + channels * 40 + row).astype(np.uint8)


def nyu_labels(row: int) -> np.ndarray:
    """Return labels: left half class 894, right half the row's class, first line unlabelled."""
    ids = np.full((H, W), 894, np.uint16)
    ids[:, W // 2 :] = 10 * (row + 1)
    ids[0] = 0
    return ids


def _write_ppms(folder: Path, frames: list[int]) -> None:
    """Write raw frames of colour (n, 2 n, 255 - n), n the last digit; equal ones share a file."""
    folder.mkdir(parents=True)
    first: dict[int, Path] = {}
    for frame in frames:
        path, value = folder / raw_name(frame), frame % 10
        if value in first:
            path.hardlink_to(first[value])
            continue
        first[value] = path
        pixels = np.full((H, W, 3), (value, 2 * value, 255 - value), np.uint8)
        path.write_bytes(b"P6\n%d %d\n255\n" % (W, H) + pixels.tobytes())


def _write_labelled(path: Path) -> None:
    """Write the file as MATLAB does: reversed axes, texts as references."""
    with h5py.File(path, "w") as file:
        rows = range(len(SCENE_OF_ROW))
        images = np.stack([nyu_image(row).transpose(2, 1, 0) for row in rows])
        file.create_dataset("images", data=images, compression="gzip", compression_opts=1)
        labels = np.stack([nyu_labels(row).T for row in rows])
        file.create_dataset("labels", data=labels, compression="gzip", compression_opts=1)
        names = file.create_dataset("rawRgbFilenames", (1, len(rows)), h5py.ref_dtype)
        for row in rows:
            text = f"{SCENE_OF_ROW[row]}/{raw_name(FRAME_OF_ROW[row])}"
            characters = np.array([[ord(c)] for c in text], np.uint16)
            names[0, row] = file.create_dataset(f"#refs#/{row}", data=characters).ref


def write_nyudv2(root: Path) -> None:
    """Write a tree: rows 1, 2 and 4 for training, row 3 for test; one scene lacks a frame."""
    _write_labelled(root / "nyu_depth_v2_labeled.mat")
    splits = {"trainNdxs": np.array([[1], [2], [4]]), "testNdxs": np.array([[3]])}
    savemat(root / "splits.mat", splits)
    mapping = (np.arange(894) % 40 + 1)[None].astype(np.uint8)
    names = np.array([["some", "names"]], object)
    savemat(root / "classMapping40.mat", {"mapClass": mapping, "className": names})
    _write_ppms(root / "raw/kitchen_0001", list(range(60)))
    _write_ppms(root / "raw/offices_part1/office_0002a", [*range(9), 10, 11])
    (root / "raw/kitchen_0001/d-1294886363.25-1.pgm").write_bytes(b"depth")
