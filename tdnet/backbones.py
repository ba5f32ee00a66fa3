"""The feature extractors that a variant can have: one frozen description each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tdnet.errors import InputError

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Residual blocks of each layer, by depth."""


@dataclass(frozen=True)
class Backbone:
    """A dilated ResNet with feature stride 8, under a pyramid pooling: PSPNet's.

    Attributes:
        depth: 18, 34, 50 or 101 layers.
        width: channels of the first residual layer; 64 in the literature.
        family: as it is called.
        strides: of layer1 to layer4.
        dilations: of layer1 to layer4.
        multi_grid: dilations of the blocks of layer4 instead of the layer's own; empty: none.
        leaky: whether stem and blocks have leaky ReLUs before the residual sum.
        scales: the layers, of 1 to 4, whose outputs the features are made of.
        has_auxiliary: whether an auxiliary head classifies layer3 in training.
        trains_in_float16: whether what training sums up stays in its range.
        has_groups: whether what joins the scales can be divided into groups of channels.
    """

    depth: int
    width: int = 64

    family: ClassVar[str] = "dilated ResNet"
    strides: ClassVar[tuple[int, int, int, int]] = (1, 2, 1, 1)
    dilations: ClassVar[tuple[int, int, int, int]] = (1, 1, 2, 4)
    multi_grid: ClassVar[tuple[int, ...]] = (4, 8, 16)
    leaky: ClassVar[bool] = False
    scales: ClassVar[tuple[int, ...]] = (4,)
    has_auxiliary: ClassVar[bool] = True
    trains_in_float16: ClassVar[bool] = True
    has_groups: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Checks depth and width."""
        if self.width < 1 or self.width % 2:
            raise InputError(f"width is {self.width}; allowed are even numbers from 2")
        if self.depth not in BLOCKS:
            allowed = ", ".join(map(str, BLOCKS))
            raise InputError(f"a ResNet of {self.depth} layers; allowed are {allowed}")

    @property
    def expansion(self) -> int:
        """Channels of a block's output over those of its 3x3 convolution."""
        return 1 if self.depth < 50 else 4

    @property
    def layer_channels(self) -> tuple[int, ...]:
        """Channels of the outputs of layer1 to layer4."""
        return tuple(self.width * 2**layer * self.expansion for layer in range(4))

    @property
    def out_channels(self) -> int:
        """Channels C of the last layer."""
        return self.layer_channels[-1]

    def __str__(self) -> str:
        """Name it, as messages do."""
        return f"{self.family}-{self.depth} of width {self.width}"


@dataclass(frozen=True)
class FanetBackbone(Backbone):
    """A ResNet whose every layer halves the map, under FANet's fast attention.

    The layers' outputs are at 1/8, 1/16, 1/32 and 1/64 (specification, "td2-fa18").
    """

    family: ClassVar[str] = "FANet's ResNet"
    strides: ClassVar[tuple[int, int, int, int]] = (2, 2, 2, 2)
    dilations: ClassVar[tuple[int, int, int, int]] = (1, 1, 1, 1)
    multi_grid: ClassVar[tuple[int, ...]] = ()
    leaky: ClassVar[bool] = True
    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    has_auxiliary: ClassVar[bool] = False
    trains_in_float16: ClassVar[bool] = False
    has_groups: ClassVar[bool] = False


@dataclass(frozen=True)
class BisenetBackbone(Backbone):
    """BiSeNet's two paths: a spatial path at 1/8, and a ResNet at 1/16 and 1/32 for context.

    (Yu et al., ECCV 2018, sections 3.1 and 3.2.)
    """

    family: ClassVar[str] = "BiSeNet's ResNet"
    strides: ClassVar[tuple[int, int, int, int]] = (1, 2, 2, 2)
    dilations: ClassVar[tuple[int, int, int, int]] = (1, 1, 1, 1)
    multi_grid: ClassVar[tuple[int, ...]] = ()
    scales: ClassVar[tuple[int, ...]] = (3, 4)
    has_groups: ClassVar[bool] = False
