"""The backend of PyTorch: the network itself on a CPU, its CUDA graphs on a GPU."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from tdnet._util.device import resolve_device, resolve_precision, working_on
from tdnet.backends.backend import Backend
from tdnet.backends.cuda.cuda_graphs import CudaGraphRecorder
from tdnet.backends.cuda.recorded_backend import RecordedBackend
from tdnet.errors import WeightsError
from tdnet.network import SegmentationNetwork
from tdnet.network.layers import SpatialLayerNorm
from tdnet.network.temporal_memory import READ_AND_WRITE, MemoryAccess, TemporalMemory


class TorchBackend(Backend):
    """Runs a network of PyTorch on the CPU, operation by operation: the plain reference.

    Args:
        network: folded, on the CPU.
        dtype: number format of the network.
    """

    runtime = "torch"

    def __init__(self, network: SegmentationNetwork, dtype: torch.dtype) -> None:
        cpu = torch.device("cpu")
        super().__init__(network.variant, network.num_classes, network.input_size, cpu, dtype)
        self._network = network

    def new_memory(self) -> TemporalMemory:
        """Allocate the empty memory of one stream."""
        return self._network.new_memory(self.device, self.dtype)

    def step(
        self, frame: Tensor, memory: TemporalMemory, access: MemoryAccess = READ_AND_WRITE
    ) -> Tensor:
        """Segment the next frame of a stream; see `Backend.step`."""
        return self._network.step(frame, memory, access)

    def commit_memory(self, memory: TemporalMemory) -> None:
        """Store the newest frame and chain the memory; see `Backend.commit_memory`."""
        self._network.commit_memory(memory)


def create_backend(
    model: SegmentationNetwork,
    device: str | torch.device = "auto",
    precision: str = "auto",
    *,
    in_place: bool = False,
) -> Backend:
    """Fold a copy of a network, or the network itself, and move it to the device.

    On a GPU the network runs as CUDA graphs: launching its kernels one by one takes longer than
    computing them.

    Args:
        model: network with its weights loaded.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...
        precision: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        in_place: change the network itself, which saves time and memory; it cannot be used
            afterwards, not even after an error.

    Raises:
        DeviceError: the machine lacks the device, or the device lacks memory.
        UnknownNameError: no precision has that name.
        WeightsError: a weight exceeds the range of the precision.
    """
    device = resolve_device(device)
    dtype = resolve_precision(precision, device)
    with working_on(device):
        network = model if in_place else copy.deepcopy(model)
        _prepare_for_inference(network, device, dtype)
        if device.type == "cpu":
            return TorchBackend(network, dtype)
        return RecordedBackend(network, device, dtype, CudaGraphRecorder(device))


def _prepare_for_inference(
    network: SegmentationNetwork, device: torch.device, dtype: torch.dtype
) -> None:
    """Fold and convert a network; layer norms keep float32."""
    network.eval().requires_grad_(False)
    network.fold()
    for module in network.modules():
        kept = torch.float32 if isinstance(module, SpatialLayerNorm) else dtype
        for parameter in module.parameters(recurse=False):
            data = parameter.data.to(device, kept)
            layout = torch.channels_last if data.dim() == 4 else torch.preserve_format
            parameter.data = data.to(memory_format=layout)
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device, dtype))
    for name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise WeightsError(
                f"{name} is not finite once norms are folded and numbers are "
                f"{str(dtype).removeprefix('torch.')}: use precision float32, or other weights"
            )
