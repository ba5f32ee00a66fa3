"""Convolution, bias, residual and activation on a CPU in one call of oneDNN.

Bias, residual and activation are applied while a result is in the processor's registers, and the
weights are stored in the order in which the instructions read them. PyTorch's own modules pass
over every map once more for each of them, and reorder the weights for every frame.

The operations are those that torch.compile generates for the CPU (`torch.ops.mkldnn`). They are
tested at load; if they are missing, the modules are kept.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from tdnet.errors import first_line

_TRIAL_ERROR = {torch.float32: 1e-4}
_ROUGH_TRIAL_ERROR = 0.1


class FusedConvolution(nn.Module):
    """Convolution, bias, residual and activation in one operation, float32 or bfloat16.

    Args:
        conv: convolution of one group.
        activation: ReLU, leaky ReLU or identity.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        super().__init__()
        self._geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), 1)
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(
            conv.weight.detach(), *self._geometry
        )
        self._bias = None if conv.bias is None else conv.bias.detach()
        self._activation, self._scalars = _attribute(activation)

    @staticmethod
    def exists_for(conv: nn.Conv2d, activation: nn.Module | None = None) -> bool:
        """Return whether a convolution can be fused, with an activation if one is given."""
        known = activation is None or isinstance(activation, nn.Identity | nn.ReLU | nn.LeakyReLU)
        return conv.groups == 1 and known

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H', W'); a residual is added before the activation.

        Raises:
            RuntimeError: a residual before a leaky ReLU, which oneDNN lacks.
        """
        if residual is None:
            return torch.ops.mkldnn._convolution_pointwise(
                x, self._weight, self._bias, *self._geometry, self._activation, self._scalars, ""
            )
        return torch.ops.mkldnn._convolution_pointwise(
            x,
            residual,
            self._weight,
            self._bias,
            *self._geometry,
            "add",
            1.0,
            None if self._activation == "none" else self._activation,
            self._scalars,
            None,
        )


@cache
@torch.inference_mode()
def why_not_fused(dtype: torch.dtype) -> str | None:
    """Return why convolutions cannot be fused here; None if a trial computed correctly."""
    if dtype == torch.float16:
        return (
            "precision is float16, whose overflow oneDNN's ReLU would hide; on a CPU auto, "
            "float32 and bfloat16 are faster"
        )
    generator = torch.Generator().manual_seed(0)
    conv = nn.utils.skip_init(nn.Conv2d, 16, 16, 3, padding=2, dilation=2)
    for parameter in conv.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) / 12)
    conv.to(dtype)
    x = torch.randn(1, 16, 7, 9, generator=generator).to(dtype, memory_format=torch.channels_last)
    try:
        plain = conv(x).float()
        for activation, residual in (
            (nn.Identity(), None),
            (nn.ReLU(), None),
            (nn.LeakyReLU(0.01), None),
            (nn.Identity(), x),
            (nn.ReLU(), x),
        ):
            result = FusedConvolution(conv, activation)(x, residual).float()
            expected = activation(plain if residual is None else plain + residual.float())
            error = float((result - expected).abs().max())
            if not error <= _TRIAL_ERROR.get(dtype, _ROUGH_TRIAL_ERROR):
                return f"oneDNN's fused convolution in {dtype} is off by {error:.1g}"
    except (AttributeError, RuntimeError, TypeError) as error:
        return first_line(error)
    return None


def _attribute(activation: nn.Module) -> tuple[str, list[float]]:
    """Return oneDNN's name of an activation, and its parameters."""
    if isinstance(activation, nn.LeakyReLU):
        return "leaky_relu", [activation.negative_slope]
    if isinstance(activation, nn.ReLU):
        return "relu", []
    if isinstance(activation, nn.Identity):
        return "none", []
    raise TypeError(f"no fused form of {activation}")
