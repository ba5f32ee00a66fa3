"""Runtime, provider and precision of settings; the export of a weights file."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.extras import exporting_package, needs_provider
from support.frames import drive

from tdnet import ClassMap, SegmenterSettings, create_model, packaged_weights, save_weights
from tdnet._util import device as device_module
from tdnet._util.child_process import run_python
from tdnet.backends.onnx import cache, providers
from tdnet.backends.onnx.onnxruntime_backend import OnnxRuntimeBackend
from tdnet.backends.onnx.providers import BY_NAME
from tdnet.backends.selection import exported_weights, open_backend
from tdnet.errors import DeviceError, InputError, TdnetError, WeightsError
from tdnet.variants import DEFAULT_VARIANT

SIZE = (65, 129)


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        exporting_package(name)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The usual cache of the tests is shared with those that run at the same time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small single-frame network's file, which is exported fast."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(create_model("psp18-nano", input_size=SIZE), path)
    return path


def settings(weights: Path, **changes: Any) -> SegmenterSettings:
    return SegmenterSettings("psp18-nano", str(weights), device="cpu", **changes)


def entries(kind: str) -> set[Path]:
    return set(cache.cache_folder().glob(f"{kind}-*"))


def test_a_weights_file_is_exported_once(weights: Path, tmp_path: Path) -> None:
    """Also if the first user has a class map of their own, which the export must not keep."""
    own = ClassMap.from_yaml(
        "name: one\nnetwork: 19\nclasses:\n"
        f"  - {{id: 42, name: thing, color: [1, 2, 3], from: {list(range(19))}}}\n",
        "one.yaml",
    )
    (tmp_path / "one.yaml").write_text(own.to_yaml())
    image = drive(1, 72, 96)[0]
    before = entries("network")
    segmenter = settings(weights, class_map=str(tmp_path / "one.yaml")).build()
    assert segmenter.class_map == own
    assert np.unique(segmenter.step(image).labels).tolist() == [42]
    (made,) = entries("network") - before
    written = (made / "path0.onnx").stat().st_mtime_ns
    backend, class_map = open_backend(settings(weights).request())
    assert isinstance(backend, OnnxRuntimeBackend)
    assert class_map.name == "cityscapes"
    assert (made / "path0.onnx").stat().st_mtime_ns == written
    assert entries("network") == before | {made}


@pytest.mark.usefixtures("exports_here")
def test_other_weights_of_the_same_name_are_exported_anew(weights: Path, tmp_path: Path) -> None:
    """The node reloads a replaced file: its labels must be those of the new weights."""
    other = tmp_path / weights.name
    save_weights(create_model("psp18-nano", input_size=SIZE), other)
    image = drive(1, 72, 96)[0]
    for path in (weights, other):
        exact = settings(path, precision="float32")
        labels = exact.build().step(image).labels
        expected = SegmenterSettings(
            "psp18-nano", str(path), device="cpu", precision="float32", runtime="torch"
        )
        assert (labels == expected.build().step(image).labels).mean() >= 0.999


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
def test_a_provider_computes_the_labels_of_pytorch(weights: Path, provider: str) -> None:
    needs_provider(provider)
    image = drive(1, 72, 96)[0]
    chosen = settings(weights, provider=provider, precision="float32").build()
    assert (chosen.runtime, chosen.precision) == (f"onnxruntime:{provider}", "float32")
    plain = settings(weights, runtime="torch", precision="float32").build()
    assert plain.runtime == "torch"
    assert (chosen.step(image).labels == plain.step(image).labels).mean() >= 0.9999


def test_auto_is_the_best_provider_that_is_installed(weights: Path) -> None:
    best = "openvino" if BY_NAME["openvino"].is_installed else "cpu"
    assert settings(weights).build().runtime == f"onnxruntime:{best}"


def test_auto_goes_on_with_the_next_provider_if_one_fails(
    weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    needs_provider("openvino")
    monkeypatch.setattr(
        "tdnet.backends.onnx.providers.json.dumps", lambda _: '{"CPU": {"NO_SUCH": "KEY"}}'
    )
    assert settings(weights, precision="float32").build().runtime == "onnxruntime:cpu"
    assert "provider openvino is not used: " in caplog.text
    with pytest.raises(WeightsError, match="with provider openvino: "):
        settings(weights, precision="float32", provider="openvino").build()


@pytest.mark.parametrize("package", ["onnxruntime", "onnxscript"])
def test_without_its_packages_auto_is_pytorch_and_says_what_is_faster(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, package, None)
    save_weights(create_model("psp18-nano", input_size=SIZE), tmp_path / "w.safetensors")
    assert settings(tmp_path / "w.safetensors").build().runtime == "torch"
    (line,) = [r.getMessage() for r in caplog.records if "PyTorch runs the network" in r.message]
    assert "pip install onnx" in line
    with pytest.raises(TdnetError, match="pip install onnx"):
        settings(tmp_path / "w.safetensors", runtime="onnxruntime").build()


def test_wrong_weights_are_reported_as_pytorch_does_and_leave_no_entry(tmp_path: Path) -> None:
    before = entries("network"), entries(".partial")
    with pytest.raises(WeightsError, match="none: does not exist"):
        settings(tmp_path / "none").build()
    (tmp_path / "damaged").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="damaged: damaged or no checkpoint"):
        settings(tmp_path / "damaged").build()
    with pytest.raises(WeightsError, match="damaged cannot be exported: .*damaged or no"):
        settings(tmp_path / "damaged", runtime="onnxruntime").build()
    packaged = packaged_weights(DEFAULT_VARIANT)
    assert packaged is not None
    with pytest.raises(WeightsError):
        settings(packaged).build()
    assert (entries("network"), entries(".partial")) == before


@pytest.mark.parametrize(
    ("flags", "precision"), [({"avx512_bf16"}, "bfloat16"), (set(), "float32")]
)
def test_the_precision_of_openvino_is_what_the_processor_computes(
    flags: set[str], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "processor_flags", lambda: frozenset(flags))
    assert BY_NAME["openvino"].resolve("auto") == precision
    if not flags:
        with pytest.raises(InputError, match="no instructions for: use auto or float32"):
            BY_NAME["openvino"].resolve("bfloat16")
    with pytest.raises(InputError, match="provider cpu allows auto, float32, float16, int8"):
        BY_NAME["cpu"].resolve("bfloat16")


@pytest.mark.usefixtures("exports_here")
def test_openvino_computes_in_bfloat16_on_one_thread() -> None:
    needs_provider("openvino")
    if not device_module.computes_bfloat16():
        pytest.skip("nothing to run: this processor has no instructions for bfloat16")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        segmenter = SegmenterSettings(device="cpu", precision="bfloat16").build()
    finally:
        torch.set_num_threads(threads)
    assert segmenter.runtime == "onnxruntime:openvino"


def test_a_damaged_cache_is_compiled_anew(weights: Path) -> None:
    needs_provider("openvino")
    image = drive(1, 72, 96)[0]
    exact = settings(weights, provider="openvino", precision="float32")
    labels = exact.build().step(image).labels
    blobs = [blob for folder in entries("openvino") for blob in folder.rglob("*.blob")]
    assert blobs
    for blob in blobs:
        os.truncate(blob, blob.stat().st_size // 2)
    assert (exact.build().step(image).labels == labels).all()


@pytest.mark.usefixtures("exports_here")
def test_a_damaged_export_is_written_again(
    weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A loss of power may leave files without their content."""
    image = drive(1, 72, 96)[0]
    exact = settings(weights, provider="cpu", precision="float32")
    labels = exact.build().step(image).labels
    folder, _ = exported_weights(exact.request(), "float32")
    os.truncate(folder / "path0.onnx", 100)
    assert (exact.build().step(image).labels == labels).all()
    assert "exported again: " in caplog.text
    os.truncate(folder / "export.json", 0)
    assert (exact.build().step(image).labels == labels).all()


