"""What the plain formulations of all families are made of; official state dicts name it so."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.01

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_MULTI_GRID = (4, 8, 16)


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
    """A convolution named ``conv`` and the norm ``bn`` behind it, then an activation."""

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
        dilated: whether layer3 and layer4 are, with the multi-grid.
        slope: below zero, of the activations before the residual sums; 0 is a ReLU.
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
