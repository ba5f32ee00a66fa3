"""Parts of a benchmark: plan, frames, weights, and runs that fail."""

from __future__ import annotations

import itertools
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.extras import exporting_package
from support.media import drive, folder_of, write_image

from tdnet import SegmenterSettings, get_variant
from tdnet.errors import DeviceError, InputError, MissingPackageError, UnknownNameError
from tdnet.frames.preprocess import Preprocessor
from tdnet.variants import DEFAULT_VARIANT, ResNetBackbone
from tdnet_offline.benchmark.accuracy import measure_accuracy
from tdnet_offline.benchmark.benchmark_result import BenchmarkSetting
from tdnet_offline.benchmark.benchmark_run import run_jobs
from tdnet_offline.benchmark.camera_frames import (
    default_camera_size,
    read_frames,
    street_frames,
)
from tdnet_offline.benchmark.cases import plan
from tdnet_offline.benchmark.measurement import Job, to_and_fro
from tdnet_offline.benchmark.weights import find_weights, random_network
from tdnet_offline.datasets import open_dataset
from tdnet_offline.evaluation.metrics import mean_iou, total_confusion
from tdnet_offline.evaluation.runner import evaluate

CPU = torch.device("cpu")
SIZE = (65, 129)


def test_everything_is_combined_once() -> None:
    cases = plan(["psp18-nano", "psp18-nano"], [], ["cpu", "cpu"], ["float32", "bfloat16", "auto"])
    assert [(p.variant, p.input_size, p.device) for p in cases] == [
        ("psp18-nano", (257, 513), "cpu")
    ]
    assert cases[0].precisions == ("float32", "bfloat16")
    sizes = [(65, 129), (97, 193)]
    assert [p.input_size for p in plan(["psp18-nano"], sizes, ["cpu"], [])] == sizes


def test_every_runtime_takes_the_precisions_that_it_has() -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        exporting_package(package)
    runtimes = ["torch", "onnxruntime:cpu", "torch"]

    def precisions(names: list[str]) -> list[tuple[str, tuple[str, ...]]]:
        cases = plan(["psp18-nano"], [], ["cpu"], names, runtimes)
        return [(case.runtime, case.precisions) for case in cases]

    assert precisions([]) == [
        ("torch", ("float32", "bfloat16")),
        ("onnxruntime:cpu", ("float32", "int8")),
    ]
    assert precisions(["float32", "bfloat16", "int8"]) == [
        ("torch", ("float32", "bfloat16")),
        ("onnxruntime:cpu", ("float32", "int8")),
    ]
    assert precisions(["int8"]) == [("onnxruntime:cpu", ("int8",))]
    assert precisions(["bfloat16"]) == [("torch", ("bfloat16",))]
    with pytest.raises(UnknownNameError, match="float9"):
        precisions(["float9"])
    for runtime, name in (("onnxruntime:cpu", "bfloat16"), ("torch", "int8")):
        runtimes = [runtime]
        with pytest.raises(InputError, match=f"{runtime} supports none of the precisions {name}"):
            precisions([name])


