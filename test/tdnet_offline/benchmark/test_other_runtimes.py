"""The benchmark with ONNX Runtime."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support.extras import exporting_package
from support.frames import drive
from support.nano import PSP18_NANO

from tdnet import ClassMap, SegmenterSettings, create_model, save_weights
from tdnet.errors import DeviceError, InputError
from tdnet_offline.benchmark import weights as weights_module
from tdnet_offline.benchmark.accuracy import measure_accuracy
from tdnet_offline.benchmark.benchmark_result import BenchmarkSetting
from tdnet_offline.benchmark.benchmark_run import BenchmarkOptions, run_benchmark
from tdnet_offline.benchmark.cases import BenchmarkCase
from tdnet_offline.benchmark.measurement import Job, measure
from tdnet_offline.benchmark.weights import quantised_folder

SIZE = (65, 129)


def test_a_provider_is_measured(tmp_path: Path) -> None:
    exporting_package("onnxruntime")
    np.save(tmp_path / "frames.npy", np.stack(drive(3, 96, 160)))
    setting = BenchmarkSetting(
        "psp18-nano", PSP18_NANO.name, SIZE, (96, 160), "cpu", "float32", "onnxruntime:cpu"
    )
    job = Job(setting, PSP18_NANO, tmp_path / "frames.npy", 2)
    run = measure(job, time.monotonic())
    assert run.frame_to_labels_ms.p50 > 0
    assert (setting.numbers, len(run.latencies_ms)) == ("float32, onnxruntime:cpu", 2)
    assert setting.file_name == "psp18-nano-65x129-cpu-float32-onnxruntime-cpu"
    exact, row = measure_accuracy([job], source="drive")
    assert (exact.setting.numbers, exact.label_agreement) == ("float32", 1)
    assert (row.setting, row.frames) == (setting, 3)
    assert row.label_agreement > 0.9999


def test_int8_is_exported_once(tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        exporting_package(package)
    torch.manual_seed(0)
    weights = tmp_path / "single.safetensors"
    model = create_model("psp18-nano", input_size=SIZE)
    save_weights(model, weights, class_map=ClassMap.load("cityscapes"))
    case = BenchmarkCase("psp18-nano", SIZE, "cpu", ("int8",), "onnxruntime")
    folder = quantised_folder(case, weights, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["export.json", "path0.onnx"]
    before = (folder / "path0.onnx").stat().st_mtime_ns
    assert quantised_folder(case, weights, tmp_path) == folder
    assert (folder / "path0.onnx").stat().st_mtime_ns == before
    segmenter = SegmenterSettings("psp18-nano", str(folder), device="cpu").build()
    exact = SegmenterSettings(
        "psp18-nano", str(weights), device="cpu", precision="float32", runtime="torch"
    ).build()
    image = drive(1, 72, 96)[0]
    assert segmenter.precision == "int8"
    assert (segmenter.step(image).labels == exact.step(image).labels).mean() > 0.8


def test_a_failed_export_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [InputError("no such thing"), RuntimeError("no such\nfile"), InputError("none")]

    def refuse(*_: object, **__: object) -> None:
        raise errors.pop(0)

    monkeypatch.setattr(weights_module, "export_network", refuse)
    cases = [
        BenchmarkCase(variant, SIZE, "cpu", (precision,), runtime)
        for variant, precision, runtime in (
            ("td4-psp18-nano", "int8", "onnxruntime"),
            ("psp18-nano", "int8", "onnxruntime"),
            ("td4-psp18-nano", "float32", "torch"),
        )
    ]
    options = BenchmarkOptions(camera_size=(72, 96), num_frames=1)
    found = run_benchmark(cases, options)
    assert [run.setting.runtime for run in found.runs] == ["torch"]
    assert [failed.setting.runtime for failed in found.failed] == ["onnxruntime"] * 2
    assert [failed.reason for failed in found.failed] == [
        "export: no such thing",
        "export: RuntimeError: no such",
    ]
    with pytest.raises(DeviceError, match="^export: none$"):
        run_benchmark(cases[:1], options)
