"""Attention prefers near positions by exactly the Gaussian of its reach."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tdnet.network import TDNet, create_model
from tdnet.network.encoding import PositionChannels
from tdnet.variants import feature_size, get_variant

NATIVE = feature_size(get_variant("td4-psp18-nano").input_size)
SIZE = (65, 129)


def expected(size: tuple[int, int], reach: float, stride: int) -> torch.Tensor:
    """-distance^2 / (2 reach^2) from every position to every stride-th row and column."""
    rows, columns = torch.meshgrid(*map(torch.arange, size), indexing="ij")
    places = torch.stack([rows, columns], dim=-1)
    asked = places[::stride, ::stride].reshape(1, -1, 2)
    distance = (places.reshape(-1, 1, 2) - asked).double().square().sum(dim=-1)
    return -distance / (2 * reach**2)


def product(size: tuple[int, int], reach: float, stride: int, dtype: torch.dtype) -> torch.Tensor:
    position = PositionChannels(size, reach)
    nothing = torch.zeros(1, 0, *size, dtype=dtype)
    query = position.on_query(nothing)[0].flatten(1)
    key = position.on_key(nothing[:, :, ::stride, ::stride], stride)[0].flatten(1)
    assert query.dtype == key.dtype == dtype
    # A matrix multiplication of bfloat16 adds in float32.
    return (query.float().T @ key.float()).double()


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("reach", [1.5, 3.0, 7.3])
def test_the_product_is_the_squared_distance(reach: float, stride: int) -> None:
    given = product(NATIVE, reach, stride, torch.float32)
    tolerance = 2e-3 if reach >= 3 else 1e-2  # 2^-16 of terms that grow with 1 / reach^2
    assert float((given - expected(NATIVE, reach, stride)).abs().max()) <= tolerance


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_the_distance_of_near_positions(dtype: torch.dtype) -> None:
    wanted = expected(NATIVE, 3.0, 2)
    near = wanted > -4.5  # three standard deviations
    error = (product(NATIVE, 3.0, 2, dtype) - wanted).abs()
    assert float(error[near].max()) <= 0.05


def test_content_stays_as_it_is() -> None:
    position = PositionChannels((5, 9), 3.0)
    content = torch.randn(2, 4, 5, 9)
    for given in (position.on_query(content), position.on_key(content)):
        assert given.shape == (2, 12, 5, 9)
        assert torch.equal(given[:, :4], content)
        assert torch.equal(given[0, 4:], given[1, 4:])


def nano(**changes: object) -> TDNet:
    torch.manual_seed(3)
    variant = replace(get_variant("td4-psp18-nano"), **changes)  # type: ignore[arg-type]
    network = create_model(variant, num_classes=5, input_size=SIZE)
    assert isinstance(network, TDNet)
    return network.eval()


@torch.no_grad()
def test_attention_prefers_near_positions() -> None:
    """For equal content, weights fall with the distance like the Gaussian."""
    network = nano()
    encoding = network.paths[0].encoding
    same = torch.randn(1, encoding.value.in_channels, 1, 1).expand(-1, -1, *network.feature_size)
    entry = encoding.memory_entry(same, 2)
    query = encoding.queries(same).flatten(2).transpose(1, 2)
    weights = torch.softmax(query @ entry.key.transpose(1, 2), dim=-1)[0]
    wanted = torch.softmax(
        expected(network.feature_size, network.variant.attention_reach, 2), dim=-1
    )
    torch.testing.assert_close(weights.double(), wanted, rtol=0, atol=1e-4)


@torch.no_grad()
def test_without_a_reach_there_are_no_channels_of_positions() -> None:
    network = nano(attention_reach=0.0)
    features = torch.randn(1, network.paths[0].encoding.value.in_channels, *network.feature_size)
    entry = network.paths[0].encoding.memory_entry(features, 2)
    assert entry.query.shape[-1] == entry.key.shape[-1] == 16
    assert nano().paths[0].encoding.memory_entry(features, 2).key.shape[-1] == 24


def test_positions_are_no_weights() -> None:
    assert nano().state_dict().keys() == nano(attention_reach=0.0).state_dict().keys()
