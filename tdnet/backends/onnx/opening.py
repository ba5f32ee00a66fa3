"""From the settings of a segmenter to a running network over exported graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tdnet._util.device import working_on
from tdnet._util.file_hash import sha256
from tdnet._util.regular_files import file_problem
from tdnet.backends.onnx import RUNTIMES
from tdnet.backends.onnx.description import ExportDescription, read_description
from tdnet.backends.onnx.exported_network import ExportedNetwork
from tdnet.errors import InputError, UnknownNameError, WeightsError

MAX_GRAPH_BYTES = 2 << 30


@dataclass(frozen=True)
class ExportRequest:
    """What is to be opened, and what the caller expects of it.

    Attributes:
        folder: path of a folder that `tdnet export` wrote.
        runtime: ``onnxruntime`` or ``tensorrt``.
        variant: the network that was exported.
        input_size: height and width of the network input; None: as exported.
        precision: ``auto``, or the one of the export.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
    """

    folder: str
    runtime: str
    variant: str
    input_size: tuple[int, int] | None = None
    precision: str = "auto"
    device: str = "auto"


def open_exported(request: ExportRequest) -> tuple[ExportedNetwork, ExportDescription]:
    """Load the graphs of an exported folder into a runtime.

    Raises:
        TdnetError: the runtime or its package is missing, the folder cannot be used, it was
            exported for another variant, size or precision, or the device cannot hold it; with
            what to do.
    """
    if request.runtime not in RUNTIMES:
        raise UnknownNameError("runtime", request.runtime, RUNTIMES)
    if not request.folder or Path(request.folder).is_file():
        given = f"{request.folder} is a file" if request.folder else "no folder is given"
        raise WeightsError(
            f"runtime {request.runtime} runs exported graphs, but {given}: `tdnet export "
            "--format onnx --output DIR`, then set weights to DIR"
        )
    folder = Path(request.folder)
    description = read_description(folder)
    _check_fits(request, description, folder)
    for graph in description.cycle.graphs:
        _check_whole(folder / graph.file, graph.sha256)
    kind, device = _runtime(request)
    with working_on(device):
        return kind(folder, description, device), description


def _runtime(
    request: ExportRequest,
) -> tuple[Callable[[Path, ExportDescription, torch.device], ExportedNetwork], torch.device]:
    if request.runtime == "tensorrt":
        from tdnet.backends.onnx.tensorrt_network import TensorRtNetwork, cuda_device

        return TensorRtNetwork, cuda_device(request.device)
    from tdnet.backends.onnx.onnxruntime_network import OnnxRuntimeNetwork, runtime_device

    return OnnxRuntimeNetwork, runtime_device(request.device)


def _check_fits(request: ExportRequest, description: ExportDescription, folder: Path) -> None:
    if description.format != "onnx":
        raise WeightsError(
            f"{folder} holds graphs of format {description.format}; runtime {request.runtime} "
            "takes onnx: export with --format onnx"
        )
    if request.runtime == "tensorrt" and description.precision == "int8":
        raise WeightsError(
            f"{folder} was exported in int8 for CPUs; TensorRT takes --precision int8-tensorrt"
        )
    if description.variant != request.variant:
        raise WeightsError(
            f"{folder} was exported of {description.variant}, variant is {request.variant}: set "
            f"variant to {description.variant}, or weights to another folder"
        )
    if request.input_size not in (None, description.input_size):
        height, width = description.input_size
        raise InputError(
            f"{folder} was exported for frames of {height} x {width}: leave input_size out, or "
            "export with --input-size"
        )
    if request.precision not in ("auto", description.precision):
        raise InputError(
            f"{folder} was exported in {description.precision}, precision is "
            f"{request.precision}: set it to auto or leave it out, or export with --precision"
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
