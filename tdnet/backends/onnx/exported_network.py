"""Streaming over exported graphs: a graph for each path, the memory outside of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor

from tdnet.backends.onnx.description import ExportDescription
from tdnet.backends.onnx.tensors import ENTRY, LOGITS, TensorSpec
from tdnet.errors import InputError
from tdnet.network.temporal_memory import (
    READ_AND_WRITE,
    MemoryAccess,
    MemoryEntry,
    TemporalMemory,
)
from tdnet.variants import Variant


class ExportedNetwork(ABC):
    """Runs the graphs of a folder in turns, with the memory contract of `StreamingNetwork`.

    While the memory is not full, the graphs get zeros: attention to values of zero adds nothing
    to a frame's own features, which is what the network does with such a memory.

    Args:
        description: of the folder.
        device: where frames, memory and logits are.

    Raises:
        InputError: the graphs give labels instead of logits.
    """

    runtime: ClassVar[str]
    """Its name, of `tdnet.backends.onnx.RUNTIMES`."""

    def __init__(self, description: ExportDescription, device: torch.device) -> None:
        logits = description.output(LOGITS)
        self._description = description
        self.device = device
        self.dtype: torch.dtype = getattr(torch, logits.dtype)
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        # Named once: a frame has some twenty tensors.
        self._past = [
            (spec, ENTRY.index(name), int(place))
            for spec in description.inputs
            for name, _, place in [spec.name.partition("_")]
            if place
        ]
        self._outputs = {spec.name: self._allocate(spec) for spec in description.outputs}
        self._zeros = {spec.name: self._allocate(spec) for spec, _, _ in self._past}

    @property
    def variant(self) -> Variant:
        """The network's description."""
        return self._description.network

    @property
    def num_classes(self) -> int:
        """Channels of the logits."""
        return self._description.num_classes

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        return self._description.input_size

    @property
    def precision(self) -> str:
        """What the graphs compute in, such as ``int8``."""
        return self._description.precision

    def new_memory(self, device: torch.device, dtype: torch.dtype) -> TemporalMemory:
        """Allocate the empty memory of one stream."""
        remembers = bool(self._description.cycle.memory_frames)
        _, key, value = (self._outputs[name].shape if remembers else (1, 0, 0) for name in ENTRY)
        return TemporalMemory(
            paths=self.variant.paths,
            capacity=self._description.cycle.memory_frames,
            positions=key[1],
            key_channels=key[2],
            value_channels=value[2],
            device=device,
            dtype=dtype,
        )

    def step(
        self, frame: Tensor, memory: TemporalMemory, access: MemoryAccess = READ_AND_WRITE
    ) -> Tensor:
        """Segment the next frame of a stream with the graph of ``memory.path``.

        Args:
            frame: (1, 3, H, W) normalised RGB at :attr:`input_size`.
            memory: the stream's memory; advanced by one frame.
            access: what is done with the memory.

        Returns:
            Logits (1, K, h, w) at stride 8, overwritten by the next step.

        Raises:
            InputError: the frame has another size.
            DeviceError: the runtime failed.
        """
        if tuple(frame.shape) != (1, 3, *self.input_size):
            raise InputError(
                f"frame of shape {tuple(frame.shape)}; the graphs were exported for (1, 3, "
                f"{self.input_size[0]}, {self.input_size[1]}): resize the frame, or export again"
            )
        inputs = {"frame": frame.contiguous(), **self._zeros}
        if memory.is_full and access.read:
            entries = memory.entries()
            inputs |= {spec.name: entries[place][part] for spec, part, place in self._past}
        self._run(memory.path, inputs, self._outputs)
        if access.write:
            memory.leave(None)
            if memory.capacity:
                memory.store(MemoryEntry(*(self._outputs[name] for name in ENTRY)))
        return self._outputs[LOGITS]

    def settle(self, memory: TemporalMemory) -> None:
        """Do nothing: the graph made the memory entry together with the logits."""
        return None

    @abstractmethod
    def _run(self, path: int, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Run the graph of a path; the results are ready for the current stream's next work.

        Args:
            path: 0 to N - 1.
            inputs: by name, contiguous, on the device.
            outputs: by name; filled.

        Raises:
            DeviceError: the runtime failed.
        """

    @contextmanager
    def _side_stream(self) -> Iterator[torch.cuda.Stream]:
        """Give a stream that runs after the current one's work and before what follows on it.

        Runtimes synchronise more than they need on the default stream, or do not take it.
        """
        assert self._stream is not None
        current = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(current)
        yield self._stream
        current.wait_stream(self._stream)

    def _allocate(self, spec: TensorSpec) -> Tensor:
        dtype = getattr(torch, spec.dtype)
        return torch.zeros(spec.of_batch(1), dtype=dtype, device=self.device)
