"""Files of NYU Depth V2: MATLAB files, raw colour pictures, and the lens distortion."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import h5py
import numpy as np
import numpy.typing as npt

from tdnet.errors import InputError
from tdnet_offline.datasets.video import IGNORED, MissingFilesError, naming
from tdnet_offline.frames.image_files import read_bytes

CLASSES = 894
"""Number of classes in the labelled file, from 1."""
KEPT_CLASSES = 40
_SIZE = _HEIGHT, _WIDTH = 480, 640
"""Size of all pictures."""
_CAMERA = np.array(
    [
        [518.85790117450188, 0.0, 325.58244941119034],
        [0.0, 519.46961112127485, 253.73616633400465],
        [0.0, 0.0, 1.0],
    ]
)
_RADIAL = (0.20796615318809061, -0.58613825163911781, 0.49856986684705107)
_TANGENTIAL = (0.00072231363135888329, 0.0010479627195765181)
"""Constants of the colour camera, from the data set's toolbox."""


def read_mat(path: Path, keys: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Read arrays of a MATLAB file of version 5.

    Raises:
        InputError: it is missing, damaged, or has no such array.
    """
    from scipy.io import loadmat

    if not path.is_file():
        raise MissingFilesError(f"{path}: does not exist")
    try:
        content = loadmat(str(path), variable_names=keys)
    except Exception as error:  # the reader passes on the exceptions of its parsers
        raise InputError(f"{path}: not a MATLAB file that can be read ({error})") from error
    missing = [key for key in keys if key not in content]
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}; is it the official file?")
    return {key: np.asarray(content[key]) for key in keys}


def read_rows(path: Path, key: str) -> npt.NDArray[np.int64]:
    """Return the rows of the labelled frames of a split, counted from 0."""
    return read_mat(path, (key,))[key].reshape(-1).astype(np.int64) - 1


def read_class_table(path: Path) -> npt.NDArray[np.uint8]:
    """Read the mapping from 894 classes to 40.

    Returns:
        (895,) uint8: id 0 to 39 by label 0 to 894; 255 for labels without a class.

    Raises:
        InputError: the file has another content.
    """
    mapping = read_mat(path, ("mapClass",))["mapClass"].reshape(-1).astype(np.int64)
    if mapping.size != CLASSES or mapping.min() < 0 or mapping.max() > KEPT_CLASSES:
        raise InputError(
            f"{path}: mapClass has {mapping.size} values from {mapping.min()} to {mapping.max()}; "
            f"expected are {CLASSES} from 1 to {KEPT_CLASSES}"
        )
    table = np.full(CLASSES + 1, IGNORED, np.uint8)
    table[1:][mapping > 0] = mapping[mapping > 0] - 1
    return table


def read_raw_names(path: Path) -> list[PurePosixPath]:
    """Read the raw files ``SCENE/r-TIME-NUMBER.ppm`` of the labelled frames, in their order.

    Raises:
        InputError: the file is missing, cut off, or has another content, size or type than the
            official one.
    """
    if not path.is_file():
        raise MissingFilesError(f"{path}: does not exist")
    try:
        with h5py.File(path, "r") as file:
            references = np.asarray(file["rawRgbFilenames"]).reshape(-1)
            texts = ["".join(map(chr, np.asarray(file[r]).reshape(-1))) for r in references]
            kinds = {key: (file[key].shape, file[key].dtype) for key in ("images", "labels")}
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); download it again") from error
    # MATLAB's axes, in h5py's order.
    expected = {
        "images": ((len(texts), 3, _WIDTH, _HEIGHT), "u1"),
        "labels": ((len(texts), _WIDTH, _HEIGHT), "u2"),
    }
    for key, (shape, kind) in expected.items():
        if kinds[key] != (shape, np.dtype(kind)):
            raise InputError(
                f"{path}: {key} are {kinds[key][1]} {kinds[key][0]}; expected for its "
                f"{len(texts)} names are {np.dtype(kind)} {shape}; download it again"
            )
    return [PurePosixPath(text) for text in texts]


def read_ppm(path: Path) -> npt.NDArray[np.uint8]:
    """Read a raw colour picture (480, 640, 3) uint8 RGB.

    Raises:
        InputError: it is missing, cut off, not a PPM, or of another size.
    """
    image = None
    with naming(path), suppress(cv2.error):
        image = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path}: not a PPM that can be decoded; is it cut off?")
    if image.shape[:2] != _SIZE:
        raise InputError(
            f"{path}: a picture of {image.shape[0]} x {image.shape[1]}; raw pictures are "
            f"{_HEIGHT} x {_WIDTH} (height x width)"
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def undistorted(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Remove the lens distortion from a raw picture (480, 640, 3); labelled pictures have none.

    Pixels outside the camera's view become white, as in the labelled pictures.
    """
    maps = _undistortion()
    white = (255, 255, 255)
    result = cv2.remap(image, *maps, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, white)
    return np.asarray(result, np.uint8)


@cache
def _undistortion() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    distortion = np.array([*_RADIAL[:2], *_TANGENTIAL, _RADIAL[2]])
    first, second = cv2.initUndistortRectifyMap(
        _CAMERA, distortion, np.eye(3), _CAMERA, (_WIDTH, _HEIGHT), cv2.CV_32FC1
    )
    return first, second
