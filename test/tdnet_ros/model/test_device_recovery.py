"""A device that fails in the network: no frame is shown wrong, and the node lives."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from support.precisions import precision_of_a_cpu
from support.ros_graph import RosGraph, image_message, pixels_of, wait_for
from torch.nn.modules.module import register_module_forward_pre_hook

from tdnet import SegmenterSettings, StreamingSegmenter
from tdnet.errors import DeviceError
from tdnet.network import TDNet
from tdnet.network.resnet import ResNet
from tdnet.network.temporal_memory import FrameFeatures, MemoryEntry
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.model.device_recovery import FAILURES_ALLOWED, DeviceRecovery
from tdnet_ros.model.model_loading import ModelLoader, ModelLoadError
from tdnet_ros.model.model_slot import ModelSlot
from tdnet_ros.msg import SegmentationStatus
from tdnet_ros.parameters import NodeSettings

Fail = Callable[[int], None]


@pytest.fixture
def fail() -> Iterator[Fail]:
    """Has PyTorch raise what a device raises, in the next inferences of the node."""
    left = 0

    def hook(module: torch.nn.Module, inputs: Any) -> None:
        nonlocal left
        # Not what follows a frame: it may still be at work when a test goes on.
        if left and isinstance(module, ResNet) and at_inference():
            left -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def start(count: int) -> None:
        nonlocal left
        left = count

    handle = register_module_forward_pre_hook(hook)
    yield start
    handle.remove()


@pytest.fixture
def active(graph: RosGraph, weights: str) -> RosGraph:
    """A graph with the node, active, whose network PyTorch runs: it is what the tests break."""
    graph.start(weights=weights, device="cpu", runtime="torch", precision="float32")
    wait_for(lambda: graph.state() == "active", "the node to be active")
    return graph


@pytest.fixture
def segmenter(weights: str) -> StreamingSegmenter:
    """The model of the node, driven directly."""
    return SegmenterSettings(
        weights=weights, device="cpu", runtime="torch", precision="float32"
    ).build()


def at_inference() -> bool:
    return threading.current_thread().name == "inference"


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


def test_a_failure_after_a_frame_costs_its_memory(
    active: RosGraph,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = active.listen(Image, "/tdnet/labels")
    status = active.listen(SegmentationStatus, "/tdnet/status")
    log = active.listen_to_log()
    camera = active.camera()
    memory_entry = TDNet.memory_entry

    def fail(network: TDNet, frame: FrameFeatures, path: int) -> MemoryEntry:
        if at_inference():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return memory_entry(network, frame, path)

    monkeypatch.setattr(TDNet, "memory_entry", fail)
    camera.publish(image_message(images[0], 0.0))
    assert "out of memory" in log.wait_for_text("memory of /image: device cpu failed")
    monkeypatch.undo()
    camera.publish(image_message(images[1], 0.1))
    for image, message in zip(images, labels.wait(2), strict=False):
        segmenter.reset()
        np.testing.assert_array_equal(pixels_of(message), segmenter.step(image).labels)
    message = status.wait(2)[1]
    assert message.reset_reason == "error while processing the frame before"
    assert (message.received, message.segmented, message.refused) == (2, 2, 0)


def test_a_cpu_that_keeps_failing_is_an_error_until_it_works(
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
    failures = 2 * FAILURES_ALLOWED + 2
    fail(failures)
    for number in range(failures):
        camera.publish(image_message(images[number], number / 10))
        active.wait_until_received(number + 1)
    wait_for(
        lambda: model_level(diagnostics.messages) == DiagnosticStatus.ERROR,
        "an error in the diagnostics",
    )
    camera.publish(image_message(images[8], 1.0))
    np.testing.assert_array_equal(pixels_of(labels.wait()[0]), segmenter.step(images[8]).labels)
    wait_for(
        lambda: model_level(diagnostics.messages) == DiagnosticStatus.OK,
        "the node to be well again",
    )
    message = status.wait()[0]
    assert message.refused + message.dropped == failures
    assert not any("CPU replaces" in text for text in log.texts)


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


class Broken:
    """A model of a device that is gone."""

    def __init__(self, executor: SingleThreadedExecutor, weights: str, device: str) -> None:
        self.requests = 0
        self.model = ModelSlot(ModelLoader(executor.wake, torch.get_num_threads()))
        self.recovery = DeviceRecovery(self.model, self.request)
        built = self.model.configure(
            NodeSettings(
                segmenter=SegmenterSettings(weights=weights, device="cpu", runtime="torch")
            )
        )
        there = replace(built.settings.segmenter, device=device, precision="float16")
        self.settings = replace(built.settings, segmenter=there)
        gone = copy.copy(built.segmenter)
        gone._backend = copy.copy(gone._backend)
        gone._backend.device = torch.device(device)
        self.model.active = ActiveModel(gone, there, built.renderer, self.settings)

    def request(self) -> None:
        self.requests += 1

    def fail(self, count: int = FAILURES_ALLOWED + 1) -> None:
        for _ in range(count):
            self.recovery.failed(DeviceError("device cuda:99 failed: unspecified launch failure"))


@pytest.fixture
def broken(executor: SingleThreadedExecutor, weights: str) -> Broken:
    return Broken(executor, weights, "cuda:99")


def test_the_cpu_replaces_a_device_that_is_gone(
    broken: Broken, executor: SingleThreadedExecutor, images: list[np.ndarray]
) -> None:
    model, recovery = broken.model, broken.recovery
    broken.fail(FAILURES_ALLOWED)
    assert (broken.requests, recovery.due) == (0, False)
    broken.fail(5)
    assert (broken.requests, recovery.due) == (1, True)
    assert "frames in a row" in recovery.problems[0]

    is_fallback = run(executor, recovery.fall_back())
    assert is_fallback is model.active
    assert is_fallback.is_fallback
    assert is_fallback.segmenter.device == torch.device("cpu")
    assert is_fallback.segmenter.precision == precision_of_a_cpu()
    assert is_fallback.settings == broken.settings
    assert is_fallback.segmenter.step(images[0]).memory_frames == 0
    (problem,) = recovery.problems
    assert "cuda:99 failed, the CPU replaces it" in problem

    assert not recovery.return_due
    assert run(executor, recovery.return_to_device()) is None
    assert model.active is is_fallback
    # Overlay settings still change, and do not ask for a model that is not there.
    changed = replace(broken.settings, max_rate=3.0)
    model.prepare(changed)
    assert model.adopt(changed).segmenter is is_fallback.segmenter
    # To ask for the device again is an attempt, with an answer.
    with pytest.raises(ModelLoadError, match="cuda:99"):
        run(executor, model.load(changed))
    # The fallback may stay.
    kept = replace(changed, segmenter=is_fallback.built_from)
    run(executor, model.load(kept))
    model.prepare(kept)
    assert model.adopt(kept).segmenter is is_fallback.segmenter
    assert recovery.problems == ()


def test_a_provider_of_the_cpu_replaces_tensorrt(
    broken: Broken,
    executor: SingleThreadedExecutor,
    exported_nano: Path,
    images: list[np.ndarray],
) -> None:
    model = broken.model.active
    assert model is not None
    wanted = replace(
        model.settings.segmenter,
        weights=str(exported_nano),
        runtime="onnxruntime",
        provider="tensorrt",
        precision="auto",
    )
    settings = replace(model.settings, segmenter=wanted)
    broken.model.active = replace(model, built_from=wanted, settings=settings)
    broken.fail()
    is_fallback = run(executor, broken.recovery.fall_back())
    assert is_fallback.is_fallback
    assert is_fallback.segmenter.runtime in ("onnxruntime:openvino", "onnxruntime:cpu")
    assert is_fallback.segmenter.device == torch.device("cpu")
    assert is_fallback.settings.segmenter == wanted
    expected = SegmenterSettings(
        weights=str(exported_nano), runtime="onnxruntime", device="cpu"
    ).build()
    np.testing.assert_array_equal(
        is_fallback.segmenter.step(images[0]).labels, expected.step(images[0]).labels
    )
    # Without TensorRT, or its GPU, the next attempt fails, and the CPU goes on.
    assert run(executor, broken.recovery.return_to_device()) is None
    assert broken.model.active is is_fallback


def test_a_frame_that_works_ends_the_count(broken: Broken) -> None:
    for _ in range(5):
        broken.fail(FAILURES_ALLOWED)
        broken.recovery.worked()
    assert (broken.requests, broken.recovery.problems) == (0, ())


def test_a_cpu_that_fails_too_is_not_tried_all_the_time(
    broken: Broken, executor: SingleThreadedExecutor
) -> None:
    model = broken.model.active
    assert model is not None
    gone = replace(model.settings.segmenter, weights="/gone.safetensors")
    broken.model.active = replace(model, settings=replace(model.settings, segmenter=gone))
    broken.fail()
    with pytest.raises(ModelLoadError, match="gone"):
        run(executor, broken.recovery.fall_back())
    broken.fail()
    assert (broken.requests, broken.recovery.due) == (1, False)


def test_a_model_that_came_meanwhile_stays(
    broken: Broken, executor: SingleThreadedExecutor, weights: str
) -> None:
    broken.fail()
    task = executor.create_task(broken.recovery.fall_back())
    executor.spin_once(0)
    broken.model.free()
    fresh = broken.model.configure(
        NodeSettings(segmenter=SegmenterSettings(weights=weights, device="cpu", runtime="torch"))
    )
    executor.spin_until_future_complete(task, 20)
    assert task.done()
    assert task.result() is None
    assert broken.model.active is fresh


@pytest.mark.cuda
def test_a_device_that_is_back_is_used_again(
    executor: SingleThreadedExecutor, weights: str
) -> None:
    model = ModelSlot(ModelLoader(executor.wake, torch.get_num_threads()))
    recovery = DeviceRecovery(model, lambda: None)
    model.configure(NodeSettings(segmenter=SegmenterSettings(weights=weights, device="cuda")))
    for _ in range(FAILURES_ALLOWED + 1):
        recovery.failed(DeviceError("device cuda failed: out of memory"))
    assert run(executor, recovery.fall_back()).segmenter.device.type == "cpu"
    model = run(executor, recovery.return_to_device())
    assert model.segmenter.device.type == "cuda"
    assert not model.is_fallback
    assert recovery.problems == ()
