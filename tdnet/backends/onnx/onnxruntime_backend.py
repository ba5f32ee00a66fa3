"""The backend of ONNX Runtime: one graph for each path, the memory outside of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tdnet._util.device import processor_flags
from tdnet.backends.backend import Backend
from tdnet.backends.onnx import cache
from tdnet.backends.onnx.description import ExportDescription
from tdnet.backends.onnx.providers import Choice, Provider, Session, import_onnxruntime
from tdnet.backends.onnx.tensors import ENTRY, LOGITS, TensorSpec, check_graph
from tdnet.errors import DeviceError, InputError, WeightsError
from tdnet.network.temporal_memory import (
    READ_AND_WRITE,
    MemoryAccess,
    MemoryEntry,
    TemporalMemory,
)

_FATAL_ONLY = 4
"""ONNX Runtime also prints every error that it raises, unless only fatal ones are logged."""
_NUMBERS = {torch.float32: np.float32, torch.float16: np.float16}
_NAMES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


class OnnxRuntimeBackend(Backend):
    """Runs the graphs of a folder in turns, as sessions of ONNX Runtime.

    Paths that share their weights share a graph.

    Inputs and outputs are bound to PyTorch's memory; on a GPU nothing leaves the device. While
    the memory is not full, the graphs get zeros: attention to values of zero adds nothing to the
    features of a frame, so the logits are those of a frame without memory.

    Args:
        folder: folder of the graphs.
        description: description of the folder.
        provider: execution provider that runs the graphs.
        precision: precision that the provider computes in.
        device: device of frames, memory and logits.

    Raises:
        WeightsError: a graph cannot be loaded, or its tensors do not match the description.
        DeviceError: ONNX Runtime cannot use the device, or the device lacks memory.
    """

    runtime = "onnxruntime"

    def __init__(
        self,
        folder: Path,
        description: ExportDescription,
        provider: Provider,
        precision: str,
        device: torch.device,
    ) -> None:
        dtype: torch.dtype = getattr(torch, description.inputs[0].dtype)
        super().__init__(
            description.network, description.num_classes, description.input_size, device, dtype
        )
        self.provider = provider.name
        self.class_map = description.class_map
        """Class map that was exported with the network."""
        self._precision = precision
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
        self._sessions = self._open_sessions(folder, description, provider)

    @property
    def precision(self) -> str:
        """Number format that the graphs compute in, such as ``"int8"``."""
        return self._precision

    def new_memory(self) -> TemporalMemory:
        """Allocate the empty memory of one stream."""
        return TemporalMemory(
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
        self._run(memory.path, inputs)
        if access.write:
            memory.advance(None)
            if memory.capacity:
                memory.store(MemoryEntry(*(self._outputs[name] for name in ENTRY)))
        return self._outputs[LOGITS]

    def commit_memory(self, memory: TemporalMemory) -> None:
        """Do nothing: `step` has stored the entry, and the graph chains the memory."""

    def _run(self, path: int, inputs: Mapping[str, Tensor]) -> None:
        """Run the graph of a path into the outputs."""
        session = self._sessions[path % len(self._sessions)]
        binding = session.io_binding()
        kind, index = self.device.type, self.device.index or 0
        try:
            for tensors, bind in (
                (inputs, binding.bind_input),
                (self._outputs, binding.bind_output),
            ):
                for name, tensor in tensors.items():
                    number = _NUMBERS[tensor.dtype]
                    bind(name, kind, index, number, tuple(tensor.shape), tensor.data_ptr())
            with nullcontext() if self._stream is None else self._side_stream(self._stream):
                session.run_with_iobinding(binding)
        # ONNX Runtime's exceptions have no other common base.
        except Exception as error:
            raise DeviceError(f"ONNX Runtime failed on {self.device}: {error}") from error

    @contextmanager
    def _side_stream(self, stream: torch.cuda.Stream) -> Iterator[None]:
        """Order the sessions' CUDA stream after earlier and before later work of the current one.

        Runtimes synchronise more than necessary on the default stream, or do not accept it.
        """
        current = torch.cuda.current_stream(self.device)
        stream.wait_stream(current)
        yield
        current.wait_stream(stream)

    def _open_sessions(
        self, folder: Path, description: ExportDescription, provider: Provider
    ) -> list[Any]:
        """Load every graph; what the provider compiles is cached."""
        graphs = [folder / file.file for file in description.cycle.graphs]
        for file in description.cycle.graphs:
            file.read(folder)  # compares the hash
        name = cache.key(
            [file.sha256 for file in description.cycle.graphs],
            self._precision,
            import_onnxruntime().__version__,
            self._hardware(),
        )

        def open_all(compiled: Callable[[], Path]) -> list[Any]:
            own = Session(self.device, self._precision, compiled, self._stream)
            return [self._session(path, provider.choices(own)) for path in graphs]

        with cache.locked(provider.name, name):
            try:
                sessions = open_all(partial(cache.entry, provider.name, name))
            except WeightsError:
                if not cache.holds_files(provider.name, name):
                    raise
                # A damaged cache must not keep the network from loading.
                with cache.replacement(provider.name, name) as empty:
                    sessions = open_all(lambda: empty)
        for path, session in zip(graphs, sessions, strict=True):
            for found, wanted in (
                (session.get_inputs(), description.inputs),
                (session.get_outputs(), description.outputs),
            ):
                check_graph(path, map(_tensor, found), wanted)
        return sessions

    def _session(self, path: Path, chosen: Sequence[Choice]) -> Any:  # noqa: ANN401
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = _FATAL_ONLY
        options.intra_op_num_threads = torch.get_num_threads()
        # Spinning threads would take processor time from the rest of the frame.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            # By path: TensorRT names its engines by the file, and bytes would be kept. Without
            # ONNX Runtime's own fallback, which prints, and hides the reason.
            session = runtime.InferenceSession(
                str(path), options, providers=chosen, enable_fallback=0
            )
        except Exception as error:
            raise WeightsError(
                f"{path}: ONNX Runtime {runtime.__version__} cannot load it with provider "
                f"{self.provider}: {error}"
            ) from error
        if chosen[0][0] not in session.get_providers():
            # ONNX Runtime has fallen back to the CPU, with a line in the log.
            raise DeviceError(
                f"provider {self.provider} of ONNX Runtime {runtime.__version__} cannot use "
                f"{self.device}: install the libraries that it was built for, or set provider to "
                "auto"
            )
        return session

    def _hardware(self) -> object:
        """Return what compiled graphs depend on."""
        if self.device.type == "cpu":
            return sorted(processor_flags())
        gpu = torch.cuda.get_device_properties(self.device)
        return (gpu.name, gpu.major, gpu.minor, gpu.multi_processor_count)

    def _allocate(self, spec: TensorSpec) -> Tensor:
        dtype = getattr(torch, spec.dtype)
        return torch.zeros(spec.shape, dtype=dtype, device=self.device)


def _tensor(found: Any) -> TensorSpec:  # noqa: ANN401
    shape = (side if isinstance(side, int) else -1 for side in found.shape)
    return TensorSpec(found.name, tuple(shape), _NAMES.get(found.type, found.type))
