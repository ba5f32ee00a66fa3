"""Networks begin with the weights that a recipe names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from support.training import CLASS_MAP

from tdnet import ClassMap, create_model, load_weights, save_weights
from tdnet.checkpoints.checkpoint import Checkpoint
from tdnet.errors import TdnetError, WeightsError
from tdnet.network import TDNet
from tdnet.variants import get_variant
from tdnet_offline.training.auxiliary import auxiliary_heads, official_auxiliary_state
from tdnet_offline.training.configuration import (
    InitConfig,
    LossConfig,
    NetworkConfig,
    TrainingRecipe,
)
from tdnet_offline.training.learner import Learner, prepare_learner

SIZE = (33, 65)
MAP = ClassMap.from_yaml(CLASS_MAP, "test")
OTHER = ClassMap.from_yaml(
    """
name: other
network: 4
classes:
  - {id: 0, name: sky, color: [70, 130, 180]}
  - {id: 1, name: boat, color: [1, 2, 3]}
  - {id: 2, name: road, color: [128, 64, 128]}
  - {id: 3, name: gull, color: [7, 7, 7]}
""",
    "test",
)

TURNED = ClassMap.from_yaml(
    """
name: turned
network: 3
classes:
  - {id: 0, name: sky, color: [70, 130, 180]}
  - {id: 1, name: road, color: [128, 64, 128]}
  - {id: 2, name: tree, color: [107, 142, 35]}