def test_a_runtime_that_cannot_run_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="torch, onnxruntime, onnxruntime:cpu"):
        plan(["psp18-nano"], [], ["cpu"], [], ["caffe"])
    with pytest.raises(DeviceError, match="without provider tensorrt: .*pip install"):
        plan(["psp18-nano"], [], ["cpu"], [], ["torch", "onnxruntime:tensorrt"])
    for package in ("onnxscript", "onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingPackageError, match=f"package {package}:"):
            plan(["psp18-nano"], [], ["cpu"], [], ["torch", "onnxruntime"])


def test_the_street_moves_on_and_cameras_fit_the_network() -> None:
    frames = street_frames((48, 80))
    assert frames.shape == (8, 48, 80, 3)
    assert all((a != b).any() for a, b in itertools.pairwise(frames))
    assert default_camera_size((257, 513)) == (480, 640)
    assert default_camera_size((769, 1537)) == (1024, 2048)


def test_frames_come_to_and_fro() -> None:
    frames = np.arange(4, dtype=np.uint8)[:, None]
    seen = [int(frame[0]) for frame in itertools.islice(to_and_fro(frames), 9)]
    assert seen == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    alone = [int(frame[0]) for frame in itertools.islice(to_and_fro(frames[:1]), 3)]
    assert alone == [0, 0, 0]


def test_own_frames_are_read_and_resized(tmp_path: Path) -> None:
    images = drive(3, 40, 60)
    folder = folder_of(tmp_path / "images", images)
    np.testing.assert_array_equal(read_frames(str(folder), None, None), np.stack(images))
    assert read_frames(str(folder), None, (20, 30)).shape == (3, 20, 30, 3)
    write_image(folder / "z.png", drive(1, 41, 60)[0])
    with pytest.raises(InputError, match=r"z is 41 x 60, those before it 40 x 60.*--camera-size"):
        read_frames(str(folder), None, None)


def test_frames_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no more")
    with pytest.raises(InputError, match="no frame can be read"):
        read_frames(str(tmp_path), None, None)


def test_random_weights_stay_in_the_range_of_float16(tmp_path: Path) -> None:
    """Those that PyTorch draws do not, in a network this deep."""
    deep = replace(get_variant("psp101"), backbone=ResNetBackbone(101, width=8), head_channels=16)
    frames = street_frames((48, 80))
    model = random_network(deep, SIZE, frames)
    prepare = Preprocessor(SIZE, torch.device("cpu"), torch.float32)
    largest = [0.0]

    def note(_: Any, __: Any, output: torch.Tensor) -> None:
        largest.append(float(output.abs().max()))

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.BatchNorm2d):
            module.register_forward_hook(note)
    with torch.inference_mode():
        logits = model.step(prepare(torch.from_numpy(frames[-1])), model.new_memory())
    assert 1 < max(largest) < 6e4
    assert len(logits.argmax(1).unique()) > 1


def test_weights_are_given_packaged_or_random(tmp_path: Path) -> None:
    frames = street_frames((48, 80))
    given = tmp_path / "mine.pkl"
    assert find_weights("psp18-nano", given, SIZE, frames, tmp_path) == (given, "mine.pkl")
    path, name = find_weights(DEFAULT_VARIANT, None, SIZE, frames, tmp_path)
    assert (name, path.name) == ("packaged", f"{DEFAULT_VARIANT}.safetensors")
    path, name = find_weights("psp18-half", None, SIZE, frames, tmp_path)
    assert name == "random"
    settings = SegmenterSettings("psp18-half", str(path), device="cpu", runtime="torch")
    assert settings.build().input_size == SIZE


class Deadly:
    """Ends the process that reads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


def test_a_run_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    setting = BenchmarkSetting("psp18-nano", "mine", SIZE, (48, 80), "cpu", "float32")
    killed = Job(setting, Deadly(), tmp_path, 1, None)  # type: ignore[arg-type]
    np.save(tmp_path / "frames.npy", np.zeros((8, 48, 80, 3), np.uint8))
    missing = Job(setting, tmp_path / "none.pkl", tmp_path / "frames.npy", 1, None)
    started = []
    runs, failed = run_jobs([killed, missing], started.append)
    assert runs == ()
    assert started == [killed, missing]
    assert "killed from outside" in failed[0].reason
    assert "none.pkl: does not exist" in failed[1].reason
    assert failed[0].setting == setting


def test_accuracy_scores_as_the_evaluation_does(weights: Path, tmp_path: Path) -> None:
    dataset = open_dataset("street:1000009@72x128,frames=5")
    setting = BenchmarkSetting("td4-psp18-nano", "small", SIZE, (72, 128), "cpu", "bfloat16")
    job = Job(setting, weights, tmp_path)
    exact, quick = measure_accuracy([job], source="street", dataset=dataset)
    settings = SegmenterSettings(
        weights=str(weights), device="cpu", precision="float32", input_size=SIZE, runtime="torch"
    )
    expected = evaluate(dataset, settings.build())
    assert (exact.setting.precision, quick.setting) == ("float32", setting)
    assert exact.mean_iou == pytest.approx(mean_iou(total_confusion(expected)))
    assert exact.frames == 5
    unscored = replace(job, setting=replace(setting, weights="random", precision="float32"))
    (random,) = measure_accuracy([unscored], source="street", dataset=dataset)
    assert (random.mean_iou, random.label_agreement) == (None, 1.0)
