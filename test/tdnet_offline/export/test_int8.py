"""8-bit graphs: close to float32, and of the kind that their runtime takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.extras import exporting_package
from support.frames import drive
from support.nano import nano_weights

from tdnet import SegmenterSettings
from tdnet.backends.onnx.export import write_graph
from tdnet.backends.onnx.path_graph import PathGraph, for_export, input_specs, output_specs
from tdnet.errors import InputError
from tdnet_offline.export.int8 import calibration_inputs, quantise

SIZE = (65, 129)
PATH = 3

onnx = exporting_package("onnx")
runtime = exporting_package("onnxruntime")
exporting_package("onnxscript")


def test_both_kinds_are_close_to_float32(tmp_path: Path) -> None:
    model, _ = SegmenterSettings(weights=nano_weights(), input_size=SIZE).load_model()
    network = for_export(model, torch.float32)
    seen = calibration_inputs(network, drive(12, 72, 96))
    assert [len(inputs) for inputs in seen] == [3, 3, 3, 3]
    # Path 3 is the first to meet a full memory.
    assert all(np.abs(inputs["value_0"]).max() > 0 for inputs in seen[PATH])
    assert not any(np.abs(inputs[0]["value_0"]).max() for inputs in seen[:PATH])
    graph = PathGraph(network, PATH)
    inputs = input_specs(network, torch.float32)
    outputs = output_specs(network, torch.float32)
    write_graph(graph, tmp_path / "float32", inputs, outputs)
    given = seen[PATH][1]
    expected = graph(*(torch.from_numpy(array) for array in given.values()))[0].numpy()
    for signed, kind in ((False, onnx.TensorProto.UINT8), (True, onnx.TensorProto.INT8)):
        path = tmp_path / f"{signed}.onnx"
        quantise(tmp_path / "float32", path, seen[PATH], signed=signed)
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (logits,) = session.run(["logits"], dict(given))
        labels, true = logits.argmax(1), expected.argmax(1)
        # Many pixels of so small a picture are close calls; of the clearer half hardly any turns.
        second, best = np.partition(expected, -2, axis=1)[:, -2:].swapaxes(0, 1)
        clear = best - second > np.median(best - second)
        assert (labels == true)[clear].mean() > 0.95
        loaded = onnx.load(path)
        points = {
            tensor.name: tensor
            for tensor in loaded.graph.initializer
            if tensor.name.endswith("zero_point") and "weight" not in tensor.name
        }
        quantised = [node for node in loaded.graph.node if node.op_type == "QuantizeLinear"]
        used = [points[node.input[2]] for node in quantised if node.input[2] in points]
        assert used
        assert {tensor.data_type for tensor in used} == {kind}
        if signed:  # TensorRT takes no other zero than zero, and dequantises no 32-bit integers
            assert not any(onnx.numpy_helper.to_array(tensor).any() for tensor in used)
            kinds = {tensor.name: tensor.data_type for tensor in loaded.graph.initializer}
            given_back = [n for n in loaded.graph.node if n.op_type == "DequantizeLinear"]
            assert {kinds[n.input[0]] for n in given_back if n.input[0] in kinds} == {
                onnx.TensorProto.INT8
            }


def test_too_few_frames_are_refused() -> None:
    model, _ = SegmenterSettings(weights=nano_weights(), input_size=SIZE).load_model()
    network = for_export(model, torch.float32)
    with pytest.raises(InputError, match="3 frames to calibrate with; .* at least 7"):
        calibration_inputs(network, drive(3, 72, 96))
