"""EfficientViT's attention, its checkpoints, and paths of it under TDNet's memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.extras import exporting_package
from support.frames import drive
from support.reference_fill import fill, official_state
from support.variant_suite import few_channels
from torch import Tensor

from tdnet import (
    SegmenterSettings,
    create_model,
    describe_weights,
    load_weights,
    save_weights,
)
from tdnet.errors import InputError, WeightsError
from tdnet.network import SingleFrameNetwork, TDNet
from tdnet.network.efficientvit import LinearAttention
from tdnet.variants import get_variant
from tdnet_offline.benchmark.weights import random_network
from tdnet_offline.training.initialisation import load_backbones, start_paths

SIZE = (64, 96)
PATHS = ["td2-evit-b0", "td4-evit-b0"]


def by_pairs(block: LinearAttention, x: Tensor) -> Tensor:
    """The formula with the attention of each pair of positions, head by head, in float64."""
    qkv = block.qkv(x)
    maps = torch.cat([qkv, block.aggregate(qkv)], dim=1)[0].flatten(1).double()
    results = []
    for head in maps.split(48):
        query, key, value = head.split(16)
        weights = query.relu().T @ key.relu()
        results.append(value @ (weights / (weights.sum(dim=1, keepdim=True) + 1e-15)).T)
    joined = torch.cat(results).reshape(1, -1, *x.shape[2:])
    result: Tensor = block.project(joined.float())
    return result


@torch.no_grad()
def test_every_position_asks_every_other() -> None:
    torch.manual_seed(0)
    block, x = LinearAttention(32).eval(), torch.randn(1, 32, 5, 7)
    torch.testing.assert_close(block(x), by_pairs(block, x), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_queries_of_zero_give_zero_in_graphs_too(tmp_path: Path) -> None:
    """Where no key is alike, the sum of the weights is zero."""
    exporting_package("onnxscript")
    runtime = exporting_package("onnxruntime")
    block, x = LinearAttention(16).eval(), torch.rand(1, 16, 4, 4)
    block.qkv.weight[:16] = -1  # ReLU makes such queries zero
    expected = block(x)
    assert bool(torch.isfinite(expected).all())
    file = tmp_path / "block.onnx"
    torch.onnx.export(block, (x,), file, dynamo=True, opset_version=18, verbose=False)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_attention_stays_in_float32_under_autocast() -> None:
    """Sums over 10,000 positions: bfloat16 would round counts above 256."""
    torch.manual_seed(0)
    block, x = LinearAttention(16).eval(), torch.randn(1, 16, 100, 100)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = block(x)
    expected = block(x)
    assert float((rounded - expected).abs().max()) < 0.02 * float(expected.abs().max())


def single() -> SingleFrameNetwork:
    model = create_model("evit-b0", input_size=SIZE)
    state = {name: item.shape for name, item in model.state_dict().items()}
    model.load_state_dict(fill(state))
    assert isinstance(model, SingleFrameNetwork)
    return model


def started(name: str) -> TDNet:
    torch.manual_seed(0)
    network = create_model(name, input_size=SIZE)
    assert isinstance(network, TDNet)
    assert start_paths(network, single(), pass_through=True) == []
    return network


def frames(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(1, 3, *SIZE, generator=generator) for _ in range(count)]


@torch.no_grad()
@pytest.mark.parametrize("name", PATHS)
def test_untrained_paths_segment_like_the_single_frame_network(name: str) -> None:
    """Before the memory is full exactly, with one image for ever much alike."""
    network, expected = started(name), single()
    memory = network.new_memory()
    image = frames(1)[0]
    logits = [network.step(image, memory) for _ in range(network.variant.paths + 1)]
    alone = expected(image)
    for early in logits[: network.variant.memory_capacity]:
        assert torch.equal(early, alone)
    assert (logits[-1].argmax(1) == alone.argmax(1)).float().mean() > 0.9
    assert not torch.equal(logits[-1], alone)


@torch.no_grad()
def test_a_closed_gate_keeps_the_past_out() -> None:
    network, expected = started("td4-evit-b0"), single()
    for step in network.paths[0].propagation.steps:
        assert step.gate is not None
        step.gate.weight.zero_()
        step.gate.bias.fill_(-1e4)
    memory = network.new_memory()
    for frame in frames(6):
        torch.testing.assert_close(network.step(frame, memory), expected(frame))


@torch.no_grad()
def test_the_past_is_added_through_the_gate() -> None:
    """td2: f = v + sigmoid(G v + c - 1) W softmax(q k^T / sqrt(d)) v', written out."""
    network = started("td2-evit-b0")
    path, stride = network.paths[0], network.memory_stride
    before, now = frames(2)
    memory = network.new_memory()
    network.step(before, memory)
    streamed = network.step(now, memory)

    past, features = path.features(before)[:, :, ::stride, ::stride], path.features(now)
    key = path.encoding.keys(past, stride).flatten(2)[0]
    query = path.encoding.queries(features).flatten(2)[0].T
    value = path.encoding.value(features).flatten(2)[0].T
    (step,) = path.propagation.steps
    assert step.gate is not None
    found = (query @ key).softmax(dim=1) @ path.encoding.value(past).flatten(2)[0].T
    found = found @ step.projection.weight.T
    joined = value + torch.sigmoid(step.gate(value) - 1) * found
    expected = path.head(joined.T.reshape(1, -1, *network.feature_size))
    torch.testing.assert_close(streamed, expected, rtol=1e-4, atol=1e-4)


