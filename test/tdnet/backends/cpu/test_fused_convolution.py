from __future__ import annotations

import pytest
import torch
from torch import nn

from tdnet.backends.cpu.fused_convolution import FusedConvolution, why_not_fused

if why_not_fused(torch.float32) is not None:
    pytest.skip(
        "needs oneDNN's fused convolutions: `make test` with a PyTorch built with oneDNN",
        allow_module_level=True,
    )

ACTIVATIONS = {"none": nn.Identity(), "relu": nn.ReLU(), "leaky": nn.LeakyReLU(0.01)}
BROAD = {
    "1x1": (5, 7, 1, 1, 1),
    "stem": (3, 16, 7, 2, 1),
    "strided": (16, 32, 3, 2, 1),
    "dilated": (16, 16, 3, 1, 4),
    "dilated beyond the map": (8, 8, 3, 1, 16),
}


def make(shape: tuple[int, ...], bias: bool = True) -> nn.Conv2d:
    inputs, outputs, kernel, stride, dilation = shape
    torch.manual_seed(0)
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=bias)


def expected(
    conv: nn.Conv2d, x: torch.Tensor, activation: str, residual: torch.Tensor | None
) -> torch.Tensor:
    """Compute the plain formulation in float64."""
    bias = None if conv.bias is None else conv.bias.double()
    geometry = (conv.stride, conv.padding, conv.dilation)
    y = nn.functional.conv2d(x.double(), conv.weight.double(), bias, *geometry)
    y = y if residual is None else y + residual
    return ACTIVATIONS[activation](y)


@pytest.mark.parametrize("shape", BROAD.values(), ids=BROAD)
@pytest.mark.parametrize("residual", [False, True], ids=["alone", "residual"])
@pytest.mark.parametrize("activation", ["none", "relu", "leaky"])
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@torch.inference_mode()
def test_equals_the_plain_formulation(
    shape: tuple[int, ...], residual: bool, activation: str, bias: bool
) -> None:
    conv = make(shape, bias)
    x = torch.randn(1, shape[0], 9, 13).contiguous(memory_format=torch.channels_last)
    other = torch.randn_like(conv(x)) if residual else None
    fused = FusedConvolution(conv, ACTIVATIONS[activation])
    if residual and activation == "leaky":
        with pytest.raises(RuntimeError):
            fused(x, other)
        return
    result = fused(x, other)
    torch.testing.assert_close(
        result.double(), expected(conv, x, activation, other), rtol=1e-4, atol=1e-5
    )
    assert result.is_contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def test_takes_strided_samples_of_a_map() -> None:
    conv = make((8, 4, 1, 1, 1))
    sampled = torch.randn(1, 8, 9, 13).to(memory_format=torch.channels_last)[:, :, ::4, ::4]
    torch.testing.assert_close(
        FusedConvolution(conv, nn.Identity())(sampled).double(),
        expected(conv, sampled, "none", None),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.skipif(
    why_not_fused(torch.bfloat16) is not None,
    reason="needs bfloat16 in oneDNN: `make test` on a processor with AVX-512",
)
@torch.inference_mode()
def test_bfloat16_rounds_the_sum_once() -> None:
    conv = make((16, 16, 3, 1, 2)).bfloat16()
    x = torch.randn(1, 16, 9, 13).to(torch.bfloat16, memory_format=torch.channels_last)
    result = FusedConvolution(conv, nn.ReLU())(x, x)
    torch.testing.assert_close(
        result.double(), expected(conv, x, "relu", x), rtol=2**-7, atol=2**-7
    )


def test_the_trial_leaves_the_random_state() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    why_not_fused.cache_clear()
    assert why_not_fused(torch.float32) is None
    assert torch.equal(torch.get_rng_state(), before)


def test_formats_without_fused_convolutions_are_told() -> None:
    for dtype in (torch.float64, torch.float16):
        reason = why_not_fused(dtype)
        assert reason
        assert "\n" not in reason
