"""Networks exported for a benchmark, so that other runtimes are measured on the same weights."""

from __future__ import annotations

from pathlib import Path

from tdnet.settings import SegmenterSettings
from tdnet_offline.benchmark.camera_frames import usual_camera
from tdnet_offline.benchmark.plan import INT8, Place
from tdnet_offline.export.int8 import Image
from tdnet_offline.export.onnx_export import INT8_TENSORRT, export_network
from tdnet_offline.street.drive import StreetDrive

# A street that no accuracy is measured on.
_CALIBRATION_SEED, _CALIBRATION_FRAMES = 7, 16


def exported_folder(place: Place, precision: str, weights: Path, to: Path) -> Path:
    """Give the folder of a place's graphs in a precision; it is made when it is not there.

    Args:
        place: of another runtime than PyTorch.
        precision: of the place.
        weights: file.
        to: folder for the folders.

    Raises:
        TdnetError: the network cannot be exported, or a package is missing.
        OSError: there is no room for it.
    """
    wanted = INT8_TENSORRT if (place.runtime, precision) == ("tensorrt", INT8) else precision
    height, width = place.input_size
    folder = to / f"{place.variant}-{height}x{width}-{wanted}"
    if not folder.exists():
        settings = SegmenterSettings(place.variant, str(weights), input_size=place.input_size)
        frames = _calibration(place) if precision == INT8 else None
        export_network(settings, folder, wanted, frames)
    return folder


def _calibration(place: Place) -> list[Image]:
    drive = StreetDrive(_CALIBRATION_SEED, usual_camera(place.input_size))
    return [drive.frame(index).image for index in range(_CALIBRATION_FRAMES)]
