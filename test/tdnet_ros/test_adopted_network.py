"""The running node changes to a network of another project, for every camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from support.extras import exporting_package
from support.ros_graph import RosGraph, image_message, pixels_of

from tdnet import SegmenterSettings
from tdnet_offline.command import main
from tdnet_ros.msg import SegmentationStatus

SIZE = (64, 96)


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution of random weights at stride 8, channels last, as a folder."""
    onnx = exporting_package("onnx")
    exporting_package("onnxruntime")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    folder = tmp_path_factory.mktemp("adopted")
    weight = np.random.default_rng(0).normal(0, 1, (19, 3, 8, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=(0, 3, 1, 2)),
        helper.make_node("Conv", ["planes", "weight"], ["logits"], strides=(8, 8)),
    ]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("image", number, ("batch", "rows", "columns", 3))],
        [helper.make_tensor_value_info("logits", number, None)],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(
        helper.make_model(graph, opset_imports=opset, ir_version=10), folder / "foreign.onnx"
    )
    words = ["adopt", str(folder / "foreign.onnx"), "--class-map", "cityscapes"]
    size = ["--input-size", *map(str, SIZE)]
    assert main([*words, *size, "--output", str(folder / "new")]) == 0
    return folder / "new"


def test_a_running_node_changes_to_an_adopted_network(
    active: RosGraph, adopted: Path, images: list[np.ndarray]
) -> None:
    labels, camera = active.listen(Image, "/tdnet/labels"), active.camera()
    statuses = active.listen(SegmentationStatus, "/tdnet/status")
    camera.publish(image_message(images[0], 0.0))
    labels.wait(1)
    chosen = {"weights": str(adopted), "runtime": "onnxruntime", "variant": "psp18-nano"}

    def change() -> SetParametersAtomically.Response:
        request = SetParametersAtomically.Request(
            parameters=[
                Parameter(name, value=of).to_parameter_msg() for name, of in chosen.items()
            ]
        )
        return active.call(SetParametersAtomically, "/tdnet/set_parameters_atomically", request)

    refused = change().result
    assert not refused.successful
    assert "set variant to auto" in refused.reason
    del chosen["variant"]
    accepted = change().result
    assert accepted.successful, accepted.reason
    expected = SegmenterSettings(weights=str(adopted), device="cpu").build()
    for number, image in enumerate(images[1:4], 1):
        camera.publish(image_message(image, number * 0.1))
        published = pixels_of(labels.wait(number + 1)[-1])
        assert (published == expected.step(image).labels).mean() >= 0.999
    assert [status.variant for status in statuses.wait(4)] == ["td4-psp18-nano", *["adopted"] * 3]
