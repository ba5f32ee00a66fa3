"""The backend of ONNX Runtime: runs the graphs on buffers of PyTorch, without copies."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tdnet._util.device import resolve_device, working_on
from tdnet._util.packages import require
from tdnet.backends.onnx.description import ExportDescription
from tdnet.backends.onnx.exported_backend import ExportedBackend
from tdnet.backends.onnx.tensors import TensorSpec, check_graph
from tdnet.errors import DeviceError, WeightsError

if TYPE_CHECKING:
    from types import ModuleType

logger = logging.getLogger(__name__)

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
_FATAL_ONLY = 4
"""ONNX Runtime also prints every error that it raises, unless only fatal ones are logged."""
_NUMBERS = {torch.float32: np.float32, torch.float16: np.float16}
_NAMES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


class OnnxRuntimeBackend(ExportedBackend):
    """The graphs of a folder as sessions of ONNX Runtime.

    Inputs and outputs are bound to PyTorch's memory; on CUDA nothing leaves the device.

    Args:
        folder: folder of the graphs.
        description: description of the folder.
        device: device that `runtime_device` returned.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        WeightsError: a graph cannot be loaded, or its tensors do not match the description.
        DeviceError: ONNX Runtime cannot use the device.
    """

    runtime = "onnxruntime"

    def __init__(self, folder: Path, description: ExportDescription, device: torch.device) -> None:
        super().__init__(description, device)
        self._sessions = []
        for graph in description.cycle.graphs:
            session = self._session(graph.read(folder), folder / graph.file)
            for found, wanted in (
                (session.get_inputs(), description.inputs),
                (session.get_outputs(), description.outputs),
            ):
                check_graph(folder / graph.file, map(_tensor, found), wanted)
            self._sessions.append(session)

    @staticmethod
    def import_package() -> ModuleType:
        """Import onnxruntime."""
        return import_onnxruntime()

    @classmethod
    def open(cls, folder: Path, description: ExportDescription, device: str) -> OnnxRuntimeBackend:
        """Load the graphs of a folder; see `ExportedBackend.open`."""
        chosen = runtime_device(device)
        with working_on(chosen):
            return cls(folder, description, chosen)

    def _run(self, path: int, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        session = self._sessions[path]
        binding = session.io_binding()
        kind, index = self.device.type, self.device.index or 0
        try:
            for tensors, bind in ((inputs, binding.bind_input), (outputs, binding.bind_output)):
                for name, tensor in tensors.items():
                    number = _NUMBERS[tensor.dtype]
                    bind(name, kind, index, number, tuple(tensor.shape), tensor.data_ptr())
            if self.device.type == "cpu":
                session.run_with_iobinding(binding)
                return
            with self._side_stream():
                session.run_with_iobinding(binding)
        # ONNX Runtime's exceptions have no other common base.
        except Exception as error:
            raise DeviceError(f"ONNX Runtime failed on {self.device}: {error}") from error

    def _session(self, graph: bytes, path: Path) -> Any:  # noqa: ANN401
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = _FATAL_ONLY
        options.intra_op_num_threads = torch.get_num_threads()
        # Spinning threads would take processor time from the rest of the frame.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[Any] = [CPU]
        if self._stream is not None:
            stream = str(self._stream.cuda_stream)
            choices = {"device_id": self.device.index or 0, "user_compute_stream": stream}
            providers = [(CUDA, choices), CPU]
        try:
            session = runtime.InferenceSession(graph, options, providers=providers)
        except Exception as error:
            raise WeightsError(
                f"{path}: ONNX Runtime {runtime.__version__} cannot load it: {error}"
            ) from error
        if self._stream is not None and CUDA not in session.get_providers():
            # ONNX Runtime has fallen back to the CPU, with a line in the log.
            raise DeviceError(
                f"ONNX Runtime {runtime.__version__} cannot use {self.device}: install the CUDA "
                "and cuDNN that it was built for, or set device to cpu"
            )
        return session


def runtime_device(name: str) -> torch.device:
    """Return the device of a name; ``"auto"`` is CUDA if PyTorch and ONNX Runtime support it.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        DeviceError: no device has that name, or this machine or ONNX Runtime lacks it.
    """
    device = resolve_device(name)
    if device.type == "cpu" or CUDA in import_onnxruntime().get_available_providers():
        return device
    lacks = "ONNX Runtime is installed without CUDA"
    if name == "auto":
        logger.warning("%s, the network runs on the CPU: pip install onnxruntime-gpu", lacks)
        return torch.device("cpu")
    raise DeviceError(f"device {name!r}: {lacks}: pip install onnxruntime-gpu, or use cpu")


def _tensor(found: Any) -> TensorSpec:  # noqa: ANN401
    shape = (side if isinstance(side, int) else -1 for side in found.shape)
    return TensorSpec(found.name, tuple(shape), _NAMES.get(found.type, found.type))


def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime.

    Raises:
        MissingPackageError: it is not installed.
    """
    return require(
        "onnxruntime",
        "runtime onnxruntime",
        install="pip install onnxruntime, or onnxruntime-gpu for CUDA",
    )
