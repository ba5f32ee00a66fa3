"""Checkpoints of every layout load; all others raise one clear error and execute nothing."""

from __future__ import annotations

import logging
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support.reference_fill import REFERENCE

from tdnet import ClassMap, SegmenterSettings, StreamingSegmenter, create_model
from tdnet.checkpoints.checkpoint import Checkpoint
from tdnet.checkpoints.official_layout import is_unused, official_names
from tdnet.checkpoints.weights import describe_weights, load_weights, save_weights
from tdnet.errors import WeightsError
from tdnet.network import SegmentationNetwork
from tdnet.variants import Variant, get_variant

NANO = "td4-psp18-nano"
SIZE = (65, 129)
State = dict[str, torch.Tensor]


def small_model(
    name: str | Variant = NANO, seed: int = 0, **options: object
) -> SegmentationNetwork:
    torch.manual_seed(seed)
    return create_model(name, **{"input_size": SIZE, **options})  # type: ignore[arg-type]


def official_state(model: SegmentationNetwork) -> State:
    """Return the state dict with the names and shapes of the published code."""
    state = model.state_dict()
    names = official_names(model.variant, state)
    renamed = {}
    for name, item in state.items():
        linear = "projection.weight" in name
        renamed[names[name]] = item[:, :, None, None] if linear else item
    return renamed


def assert_same(model: SegmentationNetwork, other: SegmentationNetwork) -> None:
    expected = other.state_dict()
    for name, item in model.state_dict().items():
        assert torch.equal(item, expected[name]), name


@pytest.fixture(scope="module")
def source() -> SegmentationNetwork:
    return small_model(seed=1)


@pytest.mark.parametrize("name", ["td4-psp18", "td2-psp50", "psp101", "td2-fa18"])
def test_every_entry_has_its_official_name(name: str) -> None:
    import json

    published = dict(json.loads((REFERENCE / f"{name}.keys.json").read_text()))
    with torch.device("meta"):
        model = create_model(name)
    ours = {key: list(item.shape) for key, item in official_state(model).items()}
    assert ours == {key: shape for key, shape in published.items() if not is_unused(key)}


def _with_training_entries(state: State) -> dict[str, object]:
    extra = {
        "pretrained1.fc.weight": torch.zeros(1000, 128),
        "auxlayer1.conv5.0.weight": torch.zeros(4, 4, 3, 3),
    }
    return {
        "epoch": 3,
        "best_iou": np.float64(0.76),
        "model_state": {f"module.{key}": item for key, item in {**state, **extra}.items()},
    }


