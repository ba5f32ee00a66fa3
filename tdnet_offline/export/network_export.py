"""`tdnet export` as a function: a new folder of graphs, also in 8-bit integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from tdnet._util.packages import require
from tdnet.backends.onnx.description import DESCRIPTION_NAME, ExportDescription
from tdnet.backends.onnx.export import Converter, check_packages, write_export
from tdnet.errors import InputError
from tdnet.network import SegmentationNetwork
from tdnet.settings import SegmenterSettings
from tdnet_offline.export.int8 import Image, calibration_inputs, quantise
from tdnet_offline.writers.new_folder import check_new, new_folder

INT8, INT8_TENSORRT = "int8", "int8-tensorrt"


def export_network(
    settings: SegmenterSettings,
    folder: Path,
    precision: str = "float32",
    calibration: Iterable[Image] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> ExportDescription:
    """Write a network as ONNX graphs to a new folder, completely or not at all.

    Args:
        settings: variant, weights file, class map and input size.
        folder: new, or empty.
        precision: ``float32``; ``float16`` (layer norms keep float32); or for the convolutions
            alone ``int8`` (ONNX Runtime on CPUs) or ``int8-tensorrt``.
        calibration: for int8, frames of one stream, (H', W', 3) uint8 RGB in order.
        on_progress: called with a line for each step.

    Raises:
        TdnetError: the weights cannot be used, a package is missing, the folder is not empty,
            or the calibration frames are missing, too few, or given without int8.
        OSError: the folder cannot be written.
    """
    if (precision in (INT8, INT8_TENSORRT)) != (calibration is not None):
        raise InputError("--calibrate SOURCE and --precision int8 go together")
    check_packages()
    if calibration is not None:
        require("onnxruntime", "--precision int8")
    check_new(folder)

    frames = () if calibration is None else calibration
    checkpoint = settings.open_checkpoint()
    model, class_map = settings.load_model(checkpoint)

    def quantiser(network: SegmentationNetwork) -> Converter:
        ranges = calibration_inputs(network, frames)
        return lambda path, source, target: quantise(
            source, target, ranges[path], signed=precision == INT8_TENSORRT
        )

    with new_folder(folder, last=DESCRIPTION_NAME) as temporary:
        converter = None if calibration is None else quantiser
        return write_export(
            model, class_map, checkpoint, temporary, precision, converter, on_progress
        )
