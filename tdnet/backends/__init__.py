"""Backends: PyTorch on a CPU, CUDA graphs on a GPU, and the runtimes of exported graphs."""

from __future__ import annotations

RUNTIMES = ("torch", "onnxruntime", "tensorrt")
"""Names of the runtimes, as users type them."""
