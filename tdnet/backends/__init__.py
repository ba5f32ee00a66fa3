"""Backends: PyTorch on a CPU, CUDA graphs on a GPU, and ONNX Runtime."""

from __future__ import annotations

AUTO, TORCH, ONNXRUNTIME = "auto", "torch", "onnxruntime"
RUNTIMES = (AUTO, TORCH, ONNXRUNTIME)
"""What runs a network, by the names that users type."""
PROVIDERS = (AUTO, "cpu", "openvino", "cuda", "tensorrt")
"""Execution providers of ONNX Runtime, by the names that users type."""
