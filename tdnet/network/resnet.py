"""The ResNet of every network; dilated in PSPNet (specification, "Backbone")."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from tdnet.backbones import BLOCKS, Activation, ResNetBackbone
from tdnet.network.layers import ConvNorm, activation


class BackboneFeatures(NamedTuple):
    """Outputs of a backbone.

    Attributes:
        layer3: (B, channels, H', W'), for the auxiliary head; at stride 8 in a dilated ResNet.
        scales: inputs of the pyramid, (B, channels, H', W') each, coarsest last.
    """

    layer3: Tensor
    scales: tuple[Tensor, ...]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the second one has the dilation of the layer."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int,
        dilation: int,
        layer_dilation: int,
        inner: Activation,
    ) -> None:
        super().__init__()
        self.conv1 = ConvNorm(
            in_channels,
            width,
            3,
            stride=stride,
            dilation=dilation,
            activation=activation(inner),
        )
        self.conv2 = ConvNorm(
            width, width, 3, dilation=layer_dilation, activation=nn.ReLU(inplace=True)
        )
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, width, H / stride, W / stride)."""
        return self.conv2(self.conv1(x), self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; the 3x3 has the dilation of the block."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int,
        dilation: int,
        layer_dilation: int,
        inner: Activation,
    ) -> None:
        super().__init__()
        del layer_dilation  # used by the second 3x3 convolution of a BasicBlock
        out_channels = width * self.expansion
        self.conv1 = ConvNorm(in_channels, width, activation=activation(inner))
        self.conv2 = ConvNorm(
            width,
            width,
            3,
            stride=stride,
            dilation=dilation,
            activation=activation(inner),
        )
        self.conv3 = ConvNorm(width, out_channels, activation=nn.ReLU(inplace=True))
        self.downsample = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, 4 * width, H / stride, W / stride)."""
        return self.conv3(self.conv2(self.conv1(x)), self.downsample(x))


class ResNet(nn.Module):
    """ResNet without a classifier.

    Args:
        spec: depth, width, strides and dilations.
    """

    def __init__(self, spec: ResNetBackbone) -> None:
        super().__init__()
        block = BasicBlock if spec.depth < 50 else Bottleneck
        width = spec.width

        def stem(channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> ConvNorm:
            act = activation(spec.activation)
            return ConvNorm(channels, out_channels, kernel_size, stride=stride, activation=act)

        if spec.depth < 50:
            self.stem = nn.Sequential(stem(3, width, 7, 2))
            channels = width
        else:
            self.stem = nn.Sequential(
                stem(3, width, 3, 2), stem(width, width, 3), stem(width, 2 * width, 3)
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
                            stride=spec.strides[index] if i == 0 else 1,
                            dilation=_block_dilation(spec, index, i),
                            layer_dilation=spec.dilations[index],
                            inner=spec.activation,
                        )
                        for i in range(blocks)
                    )
                )
            )
            channels = layer_width * block.expansion
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.out_channels = channels
        self._scales = spec.scales

    def forward(self, x: Tensor) -> BackboneFeatures:
        """Map normalised frames (B, 3, H, W); a dilated ResNet to ceil(H / 8) x ceil(W / 8)."""
        x = self.pool(self.stem(x))
        kept = {}
        for number, layer in enumerate((self.layer1, self.layer2, self.layer3, self.layer4), 1):
            x = layer(x)
            if number == 3 or number in self._scales:
                kept[number] = x
        return BackboneFeatures(kept[3], tuple(kept[number] for number in self._scales))


def _block_dilation(spec: ResNetBackbone, layer: int, block: int) -> int:
    """Return the dilation of the first (or only) 3x3 of a block; layers count from 0."""
    if layer == 3 and spec.multi_grid:
        return spec.multi_grid[block]
    return spec.dilations[layer] if layer != 2 or block > 0 else 1


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return ConvNorm(in_channels, out_channels, stride=stride)