""",
    "test",
)
FOREIGN = ClassMap.from_yaml(
    CLASS_MAP.replace("tree", "boat").replace("little", "foreign"), "test"
)


def config(
    variant: str = "td4-psp18-nano",
    init: InitConfig | None = None,
    loss: LossConfig | None = None,
    **network: object,
) -> TrainingRecipe:
    return TrainingRecipe(
        network=NetworkConfig(variant=variant, input_size=SIZE, **network),  # type: ignore[arg-type]
        init=init or InitConfig(),
        loss=loss or LossConfig(distillation="none"),
    )


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single-frame network with an auxiliary head."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("single") / "single.safetensors"
    network = create_model("psp18-nano", 3, SIZE)
    heads = official_auxiliary_state(auxiliary_heads(network))
    save_weights(network, path, class_map=MAP, unused=heads)
    return path


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_attention_to_more_memory_frames_is_new_and_random(frames: int, tmp_path: Path) -> None:
    """The attention that there was is still to the newest frames."""
    path = tmp_path / "few.safetensors"
    torch.manual_seed(4)
    variant = get_variant("td4-psp18-nano").limited_memory(frames)
    few = create_model(variant, 3, SIZE, memory_stride=3)
    save_weights(few, path, class_map=MAP)
    learner = prepare_learner(config(init=InitConfig(weights=str(path))), MAP)
    many = learner.network
    missing = 3 - frames
    assert learner.notes == [f"attention to the {missing} oldest frames is new"]
    assert isinstance(many, TDNet)
    assert isinstance(few, TDNet)
    for each in many.paths:
        for step in each.propagation.steps[:missing]:
            # Zeros would leave queries and keys without gradients, and could never learn.
            assert float(step.projection.weight.std()) == pytest.approx(64**-0.5, rel=0.05)
            step.projection.weight.data.zero_()
    clip = torch.randn(1, 4, 3, *SIZE, generator=torch.Generator().manual_seed(5))
    for path_index in range(4):
        with torch.no_grad():
            expected = few.eval().forward_clip(clip[:, missing:], path_index)
            given = many.eval().forward_clip(clip, path_index)
        torch.testing.assert_close(given.full, expected.full)
        torch.testing.assert_close(given.sub, expected.sub)


def test_fewer_memory_frames_than_the_checkpoint_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "all.safetensors"
    save_weights(create_model("td4-psp18-nano", 3, SIZE), path, class_map=MAP)
    with pytest.raises(WeightsError, match="network.memory_frames=3 in a recipe"):
        prepare_learner(config(init=InitConfig(weights=str(path)), memory_frames=1), MAP)


def weights_of(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: item.clone() for name, item in learner.network.state_dict().items()}


def test_the_seed_decides_random_weights() -> None:
    one, two = (weights_of(prepare_learner(config(), MAP)) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    other = weights_of(prepare_learner(dataclasses.replace(config(), seed=1), MAP))
    assert not torch.equal(
        one["paths.0.head.classifier.weight"], other["paths.0.head.classifier.weight"]
    )


def test_paths_and_their_auxiliary_heads_start_from_a_single_frame_network(single: Path) -> None:
    learner = prepare_learner(config(init=InitConfig(single=str(single))), MAP)
    given = create_model("psp18-nano", 3, SIZE)
    load_weights(given, single)
    stem = given.state_dict()["backbone.stem.0.conv.weight"]
    state = learner.network.state_dict()
    assert learner.auxiliary is not None
    for path in range(4):
        assert torch.equal(state[f"paths.{path}.backbone.stem.0.conv.weight"], stem)
        head = official_auxiliary_state(learner.auxiliary)[f"auxlayer{path + 1}.conv5.4.weight"]
        assert torch.equal(head, Checkpoint.open(single).tensors["auxlayer1.conv5.4.weight"])


def test_a_single_frame_network_of_the_same_classes_in_another_order_is_put_into_ours(
    tmp_path: Path,
) -> None:
    torch.manual_seed(2)
    network, path = create_model("psp18-nano", 3, SIZE), tmp_path / "turned.safetensors"
    heads = official_auxiliary_state(auxiliary_heads(network))
    save_weights(network, path, class_map=TURNED, unused=heads)
    init = InitConfig(single=str(path), pass_through=True)
    loss = LossConfig(distillation="full", teacher=str(path))
    learner = prepare_learner(config(init=init, loss=loss), MAP)
    given = network.state_dict()["head.classifier.weight"]
    ours = learner.network.state_dict()["paths.2.head.classifier.weight"]
    assert torch.equal(ours, given[[1, 2, 0]])
    assert learner.auxiliary is not None
    head = official_auxiliary_state(learner.auxiliary)["auxlayer3.conv5.4.bias"]
    assert torch.equal(head, heads["auxlayer1.conv5.4.bias"][[1, 2, 0]])
    frames = torch.randn(1, 3, *SIZE)
    assert learner.teacher is not None
    with torch.no_grad():
        expected = network(frames)[:, [1, 2, 0]]  # type: ignore[operator]
        torch.testing.assert_close(learner.teacher(frames).full, expected, rtol=1e-4, atol=1e-4)
    assert learner.notes == []


def test_channels_of_other_classes_are_never_taken_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    network = create_model("psp18-nano", 3, SIZE)
    heads = official_auxiliary_state(auxiliary_heads(network))
    save_weights(network, path, class_map=FOREIGN, unused=heads)
    init = InitConfig(single=str(path), pass_through=True)
    learner = prepare_learner(config(init=init), MAP)
    assert learner.notes == [
        "classifier keeps its random numbers: psp18-nano has other classes",
        f"auxiliary heads keep their random numbers: {path} has other classes",
    ]
    given = network.state_dict()["head.classifier.weight"]
    ours = learner.network.state_dict()["paths.0.head.classifier.weight"]
    assert not torch.equal(ours, given)
    loss = LossConfig(distillation="full", teacher=str(path))
    with pytest.raises(WeightsError, match="classes of class map 'foreign', .*those of 'little'"):
        prepare_learner(config(loss=loss), MAP)


def test_a_single_frame_network_without_auxiliary_head_is_said(tmp_path: Path) -> None:
    path = tmp_path / "bare.safetensors"
    save_weights(create_model("psp18-nano", 3, SIZE), path, class_map=MAP)
    init = InitConfig(single=str(path), pass_through=True)
    learner = prepare_learner(config(init=init), MAP)
    assert learner.notes == [f"auxiliary heads keep their random numbers: {path} has none"]


def test_a_head_of_another_shape_is_said(single: Path) -> None:
    """Values of 64 channels are no features of 256; with `pass_through` they stand for them."""
    given = Checkpoint.open(single).tensors["head.classifier.weight"]
    for pass_through in (False, True):
        init = InitConfig(single=str(single), pass_through=pass_through)
        learner = prepare_learner(config(init=init), MAP)
        note = "heads keep their random numbers: psp18-nano has another shape"
        assert learner.notes == [note][pass_through:]
        state = learner.network.state_dict()
        assert torch.equal(state["paths.2.head.classifier.weight"], given) is pass_through


def test_backbones_start_from_weights_of_ours(single: Path) -> None:
    learner = prepare_learner(config(init=InitConfig(backbone=str(single))), MAP)
    assert learner.notes == []
    state, given = learner.network.state_dict(), Checkpoint.open(single).tensors
    names = [name for name in given if name.startswith("backbone.")]
    assert len(names) > 100
    for name in names:
        assert all(torch.equal(state[f"paths.{path}.{name}"], given[name]) for path in range(4))


def test_a_checkpoint_of_the_same_classes_is_taken_as_it_is(tmp_path: Path) -> None:
    first = prepare_learner(dataclasses.replace(config(), seed=9), MAP)
    assert first.auxiliary is not None
    path = tmp_path / "first.safetensors"
    heads = official_auxiliary_state(first.auxiliary)
    save_weights(first.network, path, class_map=MAP, unused=heads)
    second = prepare_learner(config(init=InitConfig(weights=str(path))), MAP)
    ours, theirs = weights_of(second), weights_of(first)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert second.auxiliary is not None
    for name, item in official_auxiliary_state(second.auxiliary).items():
        assert torch.equal(item, heads[name])
    assert second.notes == []


def test_classes_of_another_class_map_are_taken_over_by_name(tmp_path: Path) -> None:
    first = prepare_learner(dataclasses.replace(config(), seed=9), OTHER)
    path = tmp_path / "first.safetensors"
    save_weights(first.network, path, class_map=OTHER)
    second = prepare_learner(config(init=InitConfig(weights=str(path))), MAP)
    fresh = weights_of(prepare_learner(config(), MAP))
    ours, theirs = weights_of(second), weights_of(first)
    assert all(torch.equal(ours[n], theirs[n]) for n in theirs if "classifier" not in n)
    for part in ("weight", "bias"):
        name = f"paths.1.head.classifier.{part}"
        assert torch.equal(ours[name][0], theirs[name][2])  # road
        assert torch.equal(ours[name][1], fresh[name][1])  # tree, new
        assert torch.equal(ours[name][2], theirs[name][0])  # sky
    assert second.notes == [
        "classes taken over by name: road, sky; new, with random weights: tree"
    ]


def test_a_checkpoint_without_class_map_and_of_other_classes_gives_all_but_the_classifier(
    tmp_path: Path,
) -> None:
    first = prepare_learner(dataclasses.replace(config(), seed=9), OTHER)
    path = tmp_path / "first.safetensors"
    save_weights(first.network, path)
    second = prepare_learner(config(init=InitConfig(weights=str(path))), MAP)
    assert second.notes == [
        "classes taken over by name: none; new, with random weights: road, tree, sky"
    ]


def test_another_input_size_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    save_weights(create_model("td4-psp18-nano", 4, (65, 65)), path, class_map=OTHER)
    learner = prepare_learner(config(init=InitConfig(weights=str(path))), MAP)
    assert learner.network.input_size == SIZE


def test_shared_paths_are_one_sub_network_with_two_slices() -> None:
    learner = prepare_learner(config("td4-psp18", shared_paths=True), MAP)
    network = learner.network
    assert isinstance(network, TDNet)
    alone = create_model("td4-psp18", 3, SIZE)
    assert isinstance(alone, TDNet)
    count = sum(item.numel() for item in network.parameters())
    assert count == sum(item.numel() for item in alone.paths[0].parameters())
    assert network.paths[0].pyramid.kept != network.paths[1].pyramid.kept
    assert learner.auxiliary is not None
    assert learner.auxiliary[0] is learner.auxiliary[3]
    assert set(network.state_dict()) == set(alone.state_dict())


@pytest.mark.parametrize("memory_frames", [0, 1, 2, 3])
def test_clips_have_the_frames_that_the_memory_holds(memory_frames: int) -> None:
    network = prepare_learner(config(memory_frames=memory_frames), MAP).network
    assert network.variant.clip_frames == memory_frames + 1
    assert isinstance(network, TDNet)
    clip = torch.zeros(1, memory_frames + 1, 3, *SIZE)
    assert network.forward_clip(clip, 1).full.shape == (1, 3, 5, 9)


@pytest.mark.parametrize("variant", ["td4-psp18-nano", "psp18-nano"])
def test_a_teacher_is_a_single_frame_network_of_the_same_classes(
    single: Path, variant: str, tmp_path: Path
) -> None:
    loss = LossConfig(distillation="full", teacher=str(single))
    teacher = prepare_learner(config(variant, loss=loss), MAP).teacher
    assert teacher is not None
    given = create_model("psp18-nano", 3, SIZE)
    load_weights(given, single)
    frames = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(teacher(frames).full, given(frames), rtol=1e-4, atol=1e-4)  # type: ignore[operator]
    with pytest.raises(TdnetError, match="has 3 classes, the network to be taught 4"):
        prepare_learner(config(variant, loss=loss), OTHER)
