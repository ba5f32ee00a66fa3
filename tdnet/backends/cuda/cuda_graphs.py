"""CUDA graphs: recorded work that one launch repeats on the device."""

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
    """Return the stream that graphs of a device are recorded on.

    PyTorch's own stream belongs to the device of the first graph of the process; on another
    device, the graph would be empty. Libraries keep working memory for each stream, so all graphs
    share one.
    """
    return torch.cuda.Stream(device)


class CudaGraphRecorder:
    """Records work on a device as CUDA graphs.

    All graphs of a recorder share their intermediate memory. They must be replayed one after
    another, and tensors that one graph passes to the next must be read before a third one runs.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record work that has run before, without running it.

        Args:
            work: function that reads and writes tensors at fixed addresses, and does not wait
                for the device.

        Returns:
            A function that repeats the work on the current stream.

        Raises:
            RuntimeError: the work cannot be recorded on this device.
        """
        graph = torch.cuda.CUDAGraph()
        with (
            _recording,
            torch.cuda.device(self._device),
            # If recording fails, PyTorch leaves the thread on the recording stream.
            torch.cuda.stream(torch.cuda.current_stream(self._device)),
            torch.cuda.graph(
                graph,
                pool=self._pool,
                stream=_recording_stream(self._device),
                # Another thread may use the device at the same time; the graph ignores it.
                capture_error_mode="thread_local",
            ),
        ):
            work()
        self._pool = graph.pool()
        return graph.replay
