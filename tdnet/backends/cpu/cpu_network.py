"""A folded network made fast on a CPU: what its parts compute is not changed."""

from __future__ import annotations

import logging

import torch
from torch import nn

from tdnet.backends.cpu.channels_last_norm import ChannelsLastNorm
from tdnet.backends.cpu.cpu_attention import HostAttention
from tdnet.backends.cpu.cpu_pyramid_pooling import HostPyramidPooling, PyramidMatrices
from tdnet.backends.cpu.fused_convolution import FusedConvolution, why_not_fused
from tdnet.network.attention_propagation import AttentionStep
from tdnet.network.base import StreamingNetwork
from tdnet.network.layers import ConvNorm, SpatialLayerNorm
from tdnet.network.pyramid_pooling import PyramidPooling

logger = logging.getLogger(__name__)


def prepare_for_cpu(network: StreamingNetwork, dtype: torch.dtype) -> None:
    """Replace a network's parts by those that a CPU computes in fewer passes over memory.

    What it does not know stays as it is.
    For inference only: the network cannot be trained, saved or copied afterwards. Where this
    PyTorch or processor has no fused convolutions, they stay as they are, and a log line says so.

    Args:
        network: folded, in evaluation mode, on the CPU.
        dtype: the number format of its convolutions.
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
            setattr(parent, name, HostPyramidPooling(child, matrices))
        elif isinstance(child, AttentionStep) and child.is_folded:
            setattr(parent, name, HostAttention(child))
        elif fused and isinstance(child, ConvNorm):
            setattr(parent, name, _fused(child))
        elif fused and isinstance(child, nn.Conv2d) and FusedConvolution.exists_for(child):
            setattr(parent, name, FusedConvolution(child, nn.Identity()))
        else:
            _replace(child, matrices, fused=fused)


def _fused(layer: ConvNorm) -> nn.Module:
    """A folded layer in one operation; where oneDNN lacks the activation, the convolution is."""
    if FusedConvolution.exists_for(layer.conv, layer.activation):
        return FusedConvolution(layer.conv, layer.activation)
    if FusedConvolution.exists_for(layer.conv):
        layer.add_module("conv", FusedConvolution(layer.conv, nn.Identity()))
    return layer
