"""Layers that all networks share, and the head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from tdnet.backbones import Activation
from tdnet.variants import HeadStyle

NORM_EPS = 1e-5
LEAKY_SLOPE = 0.01
BINS = (1, 2, 3, 6)
"""Rows and columns of the grids of pyramid pooling."""


def initialise(part: nn.Module) -> None:
    """Initialise the convolutions and linear layers of a part outside the backbones.

    Weights are normal with standard deviation 1 / sqrt(fan_in), biases zero (specification,
    "Training"). PyTorch's default has 0.577 of that deviation. With it, attention is nearly
    uniform and adds one constant per channel; the spatial norm removes that constant, so the
    attention never learns.
    """
    for module in part.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=fan_in**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class SkipInitialisation(TorchFunctionMode):
    """Context that leaves the weights of new networks undefined, for those that are loaded next.

    Random numbers take most of the time in which a network is created.
    """

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        return func(*args, **kwargs)


class Foldable(nn.Module, ABC):
    """A layer with another form for inference that computes the same up to rounding."""

    @abstractmethod
    def fold(self) -> None:
        """Change to the form for inference; the layer cannot be trained afterwards."""


class ConvNorm(Foldable):
    """Convolution, batch norm and activation.

    For inference, :meth:`fold` moves the norm into the convolution, exact up to rounding.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd side of the kernel.
        stride: stride of the convolution.
        dilation: dilation of the convolution.
        groups: groups of channels of the convolution; as many as channels: depthwise.
        padding: zeros around the input; None: keep the size at stride 1.
        bias: whether the convolution has a bias in addition to the norm's.
        norm: whether there is a norm; the convolution has a bias instead if not.
        activation: module after the norm; None: identity.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padding: int | None = None,
        bias: bool = False,
        norm: bool = True,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size // 2) if padding is None else padding,
            dilation=dilation,
            groups=groups,
            bias=bias or not norm,
        )
        self.bn: nn.Module = nn.BatchNorm2d(out_channels, eps=NORM_EPS) if norm else nn.Identity()
        self.activation = activation or nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H', W'); a residual is added before the activation."""
        y = self.bn(self.conv(x))
        return self.activation(y if residual is None else y + residual)

    def fold(self) -> None:
        """Move the norm into the convolution; for inference only."""
        if not isinstance(self.bn, nn.BatchNorm2d):
            return
        norm = self.bn
        weight, bias = fuse_conv_bn_weights(
            self.conv.weight,
            self.conv.bias,
            norm.get_buffer("running_mean"),
            norm.get_buffer("running_var"),
            norm.eps,
            norm.weight,
            norm.bias,
        )
        self.conv.weight, self.conv.bias = weight, bias
        self.bn = nn.Identity()


class SpatialLayerNorm(nn.Module):
    """Layer norm over the two spatial axes, for each channel separately.

    Weight and bias have one value for each position, so they fit one feature size only
    (specification, "Output").

    Args:
        size: height and width of the feature maps.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, h, w) in the number format of the weights; float32 in inference."""
        wide = x.to(self.weight.dtype)
        shape = self.weight.shape
        return nn.functional.layer_norm(wide, shape, self.weight, self.bias, NORM_EPS).to(x.dtype)


class PyramidPooling(nn.Module):
    """Average-pool to four grids, project, resize back, keep one group of the channels.

    All G groups together are PSPNet's pyramid; a TDNet path keeps one (specification, "Pyramid
    pooling"; paper, section 3.1).

    Args:
        channels: C, channels of the input.
        groups: G, number of channel groups.
        group: group to keep, 0 to G - 1.
    """

    def __init__(self, channels: int, groups: int = 1, group: int = 0) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            ConvNorm(channels, channels // 4, activation=nn.ReLU(inplace=True)) for _ in BINS
        )
        self.kept = _slice(channels, groups, group)
        self.kept_pooled = _slice(channels // 4, groups, group)
        self.in_channels = channels
        self.out_channels = 2 * channels // groups

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, 2 * C / G, h, w): the group of x, then of the four grids."""
        size = (x.shape[2], x.shape[3])
        parts = [x[:, self.kept]]
        for bins, branch in zip(BINS, self.branches, strict=True):
            pooled = branch(nn.functional.adaptive_avg_pool2d(x, bins))
            parts.append(resize(pooled[:, self.kept_pooled], size))
        return torch.cat(parts, dim=1)


def _slice(channels: int, groups: int, group: int) -> slice:
    width = channels // groups
    return slice(group * width, (group + 1) * width)


class Head(nn.Module):
    """Convolution, norm, activation, dropout of channels, 1x1 convolution to the classes.

    Args:
        channels: channels of the features.
        hidden_channels: channels between the convolutions.
        num_classes: K, channels of the logits.
        style: kernel, activation, dropout and bias.
    """

    def __init__(
        self, channels: int, hidden_channels: int, num_classes: int, style: HeadStyle
    ) -> None:
        super().__init__()
        self.conv = ConvNorm(
            channels,
            hidden_channels,
            style.kernel_size,
            activation=activation(style.activation),
        )
        self.dropout = nn.Dropout2d(style.dropout)
        self.classifier = nn.Conv2d(hidden_channels, num_classes, 1, bias=style.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to logits (B, K, h, w)."""
        return self.classifier(self.dropout(self.conv(x)))


def activation(name: Activation) -> nn.Module:
    """Create an activation that works in place."""
    if name == "leaky_relu":
        return nn.LeakyReLU(LEAKY_SLOPE, inplace=True)
    return nn.ReLU(inplace=True) if name == "relu" else nn.Hardswish(inplace=True)


def resize(x: Tensor, size: tuple[int, int], *, align_corners: bool = True) -> Tensor:
    """Resize (B, C, h, w) to (B, C, *size): bilinear, with aligned corners as in the paper."""
    return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def tokens(x: Tensor) -> Tensor:
    """Return a map (B, C, h, w) as tokens (B, h * w, C), one for each position."""
    return x.flatten(2).transpose(1, 2)
