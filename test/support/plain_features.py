"""Backbones and feature extractors of every family of networks, written from the specification.

Modules have the names of the published checkpoints; those of BiSeNet, which has none, have ours.
Nothing here is shared with the implementation in `tdnet.network`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tdnet.variants import BisenetBackbone, FanetBackbone, ResNetBackbone, Variant

SLOPE = 0.01

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_MULTI_GRID = (4, 8, 16)
_BINS = (1, 2, 3, 6)


def conv3x3(channels: int, out: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Create a 3x3 convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(channels, out, 3, stride, padding=dilation, dilation=dilation, bias=False)


def conv1x1(channels: int, out: int, stride: int = 1) -> nn.Conv2d:
    """Create a 1x1 convolution without bias."""
    return nn.Conv2d(channels, out, 1, stride, bias=False)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Resize a map to the height and width of another."""
    size = (like.shape[2], like.shape[3])
    return functional.interpolate(x, size, mode="bilinear", align_corners=True)


class ConvNorm(nn.Module):
    """A convolution ``conv``, a norm ``bn``, and an activation."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm2d(conv.out_channels)
        self._activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W)."""
        y: Tensor = self._activation(self.bn(self.conv(x)))
        return y


class _Block(nn.Module):
    """A residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1 in deep networks."""

    def __init__(
        self,
        channels: int,
        width: int,
        out: int,
        stride: int,
        dilation: int,
        layer_dilation: int,
        slope: float,
    ) -> None:
        super().__init__()
        self.deep = out != width
        self.slope = slope
        if self.deep:
            self.conv1 = conv1x1(channels, width)
            self.conv2 = conv3x3(width, width, stride, dilation)
            self.conv3, self.bn3 = conv1x1(width, out), nn.BatchNorm2d(out)
        else:
            self.conv1 = conv3x3(channels, width, stride, dilation)
            self.conv2 = conv3x3(width, width, 1, layer_dilation)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(conv1x1(channels, out, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.leaky_relu(self.bn1(self.conv1(x)), self.slope)
        y = self.bn2(self.conv2(y))
        if self.deep:
            y = self.bn3(self.conv3(functional.leaky_relu(y, self.slope)))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Specification, "Backbone"; undilated with other strides.

    Args:
        depth: 18, 34, 50 or 101.
        width: channels of the first layer.
        strides: of the four layers.
        dilated: whether layer3 and layer4 are dilated, with the multi-grid.
        slope: negative slope of the activations before the residual sums; 0 is a ReLU.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        *,
        strides: tuple[int, ...] = (1, 2, 1, 1),
        dilated: bool = True,
        slope: float = 0.0,
    ) -> None:
        super().__init__()
        deep = depth >= 50
        channels = 2 * width if deep else width
        self.slope = slope
        self.conv1: nn.Module
        if deep:
            self.conv1 = nn.Sequential(
                conv3x3(3, width, stride=2),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(slope),
                conv3x3(width, width),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(slope),
                conv3x3(width, channels),
            )
        else:
            self.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for number, blocks in enumerate(_BLOCKS[depth]):
            layer_width = width * 2**number
            out = layer_width * (4 if deep else 1)
            layer = nn.Sequential()
            for index in range(blocks):
                stride = strides[number] if index == 0 else 1
                own = (1, 1, 2, 4)[number] if dilated else 1
                first = 1 if number == 2 and index == 0 else own
                dilation = _MULTI_GRID[index] if number == 3 and dilated else first
                layer.append(_Block(channels, layer_width, out, stride, dilation, own, slope))
                channels = out
            self.add_module(f"layer{number + 1}", layer)
        self.out_channels = channels

    def layers(self, x: Tensor) -> list[Tensor]:
        """Map frames (B, 3, H, W) to the outputs of the four layers."""
        x = functional.leaky_relu(self.bn1(self.conv1(x)), self.slope)
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        outputs = []
        for number in range(4):
            x = self.get_submodule(f"layer{number + 1}")(x)
            outputs.append(x)
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map frames (B, 3, H, W) to the output of the last layer."""
        return self.layers(x)[-1]


class PlainFamily(ABC):
    """The feature extractors of a network.

    Args:
        variant: description of the network.

    Attributes:
        channels: channels of the features.
    """

    channels: int

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.backbone = variant.backbone

    @abstractmethod
    def parts(self, p: int) -> dict[str, nn.Module]:
        """Create the modules of path p, 1 to N, by name."""

    @abstractmethod
    def features(self, network: nn.Module, p: int, frame: Tensor) -> Tensor:
        """Map a frame (1, 3, H, W) to features (1, C, h, w) with the modules of path p."""


class Pyramid(nn.Module):
    """Specification, "Pyramid pooling"; group 0 of 1 keeps all channels."""

    def __init__(self, channels: int, groups: int = 1, group: int = 0) -> None:
        super().__init__()
        self.groups, self.group = groups, group
        for number in range(len(_BINS)):
            out = channels // 4
            branch = nn.Sequential(conv1x1(channels, out), nn.BatchNorm2d(out), nn.ReLU())
            self.add_module(f"conv{number + 1}", branch)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the kept channels of the input and of the four grids."""
        maps = [x]
        for number, bins in enumerate(_BINS):
            branch = self.get_submodule(f"conv{number + 1}")
            maps.append(resize(branch(functional.adaptive_avg_pool2d(x, bins)), x))
        return torch.cat([each.chunk(self.groups, dim=1)[self.group] for each in maps], dim=1)


class _Pspnet(PlainFamily):
    def __init__(self, variant: Variant) -> None:
        super().__init__(variant)
        self.channels = 2 * self.backbone.out_channels // variant.pyramid_groups

    def parts(self, p: int) -> dict[str, nn.Module]:
        backbone, groups = self.backbone, self.variant.pyramid_groups
        return {
            f"pretrained{p}": ResNet(backbone.depth, backbone.width),
            f"psp{p}": Pyramid(backbone.out_channels, groups, (p - 1) % groups),
        }

    def features(self, network: nn.Module, p: int, frame: Tensor) -> Tensor:
        x = network.get_submodule(f"pretrained{p}")(frame)
        return cast("Tensor", network.get_submodule(f"psp{p}")(x))


class _FastAttention(nn.Module):
    """Specification, "td2-fa18": a block `ffm` with the parts that its level uses."""

    def __init__(self, channels: int, width: int, *, up: bool, smooth: bool) -> None:
        super().__init__()
        leaky = nn.LeakyReLU(SLOPE)
        self.w_qs = ConvNorm(conv1x1(channels, width // 2))
        self.w_ks = ConvNorm(conv1x1(channels, width // 2))
        self.w_vs = ConvNorm(conv1x1(channels, channels), leaky)
        self.latlayer3 = ConvNorm(conv1x1(channels, channels), leaky)
        if up:
            padded = nn.Conv2d(channels, channels // 2, 1, padding=1, bias=False)
            self.up = ConvNorm(padded, leaky)
        if smooth:
            self.smooth = ConvNorm(conv3x3(channels, 2 * width), leaky)

    def forward(self, x: Tensor, coarser: Tensor | None) -> Tensor:
        query = functional.normalize(self.w_qs(x), dim=1).flatten(2)
        key = functional.normalize(self.w_ks(x), dim=1).flatten(2)
        y = query.transpose(1, 2) @ (key @ self.w_vs(x).flatten(2).transpose(1, 2))
        y = self.latlayer3(y.transpose(1, 2).reshape(x.shape)) + x
        return y if coarser is None else y + resize(coarser, y)


class _Fanet(PlainFamily):
    def __init__(self, variant: Variant) -> None:
        super().__init__(variant)
        self.channels = 4 * self.backbone.width

    def parts(self, p: int) -> dict[str, nn.Module]:
        depth, width = self.backbone.depth, self.backbone.width
        backbone = ResNet(depth, width, strides=(2, 2, 2, 2), dilated=False, slope=SLOPE)
        parts: dict[str, nn.Module] = {f"pretrained{p}": backbone}
        for number, level in enumerate((4, 8, 16, 32)):
            channels = backbone.out_channels >> (3 - number)
            parts[f"ffm_{level}_{p}"] = _FastAttention(
                channels, width, up=level > 4, smooth=level in (4, 16)
            )
        return parts

    def features(self, network: nn.Module, p: int, frame: Tensor) -> Tensor:
        layers = cast("ResNet", network.get_submodule(f"pretrained{p}")).layers(frame)
        coarser: Tensor | None = None
        smooth = []
        for level, x in zip((32, 16, 8, 4), reversed(layers), strict=True):
            block = cast("_FastAttention", network.get_submodule(f"ffm_{level}_{p}"))
            y = block(x, coarser)
            coarser = block.up(y) if level > 4 else None
            if level in (4, 16):
                smooth.append(block.smooth(y))
        return torch.cat([resize(smooth[0], smooth[1]), smooth[1]], dim=1)


class _TwoPaths(nn.Module):
    """The spatial path and the context path."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        relu = nn.ReLU()
        self.spatial = nn.Sequential(
            ConvNorm(conv3x3(3, width, stride=2), relu),
            ConvNorm(conv3x3(width, width, stride=2), relu),
            ConvNorm(conv3x3(width, 2 * width, stride=2), relu),
        )
        self.context = ResNet(depth, width, strides=(1, 2, 2, 2), dilated=False)


class _Refinement(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = ConvNorm(conv3x3(channels, out), nn.ReLU())
        self.weigh = ConvNorm(conv1x1(out, out), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return cast("Tensor", y * self.weigh(y.mean((2, 3), keepdim=True)))


class _Fusion(nn.Module):
    """Attention refinement from coarse to fine, then feature fusion; see docs/variants.md."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        inner, relu = 2 * width, nn.ReLU()
        self.whole = ConvNorm(conv1x1(channels, inner), relu)
        self.refine = nn.ModuleList(
            [_Refinement(channels // 2, inner), _Refinement(channels, inner)]
        )
        self.smooth = nn.ModuleList(ConvNorm(conv3x3(inner, inner), relu) for _ in range(2))
        self.fusion = nn.Module()
        self.fusion.join = ConvNorm(conv1x1(2 * inner, 2 * inner), relu)
        self.fusion.squeeze = nn.Conv2d(2 * inner, inner // 2, 1)
        self.fusion.excite = nn.Conv2d(inner // 2, 2 * inner, 1)

    def forward(self, spatial: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        whole = resize(self.whole(coarse.mean((2, 3), keepdim=True)), coarse)
        context = self.smooth[1](resize(self.refine[1](coarse) + whole, fine))
        context = self.smooth[0](resize(self.refine[0](fine) + context, spatial))
        part = self.fusion.get_submodule
        joined = part("join")(torch.cat([spatial, context], dim=1))
        squeezed = functional.relu(part("squeeze")(joined.mean((2, 3), keepdim=True)))
        return cast("Tensor", joined * torch.sigmoid(part("excite")(squeezed)) + joined)


class _Bisenet(PlainFamily):
    def __init__(self, variant: Variant) -> None:
        super().__init__(variant)
        self.channels = 4 * self.backbone.width

    def parts(self, p: int) -> dict[str, nn.Module]:
        paths = _TwoPaths(self.backbone.depth, self.backbone.width)
        fusion = _Fusion(paths.context.out_channels, self.backbone.width)
        return {f"pretrained{p}": paths, f"fusion{p}": fusion}

    def features(self, network: nn.Module, p: int, frame: Tensor) -> Tensor:
        paths = cast("_TwoPaths", network.get_submodule(f"pretrained{p}"))
        fine, coarse = paths.context.layers(frame)[2:]
        fusion = network.get_submodule(f"fusion{p}")
        return cast("Tensor", fusion(paths.spatial(frame), fine, coarse))


_FAMILIES: dict[type[ResNetBackbone], type[PlainFamily]] = {
    ResNetBackbone: _Pspnet,
    FanetBackbone: _Fanet,
    BisenetBackbone: _Bisenet,
}


def plain_family(variant: Variant) -> PlainFamily:
    """Return the feature extractors of a variant."""
    return _FAMILIES[type(variant.backbone)](variant)