def test_paths_share_one_sub_network() -> None:
    network = started("td4-evit-b0")
    assert len(network.paths) == 1
    assert all(network.path(index) is network.paths[0] for index in range(4))
    parameters = sum(item.numel() for item in network.parameters())
    assert parameters < 1.05 * sum(item.numel() for item in single().parameters())


@pytest.mark.parametrize(
    ("given", "used"), [((257, 513), (256, 512)), ((360, 480), (352, 480)), ((40, 70), (64, 64))]
)
def test_sides_become_multiples_of_32(given: tuple[int, int], used: tuple[int, int]) -> None:
    model = create_model("evit-b0", 2, given)
    assert model.input_size == used
    text = "input size {} x {}: evit-b0 takes multiples of 32, so frames are resized to {} x {}"
    assert model.variant.size_note(given) == text.format(*given, *used)
    assert model.variant.size_note(used) == ""


@pytest.mark.usefixtures("exports_here")
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_a_rounded_size_is_said_once_a_start(
    runtime: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With ONNX Runtime also if the export is cached."""
    if runtime == "onnxruntime":
        for package in ("onnxscript", "onnxruntime"):
            exporting_package(package)
    save_weights(single(), tmp_path / "w.safetensors")
    for _ in range(2):
        caplog.clear()
        segmenter = SegmenterSettings(
            weights=str(tmp_path / "w.safetensors"),
            device="cpu",
            input_size=(70, 100),
            runtime=runtime,
        ).build()
        assert segmenter.input_size == (64, 96)
        assert [r.getMessage()[:21] for r in caplog.records if r.levelname == "WARNING"] == [
            "input size 70 x 100: "
        ]


@pytest.mark.usefixtures("exports_here")
def test_paths_that_share_their_weights_share_a_graph(tmp_path: Path) -> None:
    """From the weights file on, with the frames of a camera: as PyTorch, frame by frame."""
    for package in ("onnxscript", "onnxruntime"):
        exporting_package(package)
    save_weights(started("td4-evit-b0"), tmp_path / "w.safetensors")
    given: dict[str, Any] = {"weights": str(tmp_path / "w.safetensors"), "device": "cpu"}
    exact = {**given, "precision": "float32"}
    ours = SegmenterSettings(**exact, runtime="onnxruntime", provider="cpu").build()
    plain = SegmenterSettings(**exact, runtime="torch").build()
    assert ours.variant.name == plain.variant.name == "td4-evit-b0"
    for image in drive(7, 72, 96):
        one, other = ours.step(image), plain.step(image)
        assert (one.path, one.memory_frames) == (other.path, other.memory_frames)
        assert (one.labels == other.labels).mean() >= 0.999


def test_a_size_that_no_network_takes_is_refused() -> None:
    with pytest.raises(InputError, match="input size 16 x 512; allowed are sides of 33"):
        create_model("evit-b0", 2, (16, 512))


@pytest.mark.parametrize(("name", "wrapped"), [("evit-b0", False), ("evit-b1", True)])
def test_public_checkpoints_are_recognised(name: str, wrapped: bool, tmp_path: Path) -> None:
    path, state = tmp_path / f"{name}.pt", official_state(name)
    torch.save({"state_dict": state} if wrapped else state, path)
    info = describe_weights(path)
    assert (info.variant, info.num_classes, info.ignored) == (name, 19, ())


@pytest.mark.parametrize(
    ("stem", "family"), [(24, "EfficientViT B2"), (32, "EfficientViT B3"), (20, "a stem of 20")]
)
def test_another_size_is_named(stem: int, family: str, tmp_path: Path) -> None:
    state = dict(official_state("evit-b0"))
    state["backbone.input_stem.op_list.0.conv.weight"] = torch.zeros(stem, 3, 3, 3)
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=f"holds .*{family}.*evit-b0 and evit-b1 are"):
        load_weights(create_model("evit-b0"), tmp_path / "other.safetensors")


def test_a_classification_network_starts_a_backbone_only(tmp_path: Path) -> None:
    state = official_state("evit-b0")
    backbone = {name: item for name, item in state.items() if name.startswith("backbone.")}
    save_file(backbone, tmp_path / "imagenet.safetensors")
    network = create_model("td4-evit-b0")
    with pytest.raises(WeightsError, match="EfficientViT B0, no segmentation network"):
        load_weights(network, tmp_path / "imagenet.safetensors")
    assert load_backbones(network, tmp_path / "imagenet.safetensors") == []
    assert isinstance(network, TDNet)
    stem = network.paths[0].backbone.state_dict()["stem.0.conv.weight"]
    assert torch.equal(stem, state["backbone.input_stem.op_list.0.conv.weight"])


def test_a_backbone_of_another_family_is_refused(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.safetensors")
    with pytest.raises(WeightsError, match="holds no EfficientViT of widths 8, 16, 32, 64, 128"):
        load_backbones(create_model("evit-b0"), tmp_path / "resnet.safetensors")


def test_paths_of_another_width_are_refused() -> None:
    network = create_model("td2-evit-b1", input_size=SIZE)
    assert isinstance(network, TDNet)
    with pytest.raises(WeightsError, match="evit-b0 cannot start td2-evit-b1"):
        start_paths(network, single(), pass_through=True)
    assert get_variant("td2-evit-b1").clip_frames == 2


def test_td2_and_td4_with_the_same_memory_are_told_apart_by_the_header(tmp_path: Path) -> None:
    for name in PATHS:
        variant = get_variant(name).limited_memory(1)
        model = create_model(replace(variant, memory_frames=1), input_size=SIZE)
        save_weights(model, tmp_path / name)
        assert describe_weights(tmp_path / name).variant == name


@pytest.mark.parametrize("name", ["evit-b0", "td4-evit-b0"])
def test_networks_without_weights_can_be_measured(name: str) -> None:
    """The benchmark fits random weights to frames."""
    variant = few_channels(get_variant(name))
    frames = np.stack(drive(5, 96, 160))
    assert random_network(variant, SIZE, frames).input_size == SIZE


def test_shared_paths_have_no_groups() -> None:
    with pytest.raises(InputError, match="pyramid_groups is 2; allowed is 1 with shared_paths"):
        replace(get_variant("td4-psp18"), shared_paths=True)
