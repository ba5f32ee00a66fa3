"""The networks written directly from the specification: an independent reference for tests.

No optimisation: every norm is a layer, all groups of the pyramid are computed, W follows the
attention, and each frame recomputes the whole chain from the stored (q, k, v). An official state
dict loads without renaming. Shapes are NCHW; h, w are the size at stride 8.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from support.plain_features import SLOPE, ConvNorm, Pyramid, ResNet, conv3x3, plain_family
from tdnet.checkpoints.official_layout import official_backbone_names, official_names
from tdnet.variants import (
    BisenetBackbone,
    FanetBackbone,
    HeadStyle,
    ResNetBackbone,
    Variant,
    feature_size,
)


class MemoryFrame(NamedTuple):
    """The tokens of a past frame, at the sampled positions.

    Attributes:
        query: (S, d).
        key: (S, d).
        value: (S, D).
    """

    query: Tensor
    key: Tensor
    value: Tensor


class _Projection(nn.Module):
    """A 1x1 convolution with bias named ``conv``, and the norm beside it if there is one."""

    def __init__(self, channels: int, out: int, *, norm: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 1)
        self.bn = nn.BatchNorm2d(out) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y if self.bn is None else functional.leaky_relu(self.bn(y), SLOPE)


class _Encoding(nn.Module):
    """Specification, "Encoding"."""

    def __init__(self, channels: int, variant: Variant) -> None:
        super().__init__()
        d = variant.key_channels
        self.w_qs = nn.Sequential(_Projection(channels, d, norm=True), _Projection(d, d))
        self.w_ks = nn.Sequential(_Projection(channels, d, norm=True), _Projection(d, d))
        self.w_vs = nn.Sequential(_Projection(channels, variant.value_channels))


class _Attention(nn.Module):
    """A(k, v; q) = W softmax(q k^T / sqrt(d) - p) v + b (specification, "Attention propagation").

    The penalty p is distance^2 / (2 reach^2) if attention prefers near positions, else 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(_Projection(channels, channels))

    def forward(self, key: Tensor, value: Tensor, query: Tensor, penalty: Tensor | None) -> Tensor:
        scores = query @ key.T / query.shape[1] ** 0.5
        weights = torch.softmax(scores if penalty is None else scores - penalty, dim=1)
        gathered = (weights @ value).T[None, :, :, None]
        return cast("Tensor", self.fc(gathered)[0, :, :, 0].T)


def _penalty(size: tuple[int, int], reach: float, asking: int, asked: int) -> Tensor | None:
    """Return distance^2 / (2 reach^2) between positions of a map; None without a reach.

    Args:
        size: (h, w) of the map.
        reach: in positions.
        asking: stride of the positions of the rows of the result.
        asked: stride of the positions of its columns.
    """
    if not reach:
        return None
    queries, keys = (
        torch.cartesian_prod(*(torch.arange(0, side, stride) for side in size)).float()
        for stride in (asking, asked)
    )
    distance = (queries[:, None] - keys[None]).square().sum(dim=2)
    return distance / (2 * reach**2)


class _LayerNorm(nn.Module):
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(size)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.ln(x))


def _activation(style: HeadStyle) -> nn.Module:
    return nn.LeakyReLU(SLOPE) if style.activation == "leaky_relu" else nn.ReLU()


class _Head(nn.Module):
    """Specification, "Output"; a single-frame network has its pyramid before it."""

    def __init__(
        self, channels: int, hidden: int, classes: int, style: HeadStyle, *before: nn.Module
    ) -> None:
        super().__init__()
        self.conv5 = nn.Sequential(
            *before,
            conv3x3(channels, hidden),
            nn.BatchNorm2d(hidden),
            _activation(style),
            nn.Dropout2d(style.dropout),
            nn.Conv2d(hidden, classes, 1, bias=style.bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.conv5(x))


class _FanetHead(nn.Module):
    """Specification, "td2-fa18"."""

    def __init__(self, channels: int, hidden: int, classes: int, style: HeadStyle) -> None:
        super().__init__()
        self.conv = ConvNorm(conv3x3(channels, hidden), _activation(style))
        self.conv_out = nn.Conv2d(hidden, classes, 1, bias=style.bias)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.conv_out(self.conv(x)))


def plain_names(variant: Variant, names: Iterable[str]) -> dict[str, str]:
    """Map the names of our state dict to those of the plain network.

    Args:
        variant: description of the network.
        names: keys of its state dict.
    """
    official = official_names(variant, names)
    if official:
        return official
    # A single-frame network is the first path of one with several.
    several = replace(variant, paths=max(2, variant.paths))
    prefix = "" if variant.paths > 1 else "paths.0."
    longer = {name: prefix + name for name in names}
    if not isinstance(variant.backbone, BisenetBackbone):
        found = official_names(several, longer.values())
        return {name: found[long] for name, long in longer.items()}
    named_alike = replace(several, backbone=ResNetBackbone(variant.backbone.depth))
    return {
        name: _bisenet_name(variant, long) or official_names(named_alike, [long])[long]
        for name, long in longer.items()
    }


