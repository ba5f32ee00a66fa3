"""Other runtimes in the benchmark: the same network, exported beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.extras import exporting_package
from support.frames import drive

from tdnet import ClassMap, SegmenterSettings, create_model, packaged_weights, save_weights
from tdnet.errors import DeviceError, InputError
from tdnet_offline.benchmark import exported
from tdnet_offline.benchmark.accuracy import measure_accuracy
from tdnet_offline.benchmark.benchmarking import BenchmarkOptions, run_benchmark
from tdnet_offline.benchmark.exported import exported_folder
from tdnet_offline.benchmark.measuring import Job
from tdnet_offline.benchmark.plan import Place
from tdnet_offline.benchmark.result import Setting
from tdnet_offline.benchmark.running import run_jobs

SIZE = (65, 129)
NANO = packaged_weights("td4-psp18-nano")


def test_a_run_is_compared_with_the_plain_formulation(exported_nano: Path, tmp_path: Path) -> None:
    assert NANO is not None
    np.save(tmp_path / "frames.npy", np.stack(drive(3, 96, 160)))
    setting = Setting(
        "td4-psp18-nano", "packaged", SIZE, (96, 160), "cpu", "float32", "onnxruntime"
    )
    (run,), failed = run_jobs(
        [Job(setting, NANO, tmp_path / "frames.npy", 2, None, exported_nano)]
    )
    assert failed == ()
    assert run.versus.label_agreement > 0.999
    assert (setting.numbers, len(run.latencies_ms)) == ("float32, onnxruntime", 2)
    assert setting.file_name == "td4-psp18-nano-65x129-cpu-float32-onnxruntime"


def test_labels_are_compared_with_those_of_pytorch(exported_nano: Path) -> None:
    settings = SegmenterSettings(device="cpu", input_size=SIZE, runtime="onnxruntime")
    video = [(image, None) for image in drive(5, 72, 96)]
    (row,) = measure_accuracy(
        settings,
        ["float32"],
        [video],
        weights="packaged",
        source="drive",
        exported={"float32": exported_nano},
    )
    assert (row.numbers, row.frames) == ("float32, onnxruntime", 5)
    assert row.label_agreement > 0.9999


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_a_runtime_whose_every_run_failed_has_no_accuracy(runtime: str) -> None:
    settings = SegmenterSettings(device="cpu", input_size=SIZE, runtime=runtime)
    video = [(image, None) for image in drive(1, 72, 96)]
    assert measure_accuracy(settings, [], [video], weights="packaged", source="drive") == []


@pytest.mark.parametrize(("precision", "agreement"), [("float16", 0.98), ("int8", 0.8)])
def test_a_precision_is_exported_once(precision: str, agreement: float, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        exporting_package(package)
    torch.manual_seed(0)
    weights = tmp_path / "single.safetensors"
    model = create_model("psp18-nano", input_size=SIZE)
    save_weights(model, weights, class_map=ClassMap.load("cityscapes"))
    place = Place("psp18-nano", SIZE, "cpu", (precision,), "onnxruntime")
    folder = exported_folder(place, precision, weights, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["export.json", "path0.onnx"]
    before = (folder / "path0.onnx").stat().st_mtime_ns
    assert exported_folder(place, precision, weights, tmp_path) == folder
    assert (folder / "path0.onnx").stat().st_mtime_ns == before
    segmenter = SegmenterSettings(
        variant="psp18-nano", weights=str(folder), runtime="onnxruntime", device="cpu"
    ).build()
    exact = SegmenterSettings(
        variant="psp18-nano", weights=str(weights), device="cpu", precision="float32"
    ).build()
    image = drive(1, 72, 96)[0]
    assert segmenter.precision == precision
    assert (segmenter.step(image).labels == exact.step(image).labels).mean() > agreement


@pytest.mark.parametrize("error", [InputError("no such thing"), RuntimeError("no such\nthing")])
def test_a_failed_export_does_not_end_the_others(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(exported, "export_network", refuse)
    places = [
        Place("td4-psp18-nano", SIZE, "cpu", ("float32",), runtime)
        for runtime in ("onnxruntime", "torch")
    ]
    found = run_benchmark(places, BenchmarkOptions(camera_size=(72, 96), num_frames=1))
    assert [run.setting.runtime for run in found.runs] == ["torch"]
    (failed,) = found.failed
    assert failed.setting.runtime == "onnxruntime"
    assert failed.reason.startswith("export: ")
    assert "no such" in failed.reason
    with pytest.raises(DeviceError, match="export: .*no such"):
        run_benchmark(places[:1], BenchmarkOptions(camera_size=(72, 96), num_frames=1))
