"""Backbones of ImageNet, and paths that start from a single-frame network."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.reference_fill import REFERENCE

from tdnet import create_model, save_weights
from tdnet.errors import WeightsError
from tdnet.network import SegmentationNetwork, SingleFrameNetwork, TDNet
from tdnet.variants import ResNetBackbone, Variant, get_variant
from tdnet_offline.training.initialisation import (
    load_backbones,
    load_single_frame,
    start_paths,
)

SIZE = (33, 65)
State = dict[str, torch.Tensor]


def frames(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


def backbones(network: SegmentationNetwork) -> list[torch.nn.Module]:
    parts = network.paths if isinstance(network, TDNet) else [network]
    return [part.backbone for part in parts]


def imagenet_state(keys: str, prefix: str, seed: int = 5) -> State:
    """Random numbers under the names and shapes of a published backbone, classifier included."""
    entries = dict(json.loads((REFERENCE / f"{keys}.keys.json").read_text()))
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, shape in entries.items():
        if not name.startswith(prefix):
            continue
        item = torch.rand(shape, generator=generator) * 0.1
        state[name.removeprefix(prefix)] = (
            item if shape else torch.zeros((), dtype=torch.int64)
        ) + (0.5 if "var" in name else 0)
    return state


@pytest.fixture(scope="module")
def resnet18() -> State:
    """The entries of torchvision's resnet18: the published checkpoints name theirs like it."""
    state = imagenet_state("td4-psp18", "pretrained1.")
    assert {"conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight", "fc.weight"} <= set(
        state
    )
    return state


