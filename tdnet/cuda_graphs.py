"""CUDA graphs: recorded work that the device does again after one launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class CudaGraphRecorder:
    """Records work on a device as CUDA graphs.

    All graphs of a recorder share their intermediate memory, so that they must be replayed one
    after the other, and what one leaves to the next must be read before a third is replayed.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record work, which has run before, without doing it.

        Args:
            work: reads and writes tensors that stay where they are, without waiting for the
                device.

        Returns:
            Does the work again on the current stream.

        Raises:
            RuntimeError: the work, or the device, cannot be recorded.
        """
        graph = torch.cuda.CUDAGraph()
        # Another thread may load a model meanwhile; what it does is none of the graph's business.
        with (
            torch.cuda.device(self._device),
            torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"),
        ):
            work()
        self._pool = graph.pool()
        return graph.replay
