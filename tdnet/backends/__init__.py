"""Backends: PyTorch on a CPU, CUDA graphs on a GPU, and the runtimes of exported graphs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Runtime:
    """A row of `RUNTIMES`.

    Attributes:
        cpu_runtime: runtime that runs the same weights on a CPU.
        backend: class path of an `ExportedBackend`, imported when it is used; empty: PyTorch
            runs a weights file.
    """

    cpu_runtime: str
    backend: str = ""


RUNTIMES = {
    "torch": Runtime(cpu_runtime="torch"),
    "onnxruntime": Runtime(
        cpu_runtime="onnxruntime",
        backend="tdnet.backends.onnx.onnxruntime_backend.OnnxRuntimeBackend",
    ),
    "tensorrt": Runtime(
        cpu_runtime="onnxruntime",
        backend="tdnet.backends.onnx.tensorrt_backend.TensorRtBackend",
    ),
}
"""By the names that users type."""
EXPORT_RUNTIMES = " or ".join(name for name, row in RUNTIMES.items() if row.backend)
"""Names of the runtimes of exported graphs, for messages."""