class TestImageNet:
    def test_every_path_starts_from_torchvisions_resnet(
        self, resnet18: State, tmp_path: Path
    ) -> None:
        torch.save(resnet18, tmp_path / "resnet18.pth")
        network = create_model("td4-psp18", input_size=SIZE)
        assert load_backbones(network, tmp_path / "resnet18.pth") == []
        for backbone in backbones(network):
            assert torch.equal(backbone.stem[0].conv.weight, resnet18["conv1.weight"])
            assert torch.equal(backbone.stem[0].bn.bias, resnet18["bn1.bias"])
            last = backbone.layer4[1].conv2
            assert torch.equal(last.conv.weight, resnet18["layer4.1.conv2.weight"])
            assert torch.equal(last.bn.running_var, resnet18["layer4.1.bn2.running_var"])
            shortcut = backbone.layer2[0].downsample
            assert torch.equal(shortcut.conv.weight, resnet18["layer2.0.downsample.0.weight"])

    def test_a_first_layer_that_halves_keeps_its_shortcut(
        self, resnet18: State, tmp_path: Path
    ) -> None:
        save_file(resnet18, tmp_path / "resnet18.safetensors")
        network = create_model("td2-fa18", input_size=SIZE)
        before = network.paths[0].backbone.layer1[0].downsample.conv.weight.clone()
        (note,) = load_backbones(network, tmp_path / "resnet18.safetensors")
        assert note.endswith("no shortcut convolution; that one keeps its random numbers")
        for backbone in backbones(network):
            assert torch.equal(backbone.stem[0].conv.weight, resnet18["conv1.weight"])
            shortcut = backbone.layer2[0].downsample
            assert torch.equal(shortcut.conv.weight, resnet18["layer2.0.downsample.0.weight"])
        after = network.paths[0].backbone.layer1[0].downsample.conv.weight
        assert torch.equal(after, before)

    def test_the_context_path_is_a_resnet_and_the_spatial_path_is_none(
        self, resnet18: State, tmp_path: Path
    ) -> None:
        save_file(resnet18, tmp_path / "resnet18.safetensors")
        network = create_model("bise18", input_size=SIZE)
        before = network.backbone.spatial[0].conv.weight.clone()
        (note,) = load_backbones(network, tmp_path / "resnet18.safetensors")
        assert note.endswith("has no spatial path; that one keeps its random numbers")
        context = network.backbone.context
        assert torch.equal(context.stem[0].conv.weight, resnet18["conv1.weight"])
        weight = resnet18["layer4.1.conv2.weight"]
        assert torch.equal(context.layer4[1].conv2.conv.weight, weight)
        assert torch.equal(network.backbone.spatial[0].conv.weight, before)

    @pytest.mark.parametrize("name", ["psp18", "bise18", "td2-fa18"])
    def test_a_deeper_resnet_of_the_same_shapes_is_refused(
        self, name: str, resnet18: State, tmp_path: Path
    ) -> None:
        third = {"layer1.2.conv1.weight": resnet18["layer1.1.conv1.weight"].clone()}
        save_file({**resnet18, **third}, tmp_path / "resnet34.safetensors")
        with pytest.raises(WeightsError, match=r"has layer1\.2, too; give an ImageNet ResNet-18"):
            load_backbones(create_model(name, input_size=SIZE), tmp_path / "resnet34.safetensors")

    def test_old_files_without_counters_load(self, resnet18: State, tmp_path: Path) -> None:
        state = {name: item for name, item in resnet18.items() if "num_batches" not in name}
        save_file(state, tmp_path / "resnet18.safetensors")
        network = create_model("psp18", input_size=SIZE)
        assert load_backbones(network, tmp_path / "resnet18.safetensors") == []
        assert torch.equal(network.backbone.stem[0].conv.weight, state["conv1.weight"])

    def test_a_stem_of_three_convolutions_is_loaded_whole(self, tmp_path: Path) -> None:
        state = imagenet_state("td2-psp50", "pretrained1.")
        save_file(state, tmp_path / "resnet50.safetensors")
        network = create_model("psp50", input_size=SIZE)
        assert load_backbones(network, tmp_path / "resnet50.safetensors") == []
        for layer, name in enumerate(("conv1.0", "conv1.3", "conv1.6")):
            weight = network.backbone.stem[layer].conv.weight
            assert torch.equal(weight, state[f"{name}.weight"])
        assert torch.equal(network.backbone.stem[2].bn.weight, state["bn1.weight"])

    def test_torchvisions_deeper_resnets_load_but_for_their_stem(self, tmp_path: Path) -> None:
        state = imagenet_state("td2-psp50", "pretrained1.")
        state = {name: item for name, item in state.items() if not name.startswith("conv1.")}
        state["conv1.weight"] = torch.rand(64, 3, 7, 7)
        for name in ("weight", "bias", "running_mean", "running_var"):
            state[f"bn1.{name}"] = torch.rand(64)
        state["layer1.0.conv1.weight"] = torch.rand(64, 64, 1, 1)
        state["layer1.0.downsample.0.weight"] = torch.rand(256, 64, 1, 1)
        save_file(state, tmp_path / "resnet50.safetensors")
        network = create_model("psp50", input_size=SIZE)
        before = network.backbone.stem[0].conv.weight.clone()
        (note,) = load_backbones(network, tmp_path / "resnet50.safetensors")
        assert "another stem" in note
        assert torch.equal(network.backbone.stem[0].conv.weight, before)
        first, second = network.backbone.layer1[0], network.backbone.layer1[1]
        assert torch.equal(first.conv2.conv.weight, state["layer1.0.conv2.weight"])
        assert torch.equal(second.conv1.conv.weight, state["layer1.1.conv1.weight"])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"layer3.1.conv2.weight": None}, "layer3.1.conv2.weight is missing"),
            ({"bn1.bias": torch.zeros(32)}, r"bn1.bias is \(32,\), not \(64,\)"),
            ({"bn1.bias": torch.full((64,), float("inf"))}, "holds NaN or infinity"),
        ],
        ids=["missing", "other width", "infinite"],
    )
    def test_what_does_not_fit_changes_nothing(
        self, change: State, message: str, resnet18: State, tmp_path: Path
    ) -> None:
        state = {**resnet18, **change}
        save_file({k: v for k, v in state.items() if v is not None}, tmp_path / "a.safetensors")
        network = create_model("psp18", input_size=SIZE)
        before = network.backbone.stem[0].conv.weight.clone()
        with pytest.raises(WeightsError, match=message):
            load_backbones(network, tmp_path / "a.safetensors")
        assert torch.equal(network.backbone.stem[0].conv.weight, before)

    def test_a_backbone_of_another_width_is_refused_with_the_remedy(
        self, resnet18: State, tmp_path: Path
    ) -> None:
        save_file(resnet18, tmp_path / "resnet18.safetensors")
        network = create_model("psp18-nano", input_size=SIZE)
        with pytest.raises(WeightsError, match="no backbone of psp18-nano: .*of width 16"):
            load_backbones(network, tmp_path / "resnet18.safetensors")


