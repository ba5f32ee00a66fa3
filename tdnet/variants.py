"""The networks that users choose by name: one frozen description each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from tdnet.backbones import (
    Activation,
    Backbone,
    BisenetBackbone,
    EfficientVitBackbone,
    FanetBackbone,
    ResNetBackbone,
)
from tdnet.errors import InputError, UnknownNameError

DEFAULT_VARIANT = "td4-evit-b0"
NATIVE_SIZE = (769, 1537)
DEFAULT_CLASSES = 19
"""Number of classes if none is given: the train ids of Cityscapes."""
# Limits of an input size.
MIN_SIDE = 33
MAX_SIDE = 8193
# Twice the pixels of the images that the networks were designed for. The memory of the attention
# grows with the square of the pixels: at this limit 2 GiB in float32 with a memory stride of 4, as
# in td4-psp18, and 8 GiB with one of 2, as in td4-evit-b0.
MAX_PIXELS = 4 << 20
POSITION_CHANNELS = 8
"""Channels that `tdnet.network.encoding.PositionChannels` appends to queries and keys."""
FANET_SIZE = (768, 1536)
NANO_SIZE = (257, 513)
EVIT_SIZE = (256, 512)

__all__ = [
    "ADOPTED",
    "DEFAULT_CLASSES",
    "DEFAULT_VARIANT",
    "MAX_PIXELS",
    "MAX_SIDE",
    "MIN_SIDE",
    "VARIANTS",
    "Backbone",
    "BisenetBackbone",
    "EfficientVitBackbone",
    "FanetBackbone",
    "HeadStyle",
    "ResNetBackbone",
    "Variant",
    "feature_size",
    "get_variant",
    "list_variants",
]


_CHANNELS = ("key_channels", "value_channels", "head_channels")


@dataclass(frozen=True)
class HeadStyle:
    """Style of a head: convolution, norm, activation, dropout, 1x1 convolution.

    Attributes:
        kernel_size: odd side of the kernel of the first convolution.
        activation: the activation after the norm.
        dropout: share of the channels dropped in training.
        bias: whether the last convolution has one.
    """

    kernel_size: int = 3
    activation: Activation = "relu"
    dropout: float = 0.1
    bias: bool = True


@dataclass(frozen=True)
class Variant:
    """Description of a network.

    Attributes:
        name: name as users type it.
        backbone: feature extractor of each path; its class selects the pyramid: pyramid
            pooling, fast attention or feature fusion.
        description: one line for listings.
        paths: N, the number of sub-networks; 1 is a single-frame network without memory.
        pyramid_groups: G, number of channel groups of a pyramid pooling; a path keeps one.
        key_channels: channels of queries and keys.
        value_channels: D, channels of values.
        head_channels: channels between the two convolutions of the head.
        memory_stride: s, rows and columns between the positions that the memory stores.
        sample_before_projection: whether training samples positions before it projects them
            to query, key and value, so that batch statistics are those of the samples.
        input_size: native height and width of the network input.
        memory_frames: past frames that a frame attends to, 0 to N - 1; None: N - 1, as published.
        head: form of the heads.
        shared_paths: whether all paths share their weights; they differ in their turn only.
        join: how the past is joined to a frame's values: ``norm``: added, then a layer norm over
            the positions, as published; ``gate``: added with weights from the frame's values.
        attention_reach: standard deviation, in positions of the features, of the Gaussian by
            which attention prefers near positions; 0: no preference, as published.
        align_corners: whether the corners of logits and image are aligned where logits are
            resized, as published, or pixels have their centres at half numbers.
    """

    name: str
    backbone: Backbone
    description: str
    paths: int = 1
    pyramid_groups: int = 1
    key_channels: int = 64
    value_channels: int = 512
    head_channels: int = 128
    memory_stride: int = 4
    sample_before_projection: bool = True
    input_size: tuple[int, int] = NATIVE_SIZE
    memory_frames: int | None = None
    head: HeadStyle = HeadStyle()
    shared_paths: bool = False
    join: Literal["norm", "gate"] = "norm"
    attention_reach: float = 0.0
    align_corners: bool = True

    def __post_init__(self) -> None:
        """Check the fields that would make the network fail.

        Raises:
            InputError: with the name of the field.
        """
        for name in ("paths", *_CHANNELS, "memory_stride", "pyramid_groups"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; allowed are numbers from 1")
        if not self.backbone.has_groups and self.pyramid_groups > 1:
            raise InputError(
                f"pyramid_groups is {self.pyramid_groups}; allowed is 1, {self.backbone} has no "
                "pyramid pooling to divide"
            )
        if self.backbone.out_channels // 4 % self.pyramid_groups:
            raise InputError(
                f"pyramid_groups is {self.pyramid_groups}; allowed are numbers that divide "
                f"{self.backbone.out_channels // 4}, the channels of each grid of the pyramid"
            )
        if self.shared_paths and self.pyramid_groups > 1:
            raise InputError(
                f"pyramid_groups is {self.pyramid_groups}; allowed is 1 with shared_paths, whose "
                "paths keep the same group"
            )
        if not 0 <= self.attention_reach < math.inf:
            raise InputError(
                f"attention_reach is {self.attention_reach}; allowed are finite numbers from 0"
            )
        if not 0 <= self.memory_capacity < self.paths:
            raise InputError(
                f"memory_frames is {self.memory_frames}; allowed are 0 to {self.paths - 1} with "
                f"{self.paths} paths"
            )

    @property
    def memory_capacity(self) -> int:
        """Frames that the temporal memory of one stream holds; N - 1 in the paper."""
        return self.paths - 1 if self.memory_frames is None else self.memory_frames

    @property
    def sub_networks(self) -> int:
        """Number of paths with weights of their own."""
        return 1 if self.shared_paths else self.paths

    @property
    def token_channels(self) -> int:
        """Channels of a query or key: content, and position if attention has a reach."""
        return self.key_channels + (POSITION_CHANNELS if self.attention_reach else 0)

    @property
    def clip_frames(self) -> int:
        """Frames of a training clip: the labelled frame and the past frames before it."""
        return self.memory_capacity + 1

    def fitting_size(self, size: tuple[int, int] | None) -> tuple[int, int]:
        """Return the nearest input size that the backbone takes; None: the native one.

        A size that no network takes is returned as it is. `size_note` says what was changed.
        """
        if size is None:
            return self.input_size
        multiple = self.backbone.size_multiple
        if multiple == 1 or not all(MIN_SIDE <= side <= MAX_SIDE for side in size):
            return size
        least = -(-MIN_SIDE // multiple)
        height, width = (max(least, round(side / multiple)) * multiple for side in size)
        return height, width

    def size_note(self, size: tuple[int, int] | None) -> str:
        """Return what `fitting_size` changes, a line; empty: nothing."""
        fitting = self.fitting_size(size)
        if size in (None, fitting):
            return ""
        return (
            "input size {} x {}: {} takes multiples of {}, so frames are resized to {} x {}"
        ).format(*size, self.name, self.backbone.size_multiple, *fitting)

    def limited_memory(self, frames: int | None) -> Variant:
        """Return the network with at most `frames` past frames; None: this network."""
        if frames is None or frames >= self.memory_capacity:
            return self
        return replace(self, memory_frames=frames)


def feature_size(input_size: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of the feature maps, at stride 8, for a network input size."""
    height, width = input_size
    return -(-height // 8), -(-width // 8)


ADOPTED = Variant(
    name="adopted",
    backbone=ResNetBackbone(18),  # not used: the network is a graph
    description="single-frame network of another project, adopted from an ONNX graph",
    align_corners=False,
)
"""Description of the networks that `tdnet adopt` writes. Users do not choose it by name."""

FANET_HEAD = HeadStyle(activation="leaky_relu", dropout=0.0, bias=False)
EVIT_B0 = EfficientVitBackbone((8, 16, 32, 64, 128), (1, 2, 2, 2, 2), 32, 1)
EVIT_B1 = EfficientVitBackbone((16, 32, 64, 128, 256), (1, 2, 3, 3, 4), 64, 3)
EVIT_HEAD = HeadStyle(kernel_size=1, activation="hardswish", dropout=0.0)
_TD4_EVIT_B0 = Variant(
    name="td4-evit-b0",
    backbone=EVIT_B0,
    description="four EfficientViT-B0 paths, with attention that prefers near places",
    paths=4,
    key_channels=16,
    value_channels=32,
    head_channels=128,
    memory_stride=2,
    input_size=EVIT_SIZE,
    head=EVIT_HEAD,
    shared_paths=True,
    join="gate",
    attention_reach=2.0,
    align_corners=False,
)

VARIANTS: tuple[Variant, ...] = (
    _TD4_EVIT_B0,
    replace(_TD4_EVIT_B0, name="td2-evit-b0", description="two EfficientViT-B0 paths", paths=2),
    replace(
        _TD4_EVIT_B0,
        name="td2-evit-b1",
        backbone=EVIT_B1,
        description="two EfficientViT-B1 paths",
        paths=2,
        value_channels=64,
        head_channels=256,
    ),
    Variant(
        name="td4-psp18",
        backbone=ResNetBackbone(18),
        description="four PSPNet-18 paths; the faster of the paper's PSP networks",
        paths=4,
        pyramid_groups=2,
    ),
    Variant(
        name="td2-psp50",
        backbone=ResNetBackbone(50),
        description="two PSPNet-50 paths; the accuracy of a single-frame PSPNet-101",
        paths=2,
        pyramid_groups=2,
        head_channels=256,
        sample_before_projection=False,
    ),
    Variant(
        name="td2-fa18",
        backbone=FanetBackbone(18),
        description="two FANet-18 paths",
        paths=2,
        value_channels=256,
        head_channels=256,
        memory_stride=3,
        sample_before_projection=False,
        input_size=FANET_SIZE,
        head=FANET_HEAD,
    ),
    Variant(
        name="td4-bise18",
        backbone=BisenetBackbone(18),
        description="four BiSeNet-18 paths; the fastest of the paper's networks",
        paths=4,
        value_channels=256,
        head_channels=64,
    ),
    Variant(
        name="td4-psp34",
        backbone=ResNetBackbone(34),
        description="four PSPNet-34 paths",
        paths=4,
        pyramid_groups=2,
    ),
    Variant(
        name="td4-psp18-nano",
        backbone=ResNetBackbone(18, width=16),
        description="td4-psp18 at a quarter of the width, with attention that prefers near places",
        paths=4,
        key_channels=16,
        value_channels=64,
        head_channels=32,
        memory_stride=2,
        input_size=NANO_SIZE,
        attention_reach=2.0,
    ),
    Variant(
        name="psp18",
        backbone=ResNetBackbone(18),
        description="single-frame PSPNet-18",
        head_channels=128,
    ),
    Variant(
        name="psp34",
        backbone=ResNetBackbone(34),
        description="single-frame PSPNet-34",
        head_channels=128,
    ),
    Variant(
        name="psp50",
        backbone=ResNetBackbone(50),
        description="single-frame PSPNet-50",
        head_channels=512,
    ),
    Variant(
        name="psp101",
        backbone=ResNetBackbone(101),
        description="single-frame PSPNet-101, the teacher",
        head_channels=512,
    ),
    Variant(
        name="fa18",
        backbone=FanetBackbone(18),
        description="single-frame FANet-18",
        head_channels=256,
        input_size=FANET_SIZE,
        head=FANET_HEAD,
    ),
    Variant(
        name="bise18",
        backbone=BisenetBackbone(18),
        description="single-frame BiSeNet-18",
        head_channels=64,
    ),
    Variant(
        name="evit-b0",
        backbone=EVIT_B0,
        description="single-frame EfficientViT-B0",
        head_channels=128,
        input_size=EVIT_SIZE,
        head=EVIT_HEAD,
        align_corners=False,
    ),
    Variant(
        name="evit-b1",
        backbone=EVIT_B1,
        description="single-frame EfficientViT-B1",
        head_channels=256,
        input_size=EVIT_SIZE,
        head=EVIT_HEAD,
        align_corners=False,
    ),
    Variant(
        name="psp18-nano",
        backbone=ResNetBackbone(18, width=16),
        description="single-frame PSPNet-18 at a quarter of the width",
        head_channels=32,
        input_size=NANO_SIZE,
    ),
    Variant(
        name="psp18-half",
        backbone=ResNetBackbone(18, width=32),
        description="single-frame PSPNet-18 at half the width, the teacher of the nano networks",
        head_channels=64,
        input_size=NANO_SIZE,
    ),
)


def list_variants() -> list[str]:
    """Return the names of all variants, the most important first."""
    return [variant.name for variant in VARIANTS]


def get_variant(name: str) -> Variant:
    """Return the variant of that name.

    Raises:
        UnknownNameError: no variant has that name; with the valid names.
    """
    for variant in VARIANTS:
        if variant.name == name:
            return variant
    raise UnknownNameError("variant", name, list_variants())
