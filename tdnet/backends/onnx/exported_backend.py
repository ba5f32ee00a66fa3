"""Streaming over exported graphs: one graph for each path, the memory outside of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import torch
from torch import Tensor

from tdnet.backends.backend import Backend
from tdnet.backends.onnx.description import PRECISIONS, ExportDescription
from tdnet.backends.onnx.tensors import ENTRY, LOGITS, TensorSpec
from tdnet.errors import InputError
from tdnet.network.temporal_memory import (
    READ_AND_WRITE,
    MemoryAccess,
    MemoryEntry,
    TemporalMemory,
)


class ExportedBackend(Backend):
    """Runs the graphs of a folder in turns.

    While the memory is not full, the graphs get zeros: attention to values of zero adds nothing
    to the features of a frame, so the logits are those of a frame without memory.

    Args:
        description: description of the folder.
        device: device of frames, memory and logits.
    """

    precisions: ClassVar[tuple[str, ...]] = tuple(PRECISIONS)
    """Precisions of exports that the runtime takes."""

    def __init__(self, description: ExportDescription, device: torch.device) -> None:
        dtype: torch.dtype = getattr(torch, description.inputs[0].dtype)
        super().__init__(
            description.network, description.num_classes, description.input_size, device, dtype
        )
        self._precision = description.precision
        self.class_map = description.class_map
        """Class map that was exported with the network."""
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        # Parsed once: a frame has about twenty tensors.
        self._past = [
            (spec, ENTRY.index(name), int(position))
            for spec in description.inputs
            for name, _, position in [spec.name.partition("_")]
            if position
        ]
        self._outputs = {spec.name: self._allocate(spec) for spec in description.outputs}
        self._zeros = {spec.name: self._allocate(spec) for spec, _, _ in self._past}

    @staticmethod
    @abstractmethod
    def import_package() -> ModuleType:
        """Import the runtime's package.

        Raises:
            MissingPackageError: it is not installed, or too old.
        """

    @classmethod
    @abstractmethod
    def open(cls, folder: Path, description: ExportDescription, device: str) -> ExportedBackend:
        """Load the graphs of a folder on the device of a name; ``"auto"``: the best one.

        Raises:
            TdnetError: the runtime's package or the device is missing, a graph cannot be loaded,
                or the device lacks memory.
        """

    @property
    def precision(self) -> str:
        """Number format that the graphs compute in, such as ``"int8"``."""
        return self._precision

    def new_memory(self) -> TemporalMemory:
        """Allocate the empty memory of one stream."""
        return TemporalMemory.create(
            self.variant, self.input_size, self.variant.memory_stride, self.device, self.dtype
        )

    def step(
        self, frame: Tensor, memory: TemporalMemory, access: MemoryAccess = READ_AND_WRITE
    ) -> Tensor:
        """Segment the next frame of a stream with the graph of ``memory.path``.

        The graph returns the memory entry together with the logits. It is stored here, because
        the next step of any stream overwrites it. See `Backend.step`.
        """
        if tuple(frame.shape) != (1, 3, *self.input_size):
            raise InputError(
                f"frame of shape {tuple(frame.shape)}; the graphs were exported for (1, 3, "
                f"{self.input_size[0]}, {self.input_size[1]}): resize the frame, or export again"
            )
        inputs = {"frame": frame.contiguous(), **self._zeros}
        if memory.is_full and access.read:
            entries = memory.entries()
            inputs |= {spec.name: entries[position][part] for spec, part, position in self._past}
        self._run(memory.path, inputs, self._outputs)
        if access.write:
            memory.advance(None)
            if memory.capacity:
                memory.store(MemoryEntry(*(self._outputs[name] for name in ENTRY)))
        return self._outputs[LOGITS]

    def commit_memory(self, memory: TemporalMemory) -> None:
        """Do nothing: `step` has stored the entry, and the graph chains the memory."""

    @abstractmethod
    def _run(self, path: int, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Run the graph of a path; later work of the current stream may use the results.

        Args:
            path: index of the path, 0 to N - 1.
            inputs: contiguous tensors on the device, by name.
            outputs: tensors to fill, by name.

        Raises:
            DeviceError: the runtime failed.
        """

    @contextmanager
    def _side_stream(self) -> Iterator[torch.cuda.Stream]:
        """Provide a CUDA stream ordered after earlier and before later work of the current one.

        Runtimes synchronise more than necessary on the default stream, or do not accept it.
        """
        assert self._stream is not None
        current = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(current)
        yield self._stream
        current.wait_stream(self._stream)

    def _allocate(self, spec: TensorSpec) -> Tensor:
        dtype = getattr(torch, spec.dtype)
        return torch.zeros(spec.shape, dtype=dtype, device=self.device)
