"""Triton kernels for what surrounds the network on a GPU: one pass before it, one after it.

`tdnet.frames.preprocess`, `tdnet.frames.postprocess` and `tdnet.overlay.blending` define what they
compute, and the tests compare them with these. They need Triton 3.0, which
PyTorch for CUDA brings along; nothing here imports it before a plan is made or
`unavailable_reason` is asked. With ``TRITON_INTERPRET=1``, set before that, they run on CPU
tensors, slowly, for tests.
"""

from tdnet.backends.cuda.kernels.availability import unavailable_reason
from tdnet.backends.cuda.kernels.buffers import OutputBuffers
from tdnet.backends.cuda.kernels.frame import FramePlan
from tdnet.backends.cuda.kernels.outputs import FusedOutputs, Paint

__all__ = [
    "FramePlan",
    "FusedOutputs",
    "OutputBuffers",
    "Paint",
    "unavailable_reason",
]