def _bisenet_name(variant: Variant, name: str) -> str | None:
    """Return the name of a part that only BiSeNet has; None for other parts."""
    _, index, part, rest = name.split(".", 3)
    if part == "backbone":
        within = official_backbone_names(variant, [rest]).get(rest)
        return f"pretrained{int(index) + 1}.{f'context.{within}' if within else rest}"
    return f"fusion{int(index) + 1}.{rest}" if part == "pyramid" else None


class PlainNetwork(nn.Module):
    """A network of any variant, in float32 and evaluation mode.

    Args:
        variant: description of the network.
        num_classes: K.
        input_size: height and width of the frames.
    """

    def __init__(self, variant: Variant, num_classes: int, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.variant = variant
        self._family = plain_family(variant)
        if self._is_pspnet:
            backbone = variant.backbone
            channels = backbone.out_channels
            self.pretrained = ResNet(backbone.depth, backbone.width)
            hidden = variant.head_channels
            self.head = _Head(2 * channels, hidden, num_classes, variant.head, Pyramid(channels))
        for p in range(1, variant.paths + 1) if not self._is_pspnet else ():
            for name, part in self._family.parts(p).items():
                self.add_module(name, part)
            channels = self._family.channels
            if variant.paths > 1:
                self.add_module(f"enc{p}", _Encoding(channels, variant))
                for name in self._attention_names(p):
                    self.add_module(name, _Attention(variant.value_channels))
                self.add_module(f"layer_norm{p}", _LayerNorm(feature_size(input_size)))
                channels = variant.value_channels
            kind = _FanetHead if isinstance(variant.backbone, FanetBackbone) else _Head
            head = kind(channels, variant.head_channels, num_classes, variant.head)
            self.add_module(f"head{p}", head)
        stride = variant.memory_stride
        for name, step in (("_frame_penalty", 1), ("_memory_penalty", stride)):
            penalty = _penalty(feature_size(input_size), variant.attention_reach, step, stride)
            self.register_buffer(name, penalty, persistent=False)
        self.eval().requires_grad_(False)

    @property
    def _is_pspnet(self) -> bool:
        """Whether it is a single-frame PSPNet, whose modules have other names."""
        return self.variant.paths == 1 and type(self.variant.backbone) is ResNetBackbone

    def load(self, state: dict[str, Tensor]) -> None:
        """Load the state dict of a network of ours of the same variant, classes and size."""
        names = plain_names(self.variant, state)
        shapes = {name: item.shape for name, item in self.state_dict().items()}
        self.load_state_dict(
            {names[name]: item.reshape(shapes[names[name]]) for name, item in state.items()}
        )

    def forward(
        self, frame: Tensor, path: int, memory: Sequence[MemoryFrame]
    ) -> tuple[Tensor, MemoryFrame | None]:
        """Segment a frame.

        Args:
            frame: (1, 3, H, W) normalised RGB.
            path: p, 1 to N.
            memory: past frames, oldest first; used once it is full.

        Returns:
            Logits (1, K, h, w), and the memory of this frame; None for a single-frame network.
        """
        if self._is_pspnet:
            return self.head(self.pretrained(frame)), None
        part = self.get_submodule
        z = self._family.features(self, path, frame)
        if self.variant.paths == 1:
            return part("head1")(z), None
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
        left = MemoryFrame(*(projection(sampled).flatten(2)[0].T for projection in projections))
        return logits, left

    def _propagated(self, memory: Sequence[MemoryFrame], query: Tensor, path: int) -> Tensor:
        """u1 = A(k0, v0; q1), u2 = A(k1, u1 + v1; q2) ..., the last q is of the current frame."""
        asking = [(each.query, self._memory_penalty) for each in memory[1:]]
        asking.append((query, self._frame_penalty))
        carried = torch.zeros_like(memory[0].value)
        for name, each, asked in zip(self._attention_names(path), memory, asking, strict=True):
            carried = self.get_submodule(name)(each.key, carried + each.value, *asked)
        return carried

    def _attention_names(self, path: int) -> list[str]:
        """``atn{p}_{j}``, where j is the path of each memory frame, oldest first."""
        capacity, paths = self.variant.memory_capacity, self.variant.paths
        if paths == 2:
            return [f"atn{path}"][:capacity]
        sources = range(path - 1 - capacity, path - 1)
        return [f"atn{path}_{source % paths + 1}" for source in sources]


class PlainStream:
    """The frames of one stream through a plain network."""

    def __init__(self, network: PlainNetwork) -> None:
        self._network = network
        self._memory: deque[MemoryFrame] = deque(maxlen=network.variant.memory_capacity)
        self._processed = 0

    @torch.no_grad()
    def step(self, frame: Tensor) -> Tensor:
        """Map the next frame (1, 3, H, W), normalised RGB, to logits (1, K, h, w)."""
        path = self._processed % self._network.variant.paths + 1
        logits, memory_frame = self._network(frame, path, list(self._memory))
        if memory_frame is not None:
            self._memory.append(memory_frame)
        self._processed += 1
        return logits
