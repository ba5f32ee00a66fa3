"""Feature extractors: a backbone, and the pyramid that joins its scales."""

from __future__ import annotations

from tdnet.backbones import (
    Backbone,
    BisenetBackbone,
    EfficientVitBackbone,
    FanetBackbone,
    ResNetBackbone,
)
from tdnet.network.bisenet import FusionPyramid, TwoPaths
from tdnet.network.efficientvit import EfficientVit, ScaleFusion
from tdnet.network.fast_attention import FastAttentionPyramid
from tdnet.network.layers import PyramidPooling
from tdnet.network.resnet import ResNet

Pyramid = PyramidPooling | FastAttentionPyramid | FusionPyramid | ScaleFusion


def create_extractor(
    backbone: Backbone, size: tuple[int, int], groups: int = 1, group: int = 0
) -> tuple[ResNet | TwoPaths | EfficientVit, Pyramid]:
    """Create backbone and pyramid; the class of the description selects them.

    The backbone maps frames (B, 3, H, W) to `BackboneFeatures`, the pyramid their scales to
    features (B, C, h, w) at stride 8.

    Args:
        backbone: description of the backbone.
        size: (h, w) of the features.
        groups: G, number of channel groups of a pyramid pooling.
        group: group to keep, 0 to G - 1.
    """
    match backbone:
        case FanetBackbone():
            return ResNet(backbone), FastAttentionPyramid(backbone, size)
        case BisenetBackbone():
            return TwoPaths(backbone), FusionPyramid(backbone)
        case EfficientVitBackbone():
            return EfficientVit(backbone), ScaleFusion(backbone)
        case ResNetBackbone():  # last: others derive from it
            return ResNet(backbone), PyramidPooling(backbone.out_channels, groups, group)
    raise TypeError(f"no extractor for {type(backbone).__name__}")
