"""A device that fails in the network: no frame is shown wrong, and the node lives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from support.ros_graph import RosGraph, image_message, pixels_of, wait_for
from torch.nn.modules.module import register_module_forward_pre_hook

from tdnet import SegmenterSettings, StreamingSegmenter
from tdnet.errors import DeviceError
from tdnet_ros.device_recovery import FAILURES_ALLOWED, DeviceRecovery
from tdnet_ros.frame_pipeline import Recipe
from tdnet_ros.live_model import LiveModel
from tdnet_ros.model_loading import ModelLoader
from tdnet_ros.msg import SegmentationStatus
from tdnet_ros.settings import NodeSettings

Fail = Callable[[int], None]


@pytest.fixture
def fail() -> Iterator[Fail]:
    """Has PyTorch raise what a device raises, in the next inferences of the node."""
    left = 0

    def hook(module: torch.nn.Module, inputs: Any) -> None:
        nonlocal left
        if left and threading.current_thread().name == "inference":
            left -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def start(count: int) -> None:
        nonlocal left
        left = count

    handle = register_module_forward_pre_hook(hook)
    yield start
    handle.remove()


def model_level(diagnostics: list[DiagnosticArray]) -> bytes:
    return next(s for s in diagnostics[-1].status if s.name == "tdnet: model").level


def test_one_failure_costs_one_frame(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray], fail: Fail
) -> None:
    labels = active.listen(Image, "/tdnet/labels")
    status = active.listen(SegmentationStatus, "/tdnet/status")
    log = active.listen_to_log()
    camera = active.camera()
    camera.publish(image_message(images[0], 0.0))
    labels.wait(1)
    fail(1)
    camera.publish(image_message(images[1], 0.1))
    assert "out of memory" in log.wait_for_text("device cpu failed")
    camera.publish(image_message(images[2], 0.2))
    np.testing.assert_array_equal(pixels_of(labels.wait(2)[1]), segmenter.step(images[2]).labels)
    message = status.wait(2)[1]
    assert message.reset_reason == "error while processing the frame before"
    assert (message.received, message.segmented, message.refused) == (3, 2, 1)


def test_a_device_that_keeps_failing_gets_its_model_anew(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray], fail: Fail
) -> None:
    diagnostics = active.listen(DiagnosticArray, "/diagnostics")
    labels = active.listen(Image, "/tdnet/labels")
    status = active.listen(SegmentationStatus, "/tdnet/status")
    log = active.listen_to_log()
    camera = active.camera()
    wait_for(
        lambda: diagnostics.messages and model_level(diagnostics.messages) == DiagnosticStatus.OK,
        "the node to be well",
    )
    fail(FAILURES_ALLOWED + 1)
    for number in range(FAILURES_ALLOWED):
        camera.publish(image_message(images[number], number / 10))
        active.wait_until_received(number + 1)
    wait_for(
        lambda: model_level(diagnostics.messages) == DiagnosticStatus.ERROR,
        "an error in the diagnostics",
    )
    camera.publish(image_message(images[FAILURES_ALLOWED], 1.0))
    log.wait_for_text("loading the model anew")
    wait_for(
        lambda: model_level(diagnostics.messages) == DiagnosticStatus.OK,
        "the node to be well again",
    )
    camera.publish(image_message(images[5], 1.1))
    np.testing.assert_array_equal(pixels_of(labels.wait()[0]), segmenter.step(images[5]).labels)
    assert status.wait()[0].refused == FAILURES_ALLOWED + 1


@pytest.fixture
def executor(ros: None) -> Iterator[SingleThreadedExecutor]:
    node = rclpy.create_node("recovery")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    yield executor
    executor.shutdown()
    node.destroy_node()


def run(executor: SingleThreadedExecutor, coroutine: Any) -> Any:
    task = executor.create_task(coroutine)
    executor.spin_until_future_complete(task, 20)
    assert task.done()
    return task.result()


def test_the_cpu_stands_in_for_a_device_that_is_gone(
    executor: SingleThreadedExecutor, weights: str, images: list[np.ndarray]
) -> None:
    model = LiveModel(ModelLoader(executor.wake))
    asked: list[None] = []
    recovery = DeviceRecovery(model, lambda: asked.append(None))
    recipe = model.configure(
        NodeSettings(segmenter=SegmenterSettings(weights=weights, device="cpu"))
    )
    # As if it had been loaded while there was such a device.
    there = replace(recipe.settings.segmenter, device="cuda:99", precision="float16")
    settings = replace(recipe.settings, segmenter=there)
    model.recipe = Recipe.create(recipe.segmenter, settings)
    for count in range(1, FAILURES_ALLOWED + 2):
        assert len(asked) == 0
        recovery.failed(DeviceError("device cuda:99 failed: unspecified launch failure"))
        assert f"{count} frames in a row" in recovery.problems[0]
    assert len(asked) == 1

    stands_in = run(executor, recovery.recover())
    assert stands_in is model.recipe
    assert stands_in.segmenter.device == torch.device("cpu")
    assert stands_in.segmenter.precision == "float32"
    assert stands_in.settings == settings
    assert stands_in.segmenter.step(images[0]).memory_frames == 0
    recovery.worked()
    (problem,) = recovery.problems
    assert "cuda:99 failed, cpu stands in" in problem

    assert run(executor, recovery.return_to_device()) is None
    assert recovery.stands_in
    # Overlay settings still change, and do not ask for a model that is not there.
    changed = replace(settings, max_rate=3.0)
    model.prepare(changed)
    model.adopt(changed)
    assert model.recipe.segmenter is stands_in.segmenter


@pytest.mark.cuda
def test_a_device_that_is_back_is_used_again(
    executor: SingleThreadedExecutor, weights: str
) -> None:
    model = LiveModel(ModelLoader(executor.wake))
    recovery = DeviceRecovery(model, lambda: None)
    model.configure(NodeSettings(segmenter=SegmenterSettings(weights=weights, device="cuda")))
    for device in ("cuda", "cpu"):
        for _ in range(FAILURES_ALLOWED + 1):
            recovery.failed(DeviceError("device cuda failed: out of memory"))
        assert run(executor, recovery.recover()).segmenter.device.type == device
    assert recovery.stands_in
    recipe = run(executor, recovery.return_to_device())
    assert recipe.segmenter.device.type == "cuda"
    assert not recovery.stands_in
