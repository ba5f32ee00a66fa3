"""CUDA graphs: recorded work that the device does again after one launch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

# PyTorch records one graph at a time.
_recording = threading.Lock()


@cache
def _recording_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream that graphs of a device are recorded on.

    PyTorch's own is of the device of the first graph of the process; on another one a graph
    would stay empty. Libraries keep working memory for every stream, so that one serves all.
    """
    return torch.cuda.Stream(device)


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
        with (
            _recording,
            torch.cuda.device(self._device),
            # Where recording fails, PyTorch leaves the thread on the stream that it recorded on.
            torch.cuda.stream(torch.cuda.current_stream(self._device)),
            torch.cuda.graph(
                graph,
                pool=self._pool,
                stream=_recording_stream(self._device),
                # Another thread may segment meanwhile; that is none of the graph's business.
                capture_error_mode="thread_local",
            ),
        ):
            work()
        self._pool = graph.pool()
        return graph.replay
