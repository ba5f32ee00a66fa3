"""The folder of exported graphs: checked, and opened as a backend."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tdnet.backends import EXPORT_RUNTIMES, RUNTIMES
from tdnet.backends.onnx.description import ExportDescription, read_description
from tdnet.backends.onnx.exported_backend import ExportedBackend
from tdnet.errors import InputError, UnknownNameError, WeightsError


@dataclass(frozen=True)
class ExportRequest:
    """Folder to open, and the network that the caller expects in it.

    Attributes:
        folder: path of a folder that `tdnet export` wrote.
        runtime: name in `RUNTIMES`, except ``torch``.
        variant: name of the exported network.
        input_size: height and width of the network input; None: as exported.
        precision: ``auto``, or the precision of the export.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
    """

    folder: str
    runtime: str
    variant: str
    input_size: tuple[int, int] | None = None
    precision: str = "auto"
    device: str = "auto"


def open_exported(request: ExportRequest) -> ExportedBackend:
    """Open a folder that `tdnet export` wrote with a runtime.

    Raises:
        TdnetError: the runtime or its package is missing, the folder cannot be used or was
            exported for another variant, size or precision, or the device lacks memory; with
            the remedy.
    """
    if request.runtime not in RUNTIMES:
        raise UnknownNameError("runtime", request.runtime, RUNTIMES)
    if not RUNTIMES[request.runtime].backend:
        raise InputError(
            f"runtime {request.runtime} runs no exported graphs; choose {EXPORT_RUNTIMES}"
        )
    if not request.folder or Path(request.folder).is_file():
        given = f"{request.folder} is a file" if request.folder else "no folder is given"
        raise WeightsError(
            f"runtime {request.runtime} runs exported graphs, but {given}: `tdnet export "
            "--format onnx --output DIR`, then set weights to DIR"
        )
    folder = Path(request.folder)
    description = read_description(folder)
    kind = exported_backend(request.runtime)
    _check_fits(request, description, folder, kind)
    return kind.open(folder, description, request.device)


def exported_backend(runtime: str) -> type[ExportedBackend]:
    """Import the backend of a runtime of exported graphs."""
    module, _, name = RUNTIMES[runtime].backend.rpartition(".")
    backend: type[ExportedBackend] = getattr(import_module(module), name)
    return backend


def _check_fits(
    request: ExportRequest,
    description: ExportDescription,
    folder: Path,
    backend: type[ExportedBackend],
) -> None:
    if description.precision not in backend.precisions:
        raise WeightsError(
            f"{folder} was exported in {description.precision}; runtime {request.runtime} takes "
            f"--precision {', '.join(backend.precisions)}"
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
