"""The backend of a CPU: a folded network whose parts pass over memory less often."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from tdnet.backends.backend import Backend
from tdnet.backends.cpu.cpu_layers import ChannelsLastNorm, CpuAttention
from tdnet.backends.cpu.cpu_pyramid_pooling import CpuPyramidPooling, PyramidMatrices
from tdnet.backends.cpu.fused_convolution import FusedConvolution, why_not_fused
from tdnet.network import SegmentationNetwork
from tdnet.network.attention_propagation import AttentionStep
from tdnet.network.base import StreamingNetwork
from tdnet.network.layers import ConvNorm, SpatialLayerNorm
from tdnet.network.pyramid_pooling import PyramidPooling
from tdnet.network.temporal_memory import READ_AND_WRITE, MemoryAccess, TemporalMemory

logger = logging.getLogger(__name__)


class CpuBackend(Backend):
    """Runs a network of PyTorch on the CPU, operation by operation.

    Args:
        network: folded, on the CPU; its parts are replaced.
        dtype: number format of the network.
    """

    runtime = "torch"

    def __init__(self, network: SegmentationNetwork, dtype: torch.dtype) -> None:
        cpu = torch.device("cpu")
        super().__init__(network.variant, network.num_classes, network.input_size, cpu, dtype)
        prepare_for_cpu(network, dtype)
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


def prepare_for_cpu(network: StreamingNetwork, dtype: torch.dtype) -> None:
    """Replace parts of a network by others that compute the same with fewer memory passes.

    Unknown parts are kept. The network cannot be trained, saved or copied afterwards. If this
    PyTorch or processor has no fused convolutions, convolutions are kept and a warning is logged.

    Args:
        network: folded, in evaluation mode, on the CPU.
        dtype: number format of its convolutions.
    """
    reason = why_not_fused(dtype)
    if reason is not None:
        logger.warning("convolutions run unfused, more slowly: %s", reason)
    matrices = PyramidMatrices.create(network.feature_size, dtype)
    _replace(network, matrices, fused=reason is None)


def _replace(parent: nn.Module, matrices: PyramidMatrices, *, fused: bool) -> None:
    for name, child in parent.named_children():
        if isinstance(child, SpatialLayerNorm):
            setattr(parent, name, ChannelsLastNorm(child))
        elif isinstance(child, PyramidPooling):
            setattr(parent, name, CpuPyramidPooling(child, matrices))
        elif isinstance(child, AttentionStep) and child.is_folded:
            setattr(parent, name, CpuAttention(child))
        elif fused and isinstance(child, ConvNorm):
            setattr(parent, name, _fused(child))
        elif fused and isinstance(child, nn.Conv2d) and FusedConvolution.exists_for(child):
            setattr(parent, name, FusedConvolution(child, nn.Identity()))
        else:
            _replace(child, matrices, fused=fused)


def _fused(layer: ConvNorm) -> nn.Module:
    """Fuse a folded layer; without its activation if oneDNN lacks that activation."""
    if FusedConvolution.exists_for(layer.conv, layer.activation):
        return FusedConvolution(layer.conv, layer.activation)
    if FusedConvolution.exists_for(layer.conv):
        layer.add_module("conv", FusedConvolution(layer.conv, nn.Identity()))
    return layer
