"""Networks as ONNX graphs: exports of our own, and graphs of other projects."""

from __future__ import annotations

NCHW, NHWC = "NCHW", "NHWC"
LAYOUTS = (NCHW, NHWC)
COLORS = ("RGB", "BGR")
"""What `tdnet adopt` asks of a graph's input."""
