"""Triton kernels for preprocessing and postprocessing on a GPU: one pass each.

They compute the same as `tdnet.frames.preprocess`, `tdnet.frames.postprocess` and
`tdnet.overlay.blending`; the tests compare them. They need Triton 3.0, which PyTorch for CUDA
includes. It is imported when a plan is created or `unavailable_reason` is called. With
``TRITON_INTERPRET=1``, set before the import, the kernels run slowly on CPU tensors, for tests.
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