@pytest.mark.parametrize(
    ("wrap", "written"),
    [
        (dict, "safetensors"),
        (dict, "pytorch"),
        (lambda state: {f"module.{key}": item for key, item in state.items()}, "safetensors"),
        (lambda state: {**state, "pretrained2.fc.bias": torch.zeros(1000)}, "safetensors"),
        (
            lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
            "safetensors",
        ),
        (_with_training_entries, "pytorch"),
    ],
    ids=["bare", "bare, pickled", "module", "classifier", "without counters", "training"],
)
def test_official_layouts_load(
    wrap: Callable[[State], Any], written: str, source: SegmentationNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint"
    (torch.save if written == "pytorch" else save_file)(wrap(official_state(source)), path)
    model = small_model()
    checkpoint = Checkpoint.open(path)
    info = load_weights(model, checkpoint)
    assert_same(model, source)
    assert (info.layout, info.format, info.variant) == ("official", written, NANO)
    described = describe_weights(checkpoint)
    assert (described.variant, described.layout) == (NANO, "official")
    assert (described.num_classes, described.input_size) == (19, SIZE)
    assert described.ignored == info.ignored


def test_saved_weights_bring_along_what_they_are_for(tmp_path: Path) -> None:
    model = small_model(seed=2, num_classes=11)
    path = tmp_path / "folder" / "model.safetensors"
    save_weights(model, path, class_map=ClassMap.load("camvid"), extra={"commit": "abc"})
    again = small_model(num_classes=11)
    info = load_weights(again, path)
    assert_same(again, model)
    assert (info.variant, info.num_classes, info.input_size) == (NANO, 11, SIZE)
    assert info.class_map == ClassMap.load("camvid")
    assert info.metadata is not None
    assert info.metadata["commit"] == "abc"
    assert info.num_parameters == sum(item.numel() for item in model.state_dict().values())
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    assert describe_weights(path).variant == NANO


def test_another_input_size_resizes_the_norms_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = small_model(seed=3)
    for path in source.paths:  # type: ignore[union-attr]
        ramp = torch.linspace(0, 1, 17)
        path.norm.weight.data = ramp.expand(9, 17).clone()
    save_weights(source, tmp_path / "a.safetensors")
    model = small_model(input_size=(129, 257))
    with caplog.at_level(logging.WARNING, "tdnet"):
        load_weights(model, tmp_path / "a.safetensors")
    (record,) = caplog.records
    assert "resized from 9 x 17 to 17 x 33" in record.message
    weight = model.state_dict()["paths.0.norm.weight"]
    torch.testing.assert_close(weight, torch.linspace(0, 1, 33).expand(17, 33))


def test_scores_written_by_another_numpy_are_read(tmp_path: Path) -> None:
    """NumPy 2 renamed the module; "training" above has the score of the installed NumPy."""
    source = small_model(seed=6)
    here = np.float64(0).__reduce__()[0].__module__
    (there,) = {"numpy.core.multiarray", "numpy._core.multiarray"} - {here}
    written, file = tmp_path / "written.pth", tmp_path / "file.pth"
    torch.save({"model_state": official_state(source), "best_iou": np.float64(0.7)}, written)
    with zipfile.ZipFile(written) as before, zipfile.ZipFile(file, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if name.endswith("data.pkl"):
                assert here.encode() in data
                data = data.replace(here.encode(), there.encode())
            after.writestr(name, data)
    model = small_model()
    load_weights(model, file)
    assert_same(model, source)


def test_tensors_without_plain_numbers_are_refused(tmp_path: Path) -> None:
    state = small_model().state_dict()
    state["paths.0.norm.bias"] = torch.eye(3).to_sparse()
    torch.save(state, tmp_path / "sparse.pth")
    with pytest.raises(
        WeightsError, match=r"sparse.pth: paths\.0\.norm\.bias is sparse, quantised"
    ):
        load_weights(small_model(), tmp_path / "sparse.pth")


def with_entry(name: str, item: torch.Tensor, path: Path) -> Path:
    save_file({**small_model().state_dict(), name: item}, path)
    return path


@pytest.mark.parametrize(
    "dtype",
    [torch.int8, torch.int64, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64],
    ids=str,
)
@pytest.mark.parametrize("name", ["paths.0.norm.bias", "paths.2.head.classifier.weight"])
def test_weights_that_are_no_floats_are_refused(
    dtype: torch.dtype, name: str, tmp_path: Path
) -> None:
    """Integers cannot hold weights: a network of zeros labels all pixels alike."""
    item = small_model().state_dict()[name].to(dtype)
    path = with_entry(name, item, tmp_path / "odd.safetensors")
    holds = re.escape(f"{path}: {name} holds {str(dtype).removeprefix('torch.')}; allowed are")
    for read in (describe_weights, lambda path: load_weights(small_model(), path)):
        with pytest.raises(WeightsError, match=holds):
            read(path)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_floats_of_any_usual_size_load(dtype: torch.dtype, tmp_path: Path) -> None:
    state = small_model(seed=3).state_dict()
    path = tmp_path / "odd.safetensors"
    save_file({k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}, path)
    model = small_model()
    load_weights(model, path)
    for name, item in model.state_dict().items():
        torch.testing.assert_close(item, state[name], rtol=0.01, atol=0.01)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (9,), ()], ids=str)
def test_norms_without_numbers_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = with_entry("paths.0.norm.bias", torch.zeros(shape), tmp_path / "odd.safetensors")
    assert describe_weights(path).variant is None
    difference = re.escape(f"paths.0.norm.bias is {shape}, not (9, 17)")
    with pytest.raises(WeightsError, match=difference):
        load_weights(small_model(), path)


def test_only_classifiers_may_have_another_number_of_channels(tmp_path: Path) -> None:
    name = "paths.0.head.classifier.weight"
    for odd in ((), (19,), (19, 5, 1, 1), (19, 32, 3, 3)):
        path = with_entry(name, torch.zeros(odd), tmp_path / "odd.safetensors")
        assert describe_weights(path).variant is None
        with pytest.raises(WeightsError, match=re.escape(f"{name} is {odd}, not (19, 32, 1, 1)")):
            load_weights(small_model(), path)


def test_weights_out_of_the_range_of_the_precision_are_refused(tmp_path: Path) -> None:
    model = small_model()
    model.state_dict()["paths.1.head.classifier.bias"][3] = 1e6
    StreamingSegmenter(model, device="cpu", precision="bfloat16")
    with pytest.raises(WeightsError, match=r"paths\.1\.head\.classifier\.bias is not finite"):
        StreamingSegmenter(model, device="cpu", precision="float16")


