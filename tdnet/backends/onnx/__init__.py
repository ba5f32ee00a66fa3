"""Runtimes other than PyTorch: folders of exported graphs, and what runs them."""

from __future__ import annotations

RUNTIMES = ("torch", "onnxruntime", "tensorrt")
"""Names of the runtimes, as users type them."""