@pytest.fixture(scope="module")
def single() -> SingleFrameNetwork:
    torch.manual_seed(6)
    network = create_model("psp18-nano", num_classes=5, input_size=SIZE)
    assert isinstance(network, SingleFrameNetwork)
    return network


def new_paths(**changes: object) -> TDNet:
    torch.manual_seed(7)
    variant = dataclasses.replace(get_variant("td4-psp18-nano"), **changes)
    network = create_model(variant, num_classes=5, input_size=SIZE)
    assert isinstance(network, TDNet)
    return network


GROUPED = {"pyramid_groups": 2, "value_channels": 128}
"""As in the published td4-psp18: two groups, and values of as many channels as features."""


class TestPaths:
    def test_together_two_neighbouring_paths_are_the_single_frame_network(
        self, single: SingleFrameNetwork
    ) -> None:
        """Each sees half of the pyramid; the halves of the 3x3 convolution add up to the whole."""
        network = new_paths(**GROUPED)
        assert start_paths(network, single) == []
        with torch.no_grad():
            features = single.pyramid(*single.backbone(frames()).scales)
            whole = single.head.conv.conv(features)
            halves = [path.head.conv.conv(path.features(frames())) for path in network.paths]
        for one, other in ((0, 1), (2, 3), (1, 2)):
            torch.testing.assert_close(halves[one] + halves[other], whole, rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("pass_through", [False, True])
    def test_heads_are_copied_whole(self, single: SingleFrameNetwork, pass_through: bool) -> None:
        network = new_paths(**GROUPED)
        start_paths(network, single, pass_through=pass_through)
        given = single.head.state_dict()
        weight = given.pop("conv.conv.weight")
        for index, path in enumerate(network.paths):
            state = path.head.state_dict()
            half = state.pop("conv.conv.weight")
            # Half of the 128 channels of x, then half of the 32 of each of the four grids.
            first = index % 2
            kept = [*range(64 * first, 64 * first + 64)]
            for grid in range(4):
                start = 128 + 32 * grid + 16 * first
                kept += range(start, start + 16)
            assert torch.equal(half, weight[:, kept])
            assert state.keys() == given.keys()
            assert all(torch.equal(item, given[name]) for name, item in state.items())

    def test_the_rest_keeps_its_random_numbers(self, single: SingleFrameNetwork) -> None:
        network, twin = new_paths(**GROUPED), new_paths(**GROUPED)
        start_paths(network, single)
        for path, other in zip(network.paths, twin.paths, strict=True):
            for mine, theirs in (
                (path.encoding, other.encoding),
                (path.propagation, other.propagation),
                (path.norm, other.norm),
            ):
                for item, own in zip(mine.parameters(), theirs.parameters(), strict=True):
                    assert torch.equal(item, own)

    def test_passed_through_features_are_classified_as_in_the_single_frame_network(
        self, single: SingleFrameNetwork
    ) -> None:
        network = new_paths(**GROUPED)
        assert start_paths(network, single, pass_through=True) == []
        with torch.no_grad():
            for path in network.paths:
                features = path.features(frames())
                torch.testing.assert_close(path.encoding.value(features), features)
                half = path.head.conv.conv(features)
                expected = single.head.classifier(torch.relu(single.head.conv.bn(half)))
                torch.testing.assert_close(path.head(features), expected)

    def test_fewer_values_are_what_the_head_needs_of_the_features(self) -> None:
        """A 3x3 convolution to 4 channels needs at most 36 combinations of the 256 features."""
        torch.manual_seed(6)
        variant = dataclasses.replace(get_variant("psp18-nano"), head_channels=4)
        single = create_model(variant, num_classes=5, input_size=SIZE)
        network = new_paths(head_channels=4, value_channels=40)
        assert isinstance(single, SingleFrameNetwork)
        start_paths(network, single, pass_through=True)
        with torch.no_grad():
            for path in network.paths:
                features = path.features(frames())
                torch.testing.assert_close(
                    path.head.conv.conv(path.encoding.value(features)),
                    single.head.conv.conv(features),
                    rtol=1e-3,
                    atol=1e-4,
                )

    def test_the_past_passes_through_attention(self, single: SingleFrameNetwork) -> None:
        network = new_paths()
        start_paths(network, single, pass_through=True)
        for path in network.paths:
            for step in path.propagation.steps:
                assert torch.equal(step.projection.weight, torch.eye(64) / 3)

    @pytest.mark.parametrize(("name", "of"), [("td2-fa18", "fa18"), ("td4-bise18", "bise18")])
    def test_paths_of_other_families_start_from_theirs(self, name: str, of: str) -> None:
        """They have no groups: each path becomes the whole single-frame network."""

        def narrow(name: str) -> Variant:
            variant = get_variant(name)
            backbone = dataclasses.replace(variant.backbone, width=8)
            return dataclasses.replace(
                variant, backbone=backbone, value_channels=32, head_channels=16
            )

        torch.manual_seed(8)
        start = create_model(narrow(of), num_classes=5, input_size=SIZE)
        network = create_model(narrow(name), num_classes=5, input_size=SIZE)
        assert isinstance(start, SingleFrameNetwork)
        assert isinstance(network, TDNet)
        assert start_paths(network, start, pass_through=True) == []
        with torch.no_grad():
            for path in network.paths:
                value = path.encoding.value(path.features(frames()))
                torch.testing.assert_close(path.head(value), start(frames()))

    def test_what_has_another_shape_is_said_once(self, single: SingleFrameNetwork) -> None:
        network = new_paths(value_channels=64, head_channels=16)
        notes = start_paths(network, single, pass_through=True, frames=frames())
        assert notes == ["heads keep their random numbers: psp18-nano has another shape"]
        path = network.paths[3]
        assert torch.equal(path.backbone.stem[0].conv.weight, single.backbone.stem[0].conv.weight)

    def test_another_backbone_is_refused(self, single: SingleFrameNetwork) -> None:
        network = new_paths(backbone=ResNetBackbone(18, width=32))
        with pytest.raises(WeightsError, match="width 16, not dilated ResNet-18 of width 32"):
            start_paths(network, single)


class TestOurBackbones:
    @pytest.mark.parametrize("memory_frames", [3, 0])
    def test_every_backbone_starts_from_the_first_of_the_file(
        self, memory_frames: int, tmp_path: Path
    ) -> None:
        donor = new_paths(memory_frames=memory_frames)
        save_weights(donor, tmp_path / "a.safetensors")
        torch.manual_seed(9)
        network = create_model("td4-psp18-nano", num_classes=3, input_size=(41, 65))
        assert load_backbones(network, tmp_path / "a.safetensors") == []
        given = backbones(donor)[0].state_dict()
        for backbone in backbones(network):
            state = backbone.state_dict()
            assert all(torch.equal(state[name], item) for name, item in given.items())

    def test_another_width_is_refused(self, tmp_path: Path) -> None:
        save_weights(new_paths(), tmp_path / "a.safetensors")
        with pytest.raises(WeightsError, match="its backbone is not .* width 32"):
            load_backbones(create_model("psp18-half", input_size=SIZE), tmp_path / "a.safetensors")

    def test_files_of_imagenet_are_read_as_before(self, resnet18: State, tmp_path: Path) -> None:
        save_file(resnet18, tmp_path / "resnet18.safetensors")
        network = create_model("psp18", input_size=SIZE)
        assert load_backbones(network, tmp_path / "resnet18.safetensors") == []
        assert torch.equal(network.backbone.stem[0].conv.weight, resnet18["conv1.weight"])


class TestSingleFrame:
    def test_the_file_says_what_it_is(self, single: SingleFrameNetwork, tmp_path: Path) -> None:
        save_weights(single, tmp_path / "a.safetensors")
        loaded = load_single_frame(tmp_path / "a.safetensors")
        assert (loaded.variant.name, loaded.num_classes) == ("psp18-nano", 5)
        with torch.no_grad():
            assert torch.equal(loaded(frames()), single(frames()))

    def test_other_networks_are_refused(self, tmp_path: Path) -> None:
        save_weights(new_paths(), tmp_path / "a.safetensors")
        with pytest.raises(WeightsError, match="holds td4-psp18-nano; give the weights of a sin"):
            load_single_frame(tmp_path / "a.safetensors")
        save_file({"a": torch.zeros(3)}, tmp_path / "b.safetensors")
        with pytest.raises(WeightsError, match="holds no known network"):
            load_single_frame(tmp_path / "b.safetensors")
