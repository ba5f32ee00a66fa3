"""The head: features to class logits, at feature size."""

from __future__ import annotations

from torch import Tensor, nn

from tdnet.network.layers import ConvNorm, activation
from tdnet.variants import HeadStyle


class Head(nn.Module):
    """3x3 convolution, norm, activation, dropout of channels, 1x1 convolution to the classes.

    Args:
        channels: channels of the features.
        hidden_channels: channels between the convolutions.
        num_classes: K.
        style: activation, dropout and bias.
    """

    def __init__(
        self, channels: int, hidden_channels: int, num_classes: int, style: HeadStyle
    ) -> None:
        super().__init__()
        self.conv = ConvNorm(
            channels, hidden_channels, 3, activation=activation(leaky=style.leaky)
        )
        self.dropout = nn.Dropout2d(style.dropout)
        self.classifier = nn.Conv2d(hidden_channels, num_classes, 1, bias=style.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to logits (B, K, h, w)."""
        return self.classifier(self.dropout(self.conv(x)))