def test_an_engine_cache_survives_a_failure_that_is_not_its_own(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_provider("openvino")
    chosen = settings(weights, provider="openvino", precision="float32")
    chosen.build()
    blobs = {blob for folder in entries("openvino") for blob in folder.rglob("*.blob")}

    def no_memory(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(providers.import_onnxruntime(), "InferenceSession", no_memory)
        with pytest.raises(WeightsError, match="with provider openvino: out of memory"):
            chosen.build()
    assert {blob for folder in entries("openvino") for blob in folder.rglob("*.blob")} == blobs


@pytest.mark.usefixtures("exports_here")
def test_weights_that_change_while_they_are_exported_are_no_entry(
    weights: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.safetensors"
    save_weights(create_model("psp18-nano", input_size=SIZE), own)
    chosen = settings(own)

    def export(folder: Path, precision: str) -> None:
        own.write_bytes(weights.read_bytes())
        chosen.export_apart(folder, precision)

    before = entries("network")
    with pytest.raises(WeightsError, match="has changed while it was exported: try again"):
        exported_weights(replace(chosen.request(), export=export), "float32")
    assert entries("network") == before


def test_int8_needs_an_exported_folder(weights: Path) -> None:
    with pytest.raises(InputError, match="precision int8 --calibrate, and set weights"):
        settings(weights, precision="int8", runtime="onnxruntime").build()


@pytest.mark.usefixtures("exports_here")
def test_a_weight_beyond_float16_is_refused(tmp_path: Path) -> None:
    model = create_model("psp18-nano", input_size=SIZE)
    with torch.no_grad():
        next(model.parameters()).fill_(1e5)
    save_weights(model, tmp_path / "large.safetensors")
    chosen = settings(tmp_path / "large.safetensors", runtime="onnxruntime", provider="cpu")
    with pytest.raises(WeightsError, match="is not finite in float16"):
        replace(chosen, precision="float16").build()


def test_a_child_runs_no_code_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("signal", "ctypes", "os"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w')")
    monkeypatch.chdir(tmp_path)
    done = run_python("print(sys.argv[1])", "hello")
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr
    assert not (tmp_path / "executed").exists()


def test_a_provider_for_another_device_is_refused(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        providers.import_onnxruntime(),
        "get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    with pytest.raises(DeviceError, match="provider cuda runs on cuda, device is cpu"):
        settings(weights, provider="cuda").build()
    with pytest.raises(DeviceError, match="pip install onnxruntime-openvino"):
        settings(weights, provider="openvino").build()
    with pytest.raises(InputError, match="provider cpu belongs to runtime onnxruntime"):
        settings(weights, provider="cpu", runtime="torch").build()


@pytest.mark.cuda
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpu_provider_computes_the_labels_of_pytorch(weights: Path, provider: str) -> None:
    """Not run on a GPU so far: it needs onnxruntime-gpu, and tensorrt."""
    needs_provider(provider)
    chosen = SegmenterSettings("psp18-nano", str(weights), provider=provider).build()
    plain = settings(weights, runtime="torch", precision="float32").build()
    for image in drive(4, 72, 96):
        assert (chosen.step(image).labels == plain.step(image).labels).mean() >= 0.98
