"""The dilated ResNet under every PSP network, at stride 8 (specification, "Backbone")."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from tdnet.network.layers import ConvNorm
from tdnet.variants import Backbone

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
STRIDES = (1, 2, 1, 1)
DILATIONS = (1, 1, 2, 4)
MULTI_GRID = (4, 8, 16)


class BackboneFeatures(NamedTuple):
    """Outputs of a backbone, both (B, channels, h, w) at stride 8."""

    layer3: Tensor
    layer4: Tensor


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the second always has the layer's own dilation."""

    expansion = 1

    def __init__(
        self, in_channels: int, width: int, *, stride: int, dilation: int, layer_dilation: int
    ) -> None:
        super().__init__()
        self.conv1 = ConvNorm(
            in_channels,
            width,
            3,
            stride=stride,
            dilation=dilation,
            activation=nn.ReLU(inplace=True),
        )
        self.conv2 = ConvNorm(
            width, width, 3, dilation=layer_dilation, activation=nn.ReLU(inplace=True)
        )
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, width, H / stride, W / stride)."""
        return self.conv2(self.conv1(x), self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; the 3x3 has the block's dilation."""

    expansion = 4

    def __init__(
        self, in_channels: int, width: int, *, stride: int, dilation: int, layer_dilation: int
    ) -> None:
        super().__init__()
        del layer_dilation  # only a BasicBlock has a second 3x3, which takes it
        out_channels = width * self.expansion
        self.conv1 = ConvNorm(in_channels, width, activation=nn.ReLU(inplace=True))
        self.conv2 = ConvNorm(
            width, width, 3, stride=stride, dilation=dilation, activation=nn.ReLU(inplace=True)
        )
        self.conv3 = ConvNorm(width, out_channels, activation=nn.ReLU(inplace=True))
        self.downsample = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, 4 * width, H / stride, W / stride)."""
        return self.conv3(self.conv2(self.conv1(x)), self.downsample(x))


class ResNet(nn.Module):
    """Dilated ResNet-18, -50 or -101 without a classifier.

    Args:
        spec: depth and width.
    """

    def __init__(self, spec: Backbone) -> None:
        super().__init__()
        block = BasicBlock if spec.depth < 50 else Bottleneck
        width = spec.width
        if spec.depth < 50:
            self.stem = nn.Sequential(
                ConvNorm(3, width, 7, stride=2, activation=nn.ReLU(inplace=True))
            )
            channels = width
        else:
            self.stem = nn.Sequential(
                ConvNorm(3, width, 3, stride=2, activation=nn.ReLU(inplace=True)),
                ConvNorm(width, width, 3, activation=nn.ReLU(inplace=True)),
                ConvNorm(width, 2 * width, 3, activation=nn.ReLU(inplace=True)),
            )
            channels = 2 * width
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        layers = []
        for index, blocks in enumerate(BLOCKS[spec.depth]):
            layer_width = width * 2**index
            layers.append(
                nn.Sequential(
                    *(
                        block(
                            channels if i == 0 else layer_width * block.expansion,
                            layer_width,
                            stride=STRIDES[index] if i == 0 else 1,
                            dilation=_block_dilation(index, i),
                            layer_dilation=DILATIONS[index],
                        )
                        for i in range(blocks)
                    )
                )
            )
            channels = layer_width * block.expansion
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.out_channels = channels

    def forward(self, x: Tensor) -> BackboneFeatures:
        """Map a normalised frame (B, 3, H, W) to features at ceil(H / 8) x ceil(W / 8)."""
        layer3 = self.layer3(self.layer2(self.layer1(self.pool(self.stem(x)))))
        return BackboneFeatures(layer3, self.layer4(layer3))


def _block_dilation(layer: int, block: int) -> int:
    """Dilation of the first (or only) 3x3 of a block; layers count from 0."""
    if layer == 3:
        return MULTI_GRID[block]
    return DILATIONS[layer] if layer != 2 or block > 0 else 1


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return ConvNorm(in_channels, out_channels, stride=stride)
