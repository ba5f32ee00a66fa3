"""From the settings of a model to the backend that runs it best on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tdnet._util.device import resolve_device, working_on
from tdnet._util.regular_files import sha256
from tdnet.backends import AUTO, ONNXRUNTIME, RUNTIMES, TORCH
from tdnet.backends.backend import Backend
from tdnet.backends.onnx import cache
from tdnet.backends.onnx.description import ExportDescription, read_description
from tdnet.backends.onnx.onnxruntime_backend import OnnxRuntimeBackend
from tdnet.backends.onnx.providers import Provider, candidates
from tdnet.backends.torch_backend import create_backend
from tdnet.class_map.model import ClassMap
from tdnet.errors import (
    DeviceError,
    InputError,
    TdnetError,
    UnknownNameError,
    WeightsError,
)
from tdnet.network import SegmentationNetwork

logger = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parents[1]
# Files that an exported graph depends on.
_KIND = "network"
_SOURCES = ("network/*.py", "backends/onnx/*.py", "checkpoints/*.py", "*.py")


@dataclass(frozen=True)
class BackendRequest:
    """The network that is wanted, and what it should run on.

    Attributes:
        variant: name of the network.
        weights: weights file, or folder of exported graphs.
        num_classes: K of the user's class map; None: that of the weights.
        input_size: height and width of the network input; None: that of the weights.
        precision: ``"auto"`` or a number format.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...
        runtime: name in `RUNTIMES`.
        provider: name in `PROVIDERS`.
        load: loads network and class map from the weights file.
        export: writes the graphs of the weights file to an empty folder in a precision.
    """

    variant: str
    weights: Path
    num_classes: int | None
    input_size: tuple[int, int] | None
    precision: str
    device: str
    runtime: str
    provider: str
    load: Callable[[], tuple[SegmentationNetwork, ClassMap]]
    export: Callable[[Path, str], None]


def open_backend(request: BackendRequest) -> tuple[Backend, ClassMap]:
    """Open the network with the runtime, provider, device and precision of a request.

    ``auto`` is PyTorch on a GPU, and else ONNX Runtime if it is installed and works.

    Returns:
        The backend, and the class map that came with the weights.

    Raises:
        TdnetError: an unknown name, a package that is missing, a file that cannot be used or was
            made for another variant, size or precision, or a device that the machine lacks; with
            the remedy.
    """
    opened = _open(request)
    if note := opened[0].variant.size_note(request.input_size):
        logger.warning(note)
    return opened


def _open(request: BackendRequest) -> tuple[Backend, ClassMap]:
    if request.runtime not in RUNTIMES:
        raise UnknownNameError("runtime", request.runtime, RUNTIMES)
    if request.runtime == TORCH and request.provider != AUTO:
        raise InputError(
            f"provider {request.provider} belongs to runtime {ONNXRUNTIME}, runtime is {TORCH}: "
            "set provider to auto, or runtime to onnxruntime"
        )
    is_folder = request.weights.is_dir()
    if request.runtime == ONNXRUNTIME or request.provider != AUTO:
        return _onnxruntime(request)
    if request.runtime == AUTO:
        if is_folder:
            return _onnxruntime(request)
        if resolve_device(request.device).type == "cpu":
            return _best_on_cpu(request)
    if is_folder:
        raise WeightsError(
            f"{request.weights} is a folder of exported graphs, runtime is {TORCH}: set runtime "
            f"to {ONNXRUNTIME}, or weights to a weights file"
        )
    return _torch(request)


def _best_on_cpu(request: BackendRequest) -> tuple[Backend, ClassMap]:
    try:
        return _onnxruntime(request)
    except TdnetError as error:
        reason = error
    # PyTorch reports what is wrong with the settings or the weights.
    opened = _torch(request)
    logger.warning("PyTorch runs the network, more slowly: %s", reason)
    return opened


def _torch(request: BackendRequest) -> tuple[Backend, ClassMap]:
    model, class_map = request.load()
    return create_backend(model, request.device, request.precision, in_place=True), class_map


def _onnxruntime(request: BackendRequest) -> tuple[Backend, ClassMap]:
    """Open the graphs with the first provider that works."""
    found = list(candidates(request.provider, request.device))
    fitting = [row for row in found if request.precision in (AUTO, *row[0].graphs)] or found
    for provider, device in fitting:
        try:
            folder, description, precision = _graphs(request, provider)
        except OSError as error:
            raise WeightsError(f"{request.weights} cannot be exported: {error}") from error
        try:
            with working_on(device):
                backend = OnnxRuntimeBackend(folder, description, provider, precision, device)
        except (DeviceError, WeightsError, OSError) as error:
            if provider != fitting[-1][0]:
                logger.warning("provider %s is not used: %s", provider.name, error)
            elif isinstance(error, OSError):
                raise WeightsError(f"{folder} cannot be loaded: {error}") from error
            else:
                raise
        else:
            return backend, backend.class_map
    raise AssertionError("there is always a candidate")


def _graphs(request: BackendRequest, provider: Provider) -> tuple[Path, ExportDescription, str]:
    """Return the graphs for a provider, and the precision that it computes in."""
    folder, precision = request.weights, request.precision
    if not folder.is_dir():
        precision = provider.resolve(precision)
        if precision.startswith("int8"):
            raise InputError(
                f"precision is {precision}, and {folder} is a weights file: export it with "
                f"--precision {precision} --calibrate, and set weights to the folder"
            )
        return *exported_weights(request, provider.graphs[precision]), precision
    description = read_description(folder)
    _check_fits(request, description)
    if precision == AUTO:
        is_plain = description.precision == "float32" and provider.device_type == "cpu"
        precision = provider.resolve(AUTO) if is_plain else description.precision
    elif precision != description.precision:
        precision = provider.resolve(precision)
    if provider.graphs.get(precision) != description.precision:
        raise InputError(
            f"{folder} was exported in {description.precision}, precision is {request.precision}, "
            f"and provider {provider.name} allows {', '.join(provider.graphs)}: set precision to "
            "auto, choose another provider, or export with --precision"
        )
    return folder, description, precision


def exported_weights(request: BackendRequest, precision: str) -> tuple[Path, ExportDescription]:
    """Return the folder of the graphs of a weights file; export them on first use.

    Raises:
        TdnetError: the weights cannot be exported.
        OSError: the graphs cannot be written.
    """
    if not request.weights.is_file():
        request.load()  # reports what is wrong
    digest = sha256(request.weights)
    name = cache.key(
        digest,
        request.variant,
        request.num_classes,
        request.input_size,
        precision,
        str(torch.__version__),
        [sha256(file) for pattern in _SOURCES for file in sorted(_PACKAGE.glob(pattern))],
    )

    def export(folder: Path) -> None:
        logger.info(
            "%s is exported for ONNX Runtime once, which takes up to a minute; later starts use "
            "%s",
            request.weights.name,
            cache.cache_folder(),
        )
        request.export(folder, precision)
        if read_description(folder).weights.sha256 != digest:
            raise WeightsError(f"{request.weights} has changed while it was exported: try again")

    folder = cache.entry(_KIND, name, export)
    try:
        return folder, _whole(folder)
    except WeightsError as error:
        # After a loss of power, for example.
        logger.warning("exported again: %s", error)
        with cache.locked(_KIND, name), cache.replacement(_KIND, name) as empty:
            export(empty)
        return folder, _whole(folder)


def _whole(folder: Path) -> ExportDescription:
    """Read the description of a cached export, and compare the hashes of its graphs."""
    description = read_description(folder)
    for graph in description.cycle.graphs:
        graph.read(folder)
    return description


def _check_fits(request: BackendRequest, description: ExportDescription) -> None:
    folder = request.weights
    if description.is_adopted:
        if request.variant != AUTO:
            raise WeightsError(
                f"{folder} is an adopted network, variant is {request.variant}: set variant "
                "to auto"
            )
    elif request.variant not in (AUTO, description.variant):
        raise WeightsError(
            f"{folder} was exported of {description.variant}, variant is {request.variant}: set "
            f"variant to auto, or weights to another folder"
        )
    size = description.input_size
    if request.input_size and description.network.fitting_size(request.input_size) != size:
        raise InputError(
            f"{folder} was exported for frames of {size[0]} x {size[1]}: leave input_size out, or "
            "export or adopt with --input-size"
        )
