"""Networks as ONNX graphs: exports of our own, and graphs of other projects."""
