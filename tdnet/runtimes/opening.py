"""From the settings of a segmenter to a running network over exported graphs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from tdnet.device import working_on
from tdnet.errors import InputError, UnknownNameError, WeightsError
from tdnet.file_hash import sha256
from tdnet.regular_files import file_problem
from tdnet.runtimes import RUNTIMES
from tdnet.runtimes.description import ExportDescription
from tdnet.runtimes.description_file import read_description
from tdnet.runtimes.exported_network import ExportedNetwork
from tdnet.settings import SegmenterSettings

MAX_GRAPH_BYTES = 2 << 30


def open_exported(settings: SegmenterSettings) -> tuple[ExportedNetwork, ExportDescription]:
    """Load the graphs of the folder that `settings.weights` names into a runtime.

    Raises:
        TdnetError: the runtime or its package is missing, the folder cannot be used, it was
            exported for another variant, size or precision, or the device cannot hold it; with
            what to do.
    """
    if settings.runtime not in RUNTIMES:
        raise UnknownNameError("runtime", settings.runtime, RUNTIMES)
    if not settings.weights or Path(settings.weights).is_file():
        given = f"{settings.weights} is a file" if settings.weights else "no folder is given"
        raise WeightsError(
            f"runtime {settings.runtime} runs exported graphs, but {given}: `tdnet export "
            "--format onnx --output DIR`, then set weights to DIR"
        )
    folder = Path(settings.weights)
    description = read_description(folder)
    _check_fits(settings, description, folder)
    for graph in description.graphs:
        _check_whole(folder / graph.file, graph.sha256)
    kind, device = _runtime(settings)
    with working_on(device):
        return kind(folder, description, device), description


def _runtime(
    settings: SegmenterSettings,
) -> tuple[Callable[[Path, ExportDescription, torch.device], ExportedNetwork], torch.device]:
    if settings.runtime == "tensorrt":
        from tdnet.runtimes.tensorrt_network import TensorRtNetwork, cuda_device

        return TensorRtNetwork, cuda_device(settings.device)
    from tdnet.runtimes.onnxruntime_network import OnnxRuntimeNetwork, runtime_device

    return OnnxRuntimeNetwork, runtime_device(settings.device)


def _check_fits(settings: SegmenterSettings, description: ExportDescription, folder: Path) -> None:
    if description.format != "onnx":
        raise WeightsError(
            f"{folder} holds graphs of format {description.format}; runtime {settings.runtime} "
            "takes onnx: export with --format onnx"
        )
    if settings.runtime == "tensorrt" and description.precision == "int8":
        raise WeightsError(
            f"{folder} was exported in int8 for CPUs; TensorRT takes --precision int8-tensorrt"
        )
    if description.variant != settings.variant:
        raise WeightsError(
            f"{folder} was exported of {description.variant}, variant is {settings.variant}: set "
            f"variant to {description.variant}, or weights to another folder"
        )
    if settings.input_size not in (None, description.input_size):
        height, width = description.input_size
        raise InputError(
            f"{folder} was exported for frames of {height} x {width}: leave input_size out, or "
            "export with --input-size"
        )
    if settings.precision not in ("auto", description.precision):
        raise InputError(
            f"{folder} was exported in {description.precision}, precision is "
            f"{settings.precision}: set it to auto or leave it out, or export with --precision"
        )


def _check_whole(path: Path, digest: str) -> None:
    problem = file_problem(path, MAX_GRAPH_BYTES)
    if problem:
        raise WeightsError(f"{path}: {problem}; copy the whole folder again, or export again")
    try:
        found = sha256(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    if found != digest:
        raise WeightsError(
            f"{path} is not the file that was exported (its SHA-256 differs): copy the whole "
            "folder again"
        )
