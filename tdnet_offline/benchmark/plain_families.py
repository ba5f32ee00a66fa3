"""How each family of networks makes features of a frame, put plainly.

Modules are named as in the published checkpoints; those of BiSeNet, of which there are none, as
ours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tdnet.errors import InputError
from tdnet.variants import Backbone, BisenetBackbone, FanetBackbone, Variant
from tdnet_offline.benchmark.plain_layers import (
    SLOPE,
    ConvNorm,
    ResNet,
    conv1x1,
    conv3x3,
    resize,
)

_BINS = (1, 2, 3, 6)


class PlainFamily(ABC):
    """The feature extractors of a network.

    Args:
        variant: the network's description.

    Attributes:
        channels: of the features.
    """

    channels: int

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.backbone = variant.backbone

    @abstractmethod
    def parts(self, p: int) -> dict[str, nn.Module]:
        """Create the modules of path p, 1 to N, by their names."""

    @abstractmethod
    def features(self, network: nn.Module, p: int, frame: Tensor) -> Tensor:
        """Map a frame (1, 3, H, W) to features (1, C, h, w) with the modules of path p."""


class Pyramid(nn.Module):
    """Specification, "Pyramid pooling"; group 0 of 1 keeps everything."""

    def __init__(self, channels: int, groups: int = 1, group: int = 0) -> None:
        super().__init__()
        self.groups, self.group = groups, group
        for number in range(len(_BINS)):
            out = channels // 4
            branch = nn.Sequential(conv1x1(channels, out), nn.BatchNorm2d(out), nn.ReLU())
            self.add_module(f"conv{number + 1}", branch)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the kept channels of it and of the four grids."""
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
    """Specification, "td2-fa18": a block `ffm`, of what its level uses."""

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
    """The spatial path, and the ResNet beside it."""

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


_FAMILIES: dict[type[Backbone], type[PlainFamily]] = {
    Backbone: _Pspnet,
    FanetBackbone: _Fanet,
    BisenetBackbone: _Bisenet,
}


def plain_family(variant: Variant) -> PlainFamily:
    """Give the family of a variant.

    Raises:
        InputError: there is no plain formulation of it.
    """
    family = _FAMILIES.get(type(variant.backbone))
    if family is None:
        known = ", ".join(sorted({each.family for each in _FAMILIES}))
        raise InputError(
            f"no plain formulation of {variant.name} to compare with: its backbone is "
            f"{variant.backbone}, and there is one for {known}"
        )
    return family(variant)
