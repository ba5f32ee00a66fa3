"""The networks as the specification puts them, straight into PyTorch, to be measured against.

Nothing is folded, moved or left out: every norm is a layer, all groups of the pyramid are
computed, W follows the attention, and each frame recomputes the whole chain from the stored
(q, k, v). Modules are named so that an official state dict loads as it is. Shapes are NCHW; h, w
are those at stride 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tdnet.official_layout import official_names
from tdnet.variants import Backbone, Variant, feature_size

_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_LAYER_STRIDES = (1, 2, 1, 1)
_LAYER_DILATIONS = (1, 1, 2, 4)
_MULTI_GRID = (4, 8, 16)
_BINS = (1, 2, 3, 6)
_SLOPE = 0.01


class Remembered(NamedTuple):
    """What a frame leaves: sampled positions as tokens.

    Attributes:
        query: (S, d).
        key: (S, d).
        value: (S, D).
    """

    query: Tensor
    key: Tensor
    value: Tensor


def _conv3x3(channels: int, out: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, stride, padding=dilation, dilation=dilation, bias=False)


def _conv1x1(channels: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 1, stride, bias=False)


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(x, size, mode="bilinear", align_corners=True)


class _Block(nn.Module):
    """A residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1 in deep networks."""

    def __init__(
        self, channels: int, width: int, out: int, stride: int, dilation: int, layer_dilation: int
    ) -> None:
        super().__init__()
        self.deep = out != width
        if self.deep:
            self.conv1 = _conv1x1(channels, width)
            self.conv2 = _conv3x3(width, width, stride, dilation)
            self.conv3, self.bn3 = _conv1x1(width, out), nn.BatchNorm2d(out)
        else:
            self.conv1 = _conv3x3(channels, width, stride, dilation)
            self.conv2 = _conv3x3(width, width, 1, layer_dilation)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(_conv1x1(channels, out, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.deep:
            y = self.bn3(self.conv3(functional.relu(y)))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class _ResNet(nn.Module):
    """Specification, "Backbone"."""

    def __init__(self, spec: Backbone) -> None:
        super().__init__()
        width, deep = spec.width, spec.depth >= 50
        channels = 2 * width if deep else width
        self.conv1: nn.Module
        if deep:
            self.conv1 = nn.Sequential(
                _conv3x3(3, width, stride=2),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                _conv3x3(width, width),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                _conv3x3(width, channels),
            )
        else:
            self.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for number, blocks in enumerate(_BLOCKS[spec.depth]):
            layer_width = width * 2**number
            out = layer_width * (4 if deep else 1)
            layer = nn.Sequential()
            for index in range(blocks):
                stride = _LAYER_STRIDES[number] if index == 0 else 1
                own = _LAYER_DILATIONS[number]
                first = 1 if number == 2 and index == 0 else own
                dilation = _MULTI_GRID[index] if number == 3 else first
                layer.append(_Block(channels, layer_width, out, stride, dilation, own))
                channels = out
            self.add_module(f"layer{number + 1}", layer)
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        for number in range(4):
            x = self.get_submodule(f"layer{number + 1}")(x)
        return x


class _Pyramid(nn.Module):
    """Specification, "Pyramid pooling"; group 0 of 1 keeps everything."""

    def __init__(self, channels: int, groups: int = 1, group: int = 0) -> None:
        super().__init__()
        self.groups, self.group = groups, group
        for number in range(len(_BINS)):
            out = channels // 4
            branch = nn.Sequential(_conv1x1(channels, out), nn.BatchNorm2d(out), nn.ReLU())
            self.add_module(f"conv{number + 1}", branch)

    def forward(self, x: Tensor) -> Tensor:
        size = (x.shape[2], x.shape[3])
        maps = [x]
        for number, bins in enumerate(_BINS):
            branch = self.get_submodule(f"conv{number + 1}")
            maps.append(_resize(branch(functional.adaptive_avg_pool2d(x, bins)), size))
        return torch.cat([each.chunk(self.groups, dim=1)[self.group] for each in maps], dim=1)


class _Projection(nn.Module):
    """A 1x1 convolution with bias named ``conv``, and the norm beside it if there is one."""

    def __init__(self, channels: int, out: int, *, norm: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 1)
        self.bn = nn.BatchNorm2d(out) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y if self.bn is None else functional.leaky_relu(self.bn(y), _SLOPE)


class _Encoding(nn.Module):
    """Specification, "Encoding"."""

    def __init__(self, channels: int, variant: Variant) -> None:
        super().__init__()
        d = variant.key_channels
        self.w_qs = nn.Sequential(_Projection(channels, d, norm=True), _Projection(d, d))
        self.w_ks = nn.Sequential(_Projection(channels, d, norm=True), _Projection(d, d))
        self.w_vs = nn.Sequential(_Projection(channels, variant.value_channels))


class _Attention(nn.Module):
    """A(k, v; q) = W softmax(q k^T / sqrt(d)) v + b (specification, "Attention propagation")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(_Projection(channels, channels))

    def forward(self, key: Tensor, value: Tensor, query: Tensor) -> Tensor:
        weights = torch.softmax(query @ key.T / query.shape[1] ** 0.5, dim=1)
        gathered = (weights @ value).T[None, :, :, None]
        return cast("Tensor", self.fc(gathered)[0, :, :, 0].T)


