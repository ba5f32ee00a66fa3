"""`tdnet export` writes graphs and a description that say the same."""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.extras import exporting_package
from support.frames import drive
from support.nano import nano_weights

from tdnet import ClassMap, create_model, save_weights
from tdnet.backends.onnx.description import read_description
from tdnet.backends.onnx.export import check_packages
from tdnet.frames.preprocess import MEAN, STD
from tdnet_offline.command import main

PICTURES = Path(__file__).parents[3] / "docs" / "images"
NANO = ["--weights", nano_weights(), "--input-size", "65", "129"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_description_says_what_the_graphs_are(exported_nano: Path) -> None:
    onnx = exporting_package("onnx")
    document = json.loads((exported_nano / "export.json").read_text(encoding="utf-8"))
    assert document["format_version"] == 1
    assert (document["variant"], document["num_classes"]) == ("td4-psp18-nano", 19)
    assert document["cycle"]["memory_frames"] == 3
    assert len(document["cycle"]["graphs"]) == 4
    for graph in document["cycle"]["graphs"]:
        path = exported_nano / graph["file"]
        assert graph["sha256"] == sha256(path)
        assert b"path_graph.py" not in path.read_bytes()  # nothing of the machine that wrote it
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert model.opset_import[0].version == document["opset"]
        assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
        for said, found in (
            (document["inputs"], model.graph.input),
            (document["outputs"], model.graph.output),
        ):
            assert said == [
                {
                    "name": item.name,
                    "shape": [side.dim_value for side in item.type.tensor_type.shape.dim],
                    "dtype": "float32",
                }
                for item in found
                if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
            ]
    assert [item["name"] for item in document["outputs"]] == ["logits", "query", "key", "value"]
    assert document["preprocessing"]["mean"] == list(MEAN)
    assert document["preprocessing"]["std"] == list(STD)
    weights = Path(nano_weights())
    assert document["weights"] == {"file": weights.name, "sha256": sha256(weights)}
    assert document["class_map"]["classes"][0]["name"] == "road"


def test_a_description_survives_the_way_through_its_file(exported_nano: Path) -> None:
    description = read_description(exported_nano)
    assert description.class_map == ClassMap.load("cityscapes")
    assert description.to_json() == (exported_nano / "export.json").read_text(encoding="utf-8")


def test_a_single_frame_network_has_one_graph_without_memory(tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript"):
        exporting_package(package)
    torch.manual_seed(0)
    model = create_model("psp18-nano", input_size=(33, 49)).requires_grad_(False)
    save_weights(model, tmp_path / "w.safetensors", class_map=ClassMap.load("cityscapes"))
    words = ["--variant", "psp18-nano", "--weights", str(tmp_path / "w.safetensors")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["export", *words, "--output", str(tmp_path / "new")]) == 0
    description = read_description(tmp_path / "new")
    assert [graph.file for graph in description.cycle.graphs] == ["path0.onnx"]
    assert [spec.shape for spec in description.inputs] == [(1, 3, 33, 49)]
    assert [spec.name for spec in description.outputs] == ["logits"]


def test_predict_over_onnx_runtime_equals_predict_over_pytorch(
    exported_nano: Path, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    for number, image in enumerate(drive(6, 72, 96)):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image[:, :, ::-1])
    common = ["predict", str(tmp_path / "images"), "--device", "cpu"]
    exact = ["--precision", "float32", "--runtime", "torch"]
    assert main([*common, *NANO, *exact, "--output", str(tmp_path / "torch")]) == 0
    exported = ["--precision", "float32", "--weights", str(exported_nano)]
    assert main([*common, *exported, "--output", str(tmp_path / "onnx")]) == 0
    for number in range(6):
        name = f"labels/{number}.png"
        a, b = (cv2.imread(str(tmp_path / over / name), 0) for over in ("torch", "onnx"))
        assert (np.asarray(a) == np.asarray(b)).mean() >= 0.9999


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--precision", "bfloat16"], "allowed are float32, float16, int8"),
        (["--precision", "int8"], "--calibrate SOURCE and --precision int8 go together"),
        (["--calibrate", str(PICTURES)], "go together"),
        (["--precision", "int8", "--calibrate", "nothing"], "nothing"),
        (["--weights", "none.pkl"], "none.pkl"),
        (["--weights", str(PICTURES)], "is a folder: give the weights file"),
        (["--variant", "td9"], "td4-psp18"),
        (["--input-size", "5", "5"], "33"),
        (["--output", "."], "is not empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    options: list[str],
    part: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exporting_package("onnxscript")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("of the user")
    try:
        status = main(["export", *NANO, "--output", "new", *options])
    except SystemExit as end:  # of argparse
        status = int(str(end))
    assert status == 2
    said = capsys.readouterr().err.splitlines()
    assert part in said[-1]
    assert "Traceback" not in " ".join(said)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("count", ["0", "-1", "129", "1e3"])
def test_frames_to_calibrate_with_have_a_limit(
    count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--precision", "int8", "--calibrate", str(PICTURES), "--frames", count]
    with pytest.raises(SystemExit, match="2"):
        main(["export", *NANO, "--output", str(tmp_path / "new"), *words])
    assert f"{count!r} is not a whole number from 1 to 128" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_old_pytorch_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    assert main(["export", *NANO, "--output", str(tmp_path / "new")]) == 2
    said = capsys.readouterr().err
    assert "torch 2.6 or later (found 2.5.1+cpu)" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_a_machine_came_with_is_new_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    exporting_package("onnxscript")
    monkeypatch.setattr(torch, "__version__", "2.6.0a0+df5bbc09d1.nv24.12")
    check_packages()


def test_missing_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("onnxscript", "onnx_ir", "onnx"):
        monkeypatch.setitem(sys.modules, package, None)
        assert main(["export", *NANO, "--output", str(tmp_path / "new")]) == 2
        said = capsys.readouterr().err
        assert f"tdnet export needs the Python package {package}: pip install " in said
    assert list(tmp_path.iterdir()) == []
