"""The node takes exported graphs while it runs, and publishes the same labels."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from support.nano import nano_weights
from support.ros_graph import RosGraph, image_message, pixels_of

from tdnet import SegmenterSettings
from tdnet_ros.model.model_loading import ModelLoader, file_states


def test_a_running_node_changes_to_exported_graphs(
    active: RosGraph, exported_nano: Path, images: list[np.ndarray]
) -> None:
    chosen = {
        "weights": str(exported_nano),
        "runtime": "onnxruntime",
        "precision": "float32",
    }
    (refused,) = active.set_parameters(weights=str(exported_nano))
    assert not refused.successful
    assert "set runtime to onnxruntime" in refused.reason
    request = SetParametersAtomically.Request(
        parameters=[
            Parameter(name, value=value).to_parameter_msg() for name, value in chosen.items()
        ]
    )
    answer = active.call(SetParametersAtomically, "/tdnet/set_parameters_atomically", request)
    assert answer.result.successful, answer.result.reason
    labels, camera = active.listen(Image, "/tdnet/labels"), active.camera()
    expected = SegmenterSettings(
        weights=nano_weights(),
        input_size=(65, 129),
        device="cpu",
        precision="float32",
        runtime="torch",
    ).build()
    for number, image in enumerate(images[:5]):
        camera.publish(image_message(image, number * 0.1))
        published = pixels_of(labels.wait(number + 1)[-1])
        assert (published == expected.step(image).labels).mean() >= 0.9999


def test_a_folder_that_was_exported_anew_is_another_one(
    exported_nano: Path, tmp_path: Path
) -> None:
    """The node loads it again; a folder's own time says nothing of the files in it."""
    folder = tmp_path / "export"
    shutil.copytree(exported_nano, folder)
    chosen = SegmenterSettings(weights=str(folder), runtime="onnxruntime", device="cpu")
    before = file_states(chosen)
    assert before[0] is not None
    assert file_states(chosen) == before
    of_folder = folder.stat()
    description = folder / "export.json"
    description.write_text(description.read_text() + "\n")
    os.utime(folder, ns=(of_folder.st_atime_ns, of_folder.st_mtime_ns))
    assert file_states(chosen) != before
    description.unlink()
    assert file_states(chosen)[0] is None


def test_a_runtime_has_all_threads_whenever_it_is_loaded(
    ros: None, exported_nano: Path, three_threads: None
) -> None:
    """Also while another thread works on a frame, which sets the number to one on a CPU."""
    from onnxruntime import InferenceSession

    executor = SingleThreadedExecutor()
    loader = ModelLoader(executor.wake, torch.get_num_threads())
    torch.set_num_threads(1)
    chosen = SegmenterSettings(weights=str(exported_nano), runtime="onnxruntime", device="cpu")
    others = {id(item) for item in gc.get_objects() if isinstance(item, InferenceSession)}
    task = executor.create_task(loader.load(chosen))
    executor.spin_until_future_complete(task, 60)
    assert task.result() is not None
    sessions = [item for item in gc.get_objects() if isinstance(item, InferenceSession)]
    loaded = [item.get_session_options() for item in sessions if id(item) not in others]
    assert [options.intra_op_num_threads for options in loaded] == [3] * 4
    executor.shutdown()