class _LayerNorm(nn.Module):
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(size)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.ln(x))


class _Head(nn.Module):
    """Specification, "Output"; a single-frame network has its pyramid in front of it."""

    def __init__(self, channels: int, hidden: int, classes: int, *before: nn.Module) -> None:
        super().__init__()
        self.conv5 = nn.Sequential(
            *before,
            _conv3x3(channels, hidden),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Dropout2d(0.1),
            nn.Conv2d(hidden, classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.conv5(x))


class PlainNetwork(nn.Module):
    """A network of any variant, in float32 and evaluation mode.

    Args:
        variant: its description.
        num_classes: K.
        input_size: height and width of the frames.
    """

    def __init__(self, variant: Variant, num_classes: int, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.variant = variant
        if variant.paths == 1:
            self.pretrained = _ResNet(variant.backbone)
            channels = self.pretrained.out_channels
            pyramid = _Pyramid(channels)
            self.head = _Head(2 * channels, variant.head_channels, num_classes, pyramid)
        for p in range(1, variant.paths + 1) if variant.paths > 1 else ():
            backbone = _ResNet(variant.backbone)
            groups = variant.pyramid_groups
            kept = 2 * backbone.out_channels // groups
            value_channels = variant.value_channels
            self.add_module(f"pretrained{p}", backbone)
            pyramid = _Pyramid(backbone.out_channels, groups, (p - 1) % groups)
            self.add_module(f"psp{p}", pyramid)
            self.add_module(f"enc{p}", _Encoding(kept, variant))
            for name in self._attention_names(p):
                self.add_module(name, _Attention(value_channels))
            self.add_module(f"layer_norm{p}", _LayerNorm(feature_size(input_size)))
            self.add_module(f"head{p}", _Head(value_channels, variant.head_channels, num_classes))
        self.eval().requires_grad_(False)

    def load(self, state: dict[str, Tensor]) -> None:
        """Load the state dict of a network of ours of the same variant, classes and size."""
        names = official_names(self.variant, state)
        shapes = {name: item.shape for name, item in self.state_dict().items()}
        self.load_state_dict(
            {names[name]: item.reshape(shapes[names[name]]) for name, item in state.items()}
        )

    def forward(
        self, frame: Tensor, path: int, memory: Sequence[Remembered]
    ) -> tuple[Tensor, Remembered | None]:
        """Segment a frame.

        Args:
            frame: (1, 3, H, W) normalised RGB.
            path: p, 1 to N.
            memory: what the frames before it left, oldest first; used once it is full.

        Returns:
            Logits (1, K, h, w), and what the frame leaves; None of a single-frame network.
        """
        if self.variant.paths == 1:
            return self.head(self.pretrained(frame)), None
        part = self.get_submodule
        z = part(f"psp{path}")(part(f"pretrained{path}")(frame))
        encoding = cast("_Encoding", part(f"enc{path}"))
        value = encoding.w_vs(z)
        capacity = self.variant.memory_capacity
        if capacity and len(memory) == capacity:
            query = encoding.w_qs(z).flatten(2)[0].T
            value = value + self._propagated(memory, query, path).T.reshape(value.shape)
        logits = part(f"head{path}")(part(f"layer_norm{path}")(value))

        stride = self.variant.memory_stride
        sampled = z[:, :, ::stride, ::stride]
        projections = (encoding.w_qs, encoding.w_ks, encoding.w_vs)
        left = Remembered(*(projection(sampled).flatten(2)[0].T for projection in projections))
        return logits, left

    def _propagated(self, memory: Sequence[Remembered], query: Tensor, path: int) -> Tensor:
        """u1 = A(k0, v0; q1), u2 = A(k1, u1 + v1; q2) ..., the last asked by the frame itself."""
        queries = [*(each.query for each in memory[1:]), query]
        names = self._attention_names(path)
        carried = torch.zeros_like(memory[0].value)
        for name, each, asking in zip(names, memory, queries, strict=True):
            carried = self.get_submodule(name)(each.key, carried + each.value, asking)
        return carried

    def _attention_names(self, path: int) -> list[str]:
        """``atn{p}_{j}``, j being the paths that left the memory, oldest first."""
        capacity, paths = self.variant.memory_capacity, self.variant.paths
        if paths == 2:
            return [f"atn{path}"][:capacity]
        sources = range(path - 1 - capacity, path - 1)
        return [f"atn{path}_{source % paths + 1}" for source in sources]
