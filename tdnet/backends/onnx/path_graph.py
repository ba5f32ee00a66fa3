"""A path of a network as a function of a frame and a memory, which an exporter can trace."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from tdnet.backends.onnx.tensors import TensorSpec, input_tensors, output_tensors
from tdnet.errors import WeightsError
from tdnet.network import SegmentationNetwork, TDNet
from tdnet.network.layers import BINS, ConvNorm, PyramidPooling, SpatialLayerNorm
from tdnet.network.temporal_memory import MemoryEntry
from tdnet.variants import Variant


class PathGraph(nn.Module):
    """One path with a full memory: from a frame and memory entries to logits and a memory entry.

    With a memory of zeros the result is that of an empty or partly filled memory.

    Args:
        network: returned by `for_export`.
        path: 0 to N - 1.
    """

    def __init__(self, network: SegmentationNetwork, path: int) -> None:
        super().__init__()
        network = copy.copy(network)
        if isinstance(network, TDNet):
            # Exporters write every parameter that they find.
            network._modules = dict(network._modules)
            chosen = network.path(path)
            others = (own if own is chosen else nn.Identity() for own in network.paths)
            network.paths = nn.ModuleList(others)  # type: ignore[assignment]
        self.network = network
        self.path = path
        self.memory = [spec.name for spec in input_specs(network, torch.float32)[1:]]

    def forward(self, frame: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """Map (1, 3, H, W) and (1, S, d or D) each to logits, query, key and value."""
        network = self.network
        if not isinstance(network, TDNet):
            return (network(frame),)
        given = dict(zip(self.memory, memory, strict=True))
        context = None
        if given:
            # The query of the oldest frame is not used: any tensor of its shape will do.
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
    """Return a folded copy of a network, with operations that every runtime has.

    Args:
        model: with its weights, not folded.
        dtype: of all parameters but those of layer norms, which keep float32.

    Raises:
        WeightsError: a weight exceeds the range of the number format.
    """
    network = copy.deepcopy(model).eval().requires_grad_(False)
    network.fold()
    _replace_pyramids(network, network.feature_size)
    for module in network.modules():
        if not isinstance(module, SpatialLayerNorm):
            module._apply(lambda tensor: tensor.to(dtype), recurse=False)
    for name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise WeightsError(
                f"{name} is not finite in {_name(dtype)} once norms are folded: use precision "
                "float32, or other weights"
            )
    return network


def _replace_pyramids(parent: nn.Module, size: tuple[int, int]) -> None:
    for name, child in parent.named_children():
        if isinstance(child, PyramidPooling):
            setattr(parent, name, PyramidProducts(child, size))
        else:
            _replace_pyramids(child, size)


class PyramidProducts(nn.Module):
    """`PyramidPooling` as matrix products, for maps of one size.

    Exporters turn adaptive pooling to grids that do not divide the map into many gathers. Means
    and resizes are linear, so one product each gives the same numbers.

    Args:
        pyramid: folded, in float32; its weights are used.
        size: (h, w) of the maps.
    """

    def __init__(self, pyramid: PyramidPooling, size: tuple[int, int]) -> None:
        super().__init__()
        means = torch.cat([_by_axes(_means, size, bins) for bins in BINS])
        # Sums with powers of two are exact in float16, where a mean's weight would lose digits.
        largest = means.amax(1, keepdim=True)
        power = torch.exp2(torch.ceil(torch.log2(largest)))
        self.register_buffer("cells", torch.where(means > 0, power, 0.0).t().contiguous())
        self.register_buffer("scale", (largest / power).t().contiguous())
        branches = cast("Sequence[ConvNorm]", pyramid.branches)
        group = pyramid.kept_pooled
        for bins, branch in zip(BINS, branches, strict=True):
            positions = _by_axes(_weights, size, bins)
            assert branch.conv.bias is not None  # of the folded norm
            self.register_buffer(f"positions{bins}", positions.t().contiguous())
            self.register_buffer(f"weight{bins}", branch.conv.weight.detach()[group].flatten(1))
            self.register_buffer(f"bias{bins}", branch.conv.bias.detach()[group].unsqueeze(1))
        self._kept = pyramid.kept

    def forward(self, x: Tensor) -> Tensor:
        """Map (1, C, h, w) to (1, 2 * C / G, h, w)."""
        means = (x.flatten(2) @ self.get_buffer("cells")) * self.get_buffer("scale")
        parts = [x[:, self._kept].flatten(2)]
        grids = means.split([bins * bins for bins in BINS], dim=2)
        for bins, grid in zip(BINS, grids, strict=True):
            weight, bias = self.get_buffer(f"weight{bins}"), self.get_buffer(f"bias{bins}")
            parts.append((weight @ grid + bias).relu() @ self.get_buffer(f"positions{bins}"))
        joined = torch.cat(parts, dim=1)
        return joined.unflatten(2, (x.shape[2], x.shape[3]))


def _means(length: int, bins: int) -> Tensor:
    """Return the matrix (bins, length) that computes the means of the bins of an axis."""
    return nn.functional.adaptive_avg_pool1d(torch.eye(length), bins).t()


def _weights(length: int, bins: int) -> Tensor:
    """Return the bilinear weights (length, bins) of the bins along an axis, corners aligned."""
    rows = nn.functional.interpolate(
        torch.eye(bins)[None], length, mode="linear", align_corners=True
    )
    return rows[0].t()


def _by_axes(axis: Callable[[int, int], Tensor], size: tuple[int, int], bins: int) -> Tensor:
    """Return the matrix of both axes together."""
    return torch.kron(axis(size[0], bins).contiguous(), axis(size[1], bins).contiguous())


def input_specs(network: SegmentationNetwork, dtype: torch.dtype) -> tuple[TensorSpec, ...]:
    """Return the inputs of a network's graphs, in order; past frames from the oldest on."""
    return input_tensors(_variant(network), network.input_size, _name(dtype))


def output_specs(network: SegmentationNetwork, dtype: torch.dtype) -> tuple[TensorSpec, ...]:
    """Return the outputs of a network's graphs, in order."""
    size, classes = network.input_size, network.num_classes
    return output_tensors(_variant(network), classes, size, _name(dtype))


def _variant(network: SegmentationNetwork) -> Variant:
    """Return the variant with the network's own memory stride, which may differ."""
    return replace(network.variant, memory_stride=network.memory_stride)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
