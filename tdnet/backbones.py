"""Descriptions of the backbones of the variants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from tdnet.errors import InputError

Activation = Literal["relu", "leaky_relu", "hardswish"]
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Residual blocks of each layer, by depth."""


class Backbone(ABC):
    """A feature extractor of a path; the classes below describe one family each.

    Attributes:
        family: name of the family.
        size_multiple: number that divides height and width of the network input.
        trains_in_float16: whether the sums of training stay in the range of float16.
        has_groups: whether the pyramid can be divided into groups of channels.
    """

    family: ClassVar[str]
    size_multiple: ClassVar[int] = 1
    trains_in_float16: ClassVar[bool] = True
    has_groups: ClassVar[bool] = False

    @property
    @abstractmethod
    def out_channels(self) -> int:
        """Channels C of the last layer."""

    @property
    def auxiliary_channels(self) -> int | None:
        """Channels of the inner layer that an auxiliary head classifies in training, if any."""
        return None


@dataclass(frozen=True)
class ResNetBackbone(Backbone):
    """A dilated ResNet with feature stride 8, for a pyramid pooling, as in PSPNet.

    Attributes:
        depth: 18, 34, 50 or 101 layers.
        width: channels of the first residual layer; 64 in the literature.
        strides: strides of layer1 to layer4.
        dilations: dilations of layer1 to layer4.
        multi_grid: dilations of the blocks of layer4; empty: the dilation of the layer.
        activation: that of stem and blocks before the residual sum.
        scales: layers, 1 to 4, whose outputs the pyramid joins.
    """

    depth: int
    width: int = 64

    family: ClassVar[str] = "dilated ResNet"
    strides: ClassVar[tuple[int, int, int, int]] = (1, 2, 1, 1)
    dilations: ClassVar[tuple[int, int, int, int]] = (1, 1, 2, 4)
    multi_grid: ClassVar[tuple[int, ...]] = (4, 8, 16)
    activation: ClassVar[Activation] = "relu"
    scales: ClassVar[tuple[int, ...]] = (4,)
    has_groups: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check depth and width."""
        if self.width < 1 or self.width % 2:
            raise InputError(f"width is {self.width}; allowed are even numbers from 2")
        if self.depth not in BLOCKS:
            allowed = ", ".join(map(str, BLOCKS))
            raise InputError(f"a ResNet of {self.depth} layers; allowed are {allowed}")

    @property
    def expansion(self) -> int:
        """Ratio of the output channels of a block to those of its 3x3 convolution."""
        return 1 if self.depth < 50 else 4

    @property
    def auxiliary_channels(self) -> int | None:
        """Channels of layer3."""
        return self.layer_channels[2]

    @property
    def layer_channels(self) -> tuple[int, ...]:
        """Channels of the outputs of layer1 to layer4."""
        return tuple(self.width * 2**layer * self.expansion for layer in range(4))

    @property
    def out_channels(self) -> int:
        """Channels C of the last layer."""
        return self.layer_channels[-1]

    def __str__(self) -> str:
        """Return the name for messages."""
        return f"{self.family}-{self.depth} of width {self.width}"


@dataclass(frozen=True)
class FanetBackbone(ResNetBackbone):
    """A ResNet whose layers halve the map each, for the fast attention of FANet.

    The layers' outputs are at 1/8, 1/16, 1/32 and 1/64 (specification, "td2-fa18").
    """

    family: ClassVar[str] = "FANet's ResNet"
    strides: ClassVar[tuple[int, int, int, int]] = (2, 2, 2, 2)
    dilations: ClassVar[tuple[int, int, int, int]] = (1, 1, 1, 1)
    multi_grid: ClassVar[tuple[int, ...]] = ()
    activation: ClassVar[Activation] = "leaky_relu"
    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    trains_in_float16: ClassVar[bool] = False
    has_groups: ClassVar[bool] = False

    @property
    def auxiliary_channels(self) -> int | None:
        """None: published without."""
        return None


@dataclass(frozen=True)
class BisenetBackbone(ResNetBackbone):
    """A spatial path at 1/8 and a ResNet for context at 1/16 and 1/32, as in BiSeNet.

    (Yu et al., ECCV 2018, sections 3.1 and 3.2.)
    """

    family: ClassVar[str] = "BiSeNet's ResNet"
    strides: ClassVar[tuple[int, int, int, int]] = (1, 2, 2, 2)
    dilations: ClassVar[tuple[int, int, int, int]] = (1, 1, 1, 1)
    multi_grid: ClassVar[tuple[int, ...]] = ()
    scales: ClassVar[tuple[int, ...]] = (3, 4)
    has_groups: ClassVar[bool] = False


@dataclass(frozen=True)
class EfficientVitBackbone(Backbone):
    """EfficientViT, with outputs at 1/8, 1/16 and 1/32 (Cai et al., ICCV 2023).

    Attributes:
        widths: channels of stem and four stages.
        depths: blocks of stem and four stages.
        fused_channels: channels to which the scales are projected and added.
        fused_blocks: inverted residuals after that; the middle of the head in the publication.
    """

    widths: tuple[int, int, int, int, int]
    depths: tuple[int, int, int, int, int]
    fused_channels: int
    fused_blocks: int

    family: ClassVar[str] = "EfficientViT"
    size_multiple: ClassVar[int] = 32
    trains_in_float16: ClassVar[bool] = False

    @property
    def out_channels(self) -> int:
        """Channels C of the last stage."""
        return self.widths[-1]

    def __str__(self) -> str:
        """Return the name for messages."""
        return f"{self.family} of widths {', '.join(map(str, self.widths))}"
