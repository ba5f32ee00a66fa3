"""A path of a network as a function of a frame and a memory, which exporters can trace."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from tdnet.backends.onnx.tensors import BATCH, TensorSpec, input_tensors, output_tensors
from tdnet.network import SegmentationNetwork, TDNet
from tdnet.network.layers import SpatialLayerNorm, resize
from tdnet.network.pyramid_pooling import PyramidPooling
from tdnet.network.temporal_memory import MemoryEntry
from tdnet.variants import Variant
from tdnet_offline.export.pyramid_products import PyramidProducts


class PathGraph(nn.Module):
    """What one path makes of a frame and a full memory: logits or labels, and the memory entry.

    With a memory of zeros it makes what the path makes of an empty or partly filled one.

    Args:
        network: as `for_export` gave it.
        path: 0 to N - 1.
        ids: (K,) class ids of the channels, to give labels; None: logits are given.
    """

    def __init__(self, network: SegmentationNetwork, path: int, ids: Tensor | None) -> None:
        super().__init__()
        network = copy.copy(network)
        if isinstance(network, TDNet):
            # Exporters write every parameter that they find.
            network._modules = dict(network._modules)
            others = (own if i == path else nn.Identity() for i, own in enumerate(network.paths))
            network.paths = nn.ModuleList(others)  # type: ignore[assignment]
        self.network = network
        self.path = path
        self.memory = [spec.name for spec in input_specs(network, torch.float32, 1)[1:]]
        self.ids: Tensor | None
        self.register_buffer("ids", ids)

    def forward(self, frame: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """Map (B, 3, H, W) and (B, S, d or D) each to logits or labels, query, key and value."""
        network = self.network
        if isinstance(network, TDNet):
            result, *entry = self._segment(network, frame, memory)
        else:
            result, entry = network(frame), []
        if self.ids is not None:
            wide = resize(result.float(), network.input_size)
            result = self.ids[wide.argmax(1)].to(torch.uint8)
        return (result, *entry)

    def _segment(
        self, network: TDNet, frame: Tensor, memory: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        given = dict(zip(self.memory, memory, strict=True))
        context = None
        if given:
            # The query of the oldest frame is not used: any tensor may replace it.
            entries = [
                MemoryEntry(
                    given.get(f"query_{i}", given[f"key_{i}"]),
                    given[f"key_{i}"],
                    given[f"value_{i}"],
                )
                for i in range(network.variant.memory_capacity)
            ]
            context = network.memory_context(entries, self.path)
        logits, features = network.segment(frame, self.path, context)
        if features is None:
            return (logits,)
        return (logits, *network.memory_entry(features, self.path))


def for_export(model: SegmentationNetwork, dtype: torch.dtype) -> SegmentationNetwork:
    """Copy and fold a network, with operations that every runtime has; layer norms keep float32.

    Args:
        model: with its weights, not folded.
        dtype: of everything else.
    """
    network = copy.deepcopy(model).eval().requires_grad_(False)
    network.fold()
    _replace_pyramids(network, network.feature_size)
    for module in network.modules():
        if not isinstance(module, SpatialLayerNorm):
            module._apply(lambda tensor: tensor.to(dtype), recurse=False)
    return network


def _replace_pyramids(parent: nn.Module, size: tuple[int, int]) -> None:
    for name, child in parent.named_children():
        if isinstance(child, PyramidPooling):
            setattr(parent, name, PyramidProducts(child, size))
        else:
            _replace_pyramids(child, size)


def input_specs(
    network: SegmentationNetwork, dtype: torch.dtype, batch: int | str
) -> list[TensorSpec]:
    """Say what every graph of a network takes, in order; past frames from the oldest on."""
    return list(input_tensors(_variant(network), network.input_size, _name(dtype), batch))


def output_specs(
    network: SegmentationNetwork, dtype: torch.dtype, batch: int | str, output: str
) -> list[TensorSpec]:
    """Say what every graph of a network gives, in order.

    Args:
        network: any.
        dtype: of all but labels.
        batch: frames at once, or `BATCH`.
        output: ``logits`` or ``labels``.
    """
    variant, size, classes = _variant(network), network.input_size, network.num_classes
    return list(output_tensors(variant, classes, size, _name(dtype), batch, output))


def example_inputs(specs: Sequence[TensorSpec]) -> tuple[Tensor, ...]:
    """Give zeros of these kinds; of two frames where their number is open."""
    # A size of one is taken for a constant by what traces shapes.
    batch = 2 if specs[0].shape[0] == BATCH else 1
    return tuple(torch.zeros(s.of_batch(batch), dtype=getattr(torch, s.dtype)) for s in specs)


def _variant(network: SegmentationNetwork) -> Variant:
    """Give the description with the memory stride that the network has, which may be another."""
    return replace(network.variant, memory_stride=network.memory_stride)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
