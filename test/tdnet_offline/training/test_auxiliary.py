"""Auxiliary heads have the official shapes and names, and are no burden to inference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.reference_fill import REFERENCE

from tdnet import create_model, describe_weights, load_weights, save_weights
from tdnet.checkpoints.checkpoint import Checkpoint
from tdnet.errors import WeightsError
from tdnet.network import SegmentationNetwork
from tdnet_offline.training.auxiliary import (
    auxiliary_heads,
    load_auxiliary_heads,
    official_auxiliary_state,
)

SIZE = (33, 65)


def network_of(variant: str = "td4-psp18-nano", seed: int = 0) -> SegmentationNetwork:
    torch.manual_seed(seed)
    return create_model(variant, input_size=SIZE)


@pytest.mark.parametrize("variant", ["td4-psp18", "td2-psp50"])
def test_names_and_shapes_are_the_published_ones(variant: str) -> None:
    keys = json.loads((REFERENCE / f"{variant}.training.keys.json").read_text())
    published = {name: tuple(shape) for name, shape in keys if name.startswith("auxlayer")}
    with torch.device("meta"):
        state = official_auxiliary_state(auxiliary_heads(create_model(variant)))
    assert {name: tuple(item.shape) for name, item in state.items()} == published


@pytest.mark.parametrize(("variant", "count"), [("td4-psp18-nano", 4), ("psp18-nano", 1)])
def test_heads_classify_the_third_layer(variant: str, count: int) -> None:
    network = network_of(variant)
    heads = auxiliary_heads(network)
    assert len(heads) == count
    first = network.paths[0] if count > 1 else network
    layer3 = first.backbone(torch.zeros(2, 3, *SIZE)).layer3
    assert heads[0](layer3).shape == (2, 19, 5, 9)


def test_heads_start_as_the_specification_says() -> None:
    for head in auxiliary_heads(network_of("psp18-half")):
        for weight, bias in (
            (head.conv.conv.weight, head.conv.conv.bias),
            (head.classifier.weight, head.classifier.bias),
        ):
            fan_in = weight[0].numel()
            error = 5 / (2 * weight.numel()) ** 0.5
            assert float(weight.detach().std()) * fan_in**0.5 == pytest.approx(1, abs=error)
            assert bias is None or not bool(bias.any())


def test_heads_travel_with_the_weights_which_load_without_them(tmp_path: Path) -> None:
    network, path = network_of(seed=1), tmp_path / "a.safetensors"
    heads = auxiliary_heads(network)
    save_weights(network, path, unused=official_auxiliary_state(heads))
    other = network_of(seed=2)
    info = load_weights(other, path)
    assert describe_weights(path).variant == "td4-psp18-nano"
    assert {name.split(".")[0] for name in info.ignored} == {f"auxlayer{p}" for p in range(1, 5)}
    again = auxiliary_heads(other)
    assert load_auxiliary_heads(again, Checkpoint.open(path).tensors)
    for name, item in again.state_dict().items():
        assert torch.equal(item, heads.state_dict()[name]), name


def test_a_checkpoint_without_them_changes_nothing() -> None:
    network = network_of()
    heads = auxiliary_heads(network)
    tensors = official_auxiliary_state(auxiliary_heads(network))
    del tensors["auxlayer4.conv5.4.bias"]
    before = {name: item.clone() for name, item in heads.state_dict().items()}
    assert not load_auxiliary_heads(heads, tensors)
    for name, item in heads.state_dict().items():
        assert torch.equal(item, before[name]), name


def test_heads_of_another_network_are_refused() -> None:
    eleven = create_model("td4-psp18-nano", num_classes=11, input_size=SIZE)
    tensors = official_auxiliary_state(auxiliary_heads(eleven))
    with pytest.raises(WeightsError, match=r"auxlayer1\.conv5\.4\.weight is \(11, 16, 1, 1\)"):
        load_auxiliary_heads(auxiliary_heads(network_of()), tensors)
