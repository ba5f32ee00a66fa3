"""TensorRT runs the graphs, on buffers of PyTorch that stay on the GPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from tdnet.device import resolve_device
from tdnet.errors import DeviceError
from tdnet.runtimes.description import ExportDescription
from tdnet.runtimes.exported_network import ExportedNetwork
from tdnet.runtimes.tensorrt_engine import cached_engine_path, import_tensorrt, load_or_build


class TensorRtNetwork(ExportedNetwork):
    """The graphs of a folder as engines of TensorRT, which are built where none is kept.

    Args:
        folder: with the ONNX files.
        description: of the folder.
        device: as `cuda_device` gave it.

    Raises:
        MissingPackageError: tensorrt is not installed.
        WeightsError: TensorRT cannot make an engine of a graph.
        InputError: the graphs give labels instead of logits.
    """

    runtime = "tensorrt"

    def __init__(self, folder: Path, description: ExportDescription, device: torch.device) -> None:
        super().__init__(description, device)
        tensorrt = import_tensorrt()
        gpu = torch.cuda.get_device_properties(device)
        capability = f"{gpu.major}.{gpu.minor}"
        self._engines, self._contexts = [], []
        with torch.cuda.device(device):
            for graph in description.graphs:
                kept = cached_engine_path(graph.sha256, gpu.name, capability, tensorrt.__version__)
                engine = load_or_build(tensorrt, folder / graph.file, kept)
                context = engine.create_execution_context()
                for spec in description.inputs:
                    context.set_input_shape(spec.name, spec.of_batch(1))
                self._engines.append(engine)  # a context does not keep its engine alive
                self._contexts.append(context)

    def _run(self, path: int, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        context = self._contexts[path]
        for name, tensor in {**inputs, **outputs}.items():
            context.set_tensor_address(name, tensor.data_ptr())
        with self._side_stream() as stream:
            if not context.execute_async_v3(stream.cuda_stream):
                raise DeviceError(f"TensorRT failed on {self.device}; its log says why")


def cuda_device(name: str) -> torch.device:
    """Return the CUDA device of that name; ``"auto"`` is the first.

    Raises:
        MissingPackageError: tensorrt is not installed.
        DeviceError: it is no CUDA device, or this machine lacks it.
    """
    import_tensorrt()
    device = resolve_device("cuda" if name == "auto" else name)
    if device.type != "cuda":
        raise DeviceError(f"device {name!r}: runtime tensorrt needs a CUDA GPU; use onnxruntime")
    return device
