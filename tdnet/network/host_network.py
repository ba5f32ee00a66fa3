"""A folded network made fast on a CPU: what its parts compute is not changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import nn

from tdnet.network.base import StreamingNetwork
from tdnet.network.channels_last_norm import ChannelsLastNorm
from tdnet.network.fused_convolution import FusedConvolution, why_not_fused
from tdnet.network.host_pyramid_pooling import HostPyramidPooling, PyramidMatrices
from tdnet.network.layers import ConvNorm, SpatialLayerNorm
from tdnet.network.pyramid_pooling import PyramidPooling

logger = logging.getLogger(__name__)


def prepare_for_cpu(network: StreamingNetwork, dtype: torch.dtype) -> None:
    """Replace a network's parts by those that a CPU computes in fewer passes over memory.

    For inference only: the network cannot be trained, saved or copied afterwards. Where this
    PyTorch or processor has no fused convolutions, they stay as they are, and a log line says so.

    Args:
        network: folded, in evaluation mode, on the CPU.
        dtype: the number format of its convolutions.
    """
    reason = why_not_fused(dtype)
    if reason is not None:
        logger.warning("convolutions run unfused, more slowly: %s", reason)
    matrices = cache(lambda: PyramidMatrices.create(network.feature_size, dtype))
    _replace(network, matrices, fused=reason is None)


def _replace(parent: nn.Module, matrices: Callable[[], PyramidMatrices], *, fused: bool) -> None:
    for name, child in parent.named_children():
        if isinstance(child, SpatialLayerNorm):
            setattr(parent, name, ChannelsLastNorm(child))
        elif isinstance(child, PyramidPooling):
            setattr(parent, name, HostPyramidPooling(child, matrices()))
        elif fused and isinstance(child, ConvNorm):
            setattr(parent, name, FusedConvolution(child.conv, child.activation))
        elif fused and isinstance(child, nn.Conv2d):
            setattr(parent, name, FusedConvolution(child, nn.Identity()))
        else:
            _replace(child, matrices, fused=fused)
