"""Triton kernels for what surrounds the network on a GPU: one pass before it, one after it.

What they compute is defined by `tdnet.preprocess`, `tdnet.postprocess` and `tdnet.blending`,
which do it everywhere else, and which the tests compare them with. They need Triton 3.0, which
PyTorch for CUDA brings along; nothing here imports it before a plan is made or
`unavailable_reason` is asked. With ``TRITON_INTERPRET=1``, set before that, they run on CPU
tensors, slowly, for tests.
"""

from tdnet.kernels.availability import unavailable_reason
from tdnet.kernels.buffers import OutputBuffers
from tdnet.kernels.frame import FramePlan
from tdnet.kernels.outputs import FusedOutputs, Paint

__all__ = [
    "FramePlan",
    "FusedOutputs",
    "OutputBuffers",
    "Paint",
    "unavailable_reason",
]