class Malicious:
    """An object whose unpickling creates a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("written", ["archive", "legacy", "pickle"])
def test_a_pickle_is_never_executed(written: str, tmp_path: Path) -> None:
    trap, file = tmp_path / "trap", tmp_path / "evil.pth"
    content = {"model_state": Malicious(trap)}
    if written == "pickle":
        file.write_bytes(pickle.dumps(content, 2))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=written == "archive")
    with pytest.raises(WeightsError) as caught:
        describe_weights(file)
    assert re.search(r"evil\.pth: refused, since it holds \w+\.mkdir,", str(caught.value))
    assert "add_safe_globals" not in str(caught.value)
    assert not trap.exists()


def test_another_variant_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "single.safetensors"
    save_weights(small_model("psp18-nano"), path)
    with pytest.raises(WeightsError) as caught:
        load_weights(small_model(), path)
    message = str(caught.value)
    assert "missing paths.0.backbone" in message
    assert "more" in message
    assert "it fits variant 'psp18-nano'" in message


@pytest.mark.usefixtures("exports_here")
@pytest.mark.parametrize(("frames", "runtime"), [(0, "auto"), (1, "torch"), (2, "torch")])
def test_networks_of_fewer_memory_frames_are_known_by_their_header(
    frames: int, runtime: str, tmp_path: Path
) -> None:
    source = small_model(get_variant(NANO).limited_memory(frames), seed=8)
    path = tmp_path / "few.safetensors"
    save_weights(source, path)
    info = describe_weights(path)
    assert (info.variant, info.num_classes, info.memory_frames) == (NANO, 19, frames)
    segmenter = SegmenterSettings(
        weights=str(path), device="cpu", precision="float32", runtime=runtime
    ).build()
    theirs = StreamingSegmenter(source, device="cpu", precision="float32")
    for seed in range(4):
        image = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)
        one, other = segmenter.step(image), theirs.step(image)
        assert np.array_equal(one.labels, other.labels)
    assert one.memory_frames == frames
    with pytest.raises(WeightsError, match=f"uses {frames} memory frames, the model 3: .*recipe"):
        load_weights(small_model(), path)


def test_a_network_of_fewer_memory_frames_than_the_file_says_so(tmp_path: Path) -> None:
    save_weights(small_model(), tmp_path / "all.safetensors")
    with pytest.raises(WeightsError, match="uses 3 memory frames, the model 1: "):
        load_weights(
            small_model(get_variant(NANO).limited_memory(1)), tmp_path / "all.safetensors"
        )


@pytest.mark.parametrize("text", ["4", "-1", "one", "1.0", ""])
def test_impossible_memory_frames_in_the_header_are_refused(text: str, tmp_path: Path) -> None:
    state = small_model().state_dict()
    save_file(state, tmp_path / "a.safetensors", metadata={"memory_frames": text})
    with pytest.raises(WeightsError, match=r"says memory_frames '.*'; allowed are 0 to 3"):
        describe_weights(tmp_path / "a.safetensors")


def test_another_class_count_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "eleven.safetensors"
    save_weights(small_model(num_classes=11), path)
    with pytest.raises(WeightsError) as caught:
        load_weights(small_model(), path)
    message = str(caught.value)
    assert "has 11 classes, the model 19" in message
    assert "create_model(num_classes=11)" in message


def test_a_failed_load_changes_nothing(tmp_path: Path) -> None:
    state = small_model(seed=4).state_dict()
    state["paths.3.head.classifier.bias"][0] = float("nan")
    save_file(state, tmp_path / "nan.safetensors")
    model, twin = small_model(seed=5), small_model(seed=5)
    with pytest.raises(WeightsError, match=r"paths\.3\.head\.classifier\.bias holds NaN"):
        load_weights(model, tmp_path / "nan.safetensors")
    assert_same(model, twin)


def test_a_lying_header_is_refused(tmp_path: Path) -> None:
    state = small_model().state_dict()
    save_file(state, tmp_path / "a.safetensors", metadata={"input_size": "large"})
    with pytest.raises(WeightsError, match="input_size 'large'"):
        describe_weights(tmp_path / "a.safetensors")


def test_the_header_can_be_read_without_the_project(tmp_path: Path) -> None:
    save_weights(small_model(), tmp_path / "a.safetensors", class_map=ClassMap.load("cityscapes"))
    with safe_open(tmp_path / "a.safetensors", framework="np") as file:
        header = file.metadata()
    assert header["variant"] == NANO
    assert header["input_size"] == "65 129"
    assert header["num_classes"] == "19"
    assert "sidewalk" in header["class_map"]


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="cannot be written"):
        save_weights(small_model(), tmp_path / "file" / "a.safetensors")
