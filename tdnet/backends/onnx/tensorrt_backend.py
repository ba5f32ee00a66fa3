"""The backend of TensorRT: runs the graphs on buffers of PyTorch on the GPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from tdnet._util.device import resolve_device, working_on
from tdnet.backends.onnx.description import ExportDescription
from tdnet.backends.onnx.engine_files import cached_engine_path
from tdnet.backends.onnx.exported_backend import ExportedBackend
from tdnet.backends.onnx.tensorrt_engine import EngineBuilder, bind, import_tensorrt
from tdnet.errors import DeviceError


class TensorRtBackend(ExportedBackend):
    """The graphs of a folder as engines of TensorRT, built unless a kept engine exists.

    Args:
        folder: folder of the ONNX files.
        description: description of the folder.
        device: device that `cuda_device` returned.

    Raises:
        MissingPackageError: tensorrt is not installed, or too old.
        WeightsError: TensorRT cannot build an engine of a graph, or its tensors do not match
            the description.
        DeviceError: TensorRT cannot use the GPU, or the device lacks memory.
        InputError: the user has no home folder.
    """

    runtime = "tensorrt"
    precisions = ("float32", "float16", "int8-tensorrt")

    def __init__(self, folder: Path, description: ExportDescription, device: torch.device) -> None:
        super().__init__(description, device)
        tensorrt = import_tensorrt()
        gpu = torch.cuda.get_device_properties(device)
        place = (gpu.name, f"{gpu.major}.{gpu.minor}", gpu.multi_processor_count)
        with torch.cuda.device(device):
            builder = EngineBuilder(tensorrt, description)
            self._contexts = [
                builder.context(
                    graph.read(folder),
                    folder / graph.file,
                    cached_engine_path(graph.sha256, *place, tensorrt.__version__),
                )
                for graph in description.cycle.graphs
            ]

    @staticmethod
    def import_package() -> ModuleType:
        """Import tensorrt."""
        return import_tensorrt()

    @classmethod
    def open(cls, folder: Path, description: ExportDescription, device: str) -> TensorRtBackend:
        """Load the graphs of a folder; see `ExportedBackend.open`."""
        chosen = cuda_device(device)
        with working_on(chosen):
            return cls(folder, description, chosen)

    def _run(self, path: int, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        context = self._contexts[path]
        bind(context, {**inputs, **outputs})
        with self._side_stream() as stream:
            if not context.execute_async_v3(stream.cuda_stream):
                raise DeviceError(f"TensorRT failed on {self.device}; its log says why")


def cuda_device(name: str) -> torch.device:
    """Return the CUDA device of a name; ``"auto"`` is the current one.

    Raises:
        MissingPackageError: tensorrt is not installed, or too old.
        DeviceError: the device is not a CUDA device, or this machine lacks it.
    """
    import_tensorrt()
    device = resolve_device("cuda" if name == "auto" else name)
    if device.type != "cuda":
        raise DeviceError(f"device {name!r}: runtime tensorrt needs a CUDA GPU; use onnxruntime")
    return device
