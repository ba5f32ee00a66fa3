"""Every transition, what it frees, and what it says where it fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from support.ros_graph import RELIABLE_INPUT, RosGraph, image_message, pixels_of, wait_for

from tdnet import StreamingSegmenter
from tdnet_ros.msg import SegmentationStatus


def test_by_hand_through_all_states_twice(
    graph: RosGraph, weights: str, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    graph.start(weights=weights, device="cpu", autostart=False)
    assert graph.state() == "unconfigured"
    expected = segmenter.step(images[0]).labels
    for _ in range(2):
        assert graph.transition("configure")
        assert graph.state() == "inactive"
        assert graph.transition("activate")
        assert graph.state() == "active"
        labels = graph.listen(Image, "/tdnet/labels")
        camera = graph.camera()
        camera.publish(image_message(images[0], 1.0))
        np.testing.assert_array_equal(pixels_of(labels.wait()[0]), expected)
        labels.close()
        graph.user.destroy_publisher(camera)
        assert graph.transition("deactivate")
        assert graph.transition("cleanup")
        assert graph.state() == "unconfigured"
    assert graph.transition("shutdown")
    assert graph.state() == "finalized"


def test_activation_starts_anew(active: RosGraph, images: list[np.ndarray]) -> None:
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    for seconds in (0.0, 0.1):
        camera.publish(image_message(images[0], seconds))
        status.wait(1 + (seconds > 0))
    assert active.transition("deactivate")
    wait_for(lambda: camera.get_subscription_count() == 0, "the subscription to be gone")
    camera.publish(image_message(images[1], 0.2))
    assert active.transition("activate")
    wait_for(camera.get_subscription_count, "the subscription")
    camera.publish(image_message(images[2], 0.3))
    message = status.wait(3)[2]
    assert message.header.stamp.nanosec == 300_000_000
    assert (message.reset_reason, message.memory_frames) == ("activated", 0)
    assert (message.received, message.segmented) == (1, 1)


def test_nothing_is_published_after_deactivation(
    active: RosGraph, images: list[np.ndarray]
) -> None:
    labels = active.listen(Image, "/tdnet/labels")
    camera = active.camera()
    for _ in range(3):
        for index in range(20):
            camera.publish(image_message(images[index % 10], index / 10))
        assert active.transition("deactivate")
        published = list(labels.messages)
        assert active.state() == "inactive"
        assert labels.messages == published
        assert active.transition("activate")
        wait_for(camera.get_subscription_count, "the subscription")


@pytest.mark.parametrize(
    ("parameters", "part"),
    [
        ({"weights": "missing.safetensors"}, "missing.safetensors"),
        ({"variant": "psp18-nano"}, "psp18-nano"),
        ({"class_map": "nowhere.yaml"}, "nowhere.yaml"),
        ({"class_map": "nyudv2"}, "19 classes, the model 40"),
        ({"device": "cuda:63"}, "cuda:63"),
        ({"overlay__hidden_classes": ["unicorn"]}, "unicorn"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
)
def test_a_failing_configure_says_why_and_can_be_mended(
    graph: RosGraph, weights: str, parameters: dict[str, object], part: str
) -> None:
    right = {"weights": weights, "device": "cpu", "autostart": False}
    graph.start(**{**right, **parameters})
    log = graph.listen_to_log()
    diagnostics = graph.listen(DiagnosticArray, "/diagnostics")
    assert not graph.transition("configure")
    assert graph.state() == "unconfigured"
    text = log.wait_for_text("cannot configure: ")
    assert part in text
    assert "\n" not in text

    def reported() -> bool:
        status = diagnostics.messages[-1].status[0] if diagnostics.messages else None
        return status is not None and (status.level, status.message) == (b"\x02", text)

    wait_for(reported, "the diagnostics to say so")
    mended = {
        "weights": weights,
        "variant": "td4-psp18-nano",
        "class_map": "",
        "device": "cpu",
        "overlay__hidden_classes": ["sky"],
    }
    assert all(result.successful for result in graph.set_parameters(**mended))
    assert graph.transition("configure")
    assert graph.transition("activate")


def test_autostart_without_weights_stays_up_and_says_so(graph: RosGraph, tmp_path: Path) -> None:
    graph.start(weights=str(tmp_path / "none.safetensors"), device="cpu")
    log = graph.listen_to_log()
    log.wait_for_text("none.safetensors")
    assert graph.state() == "unconfigured"
    answer = graph.call(Trigger, "/tdnet/reset_memory", Trigger.Request())
    assert not answer.success
    assert "not active" in answer.message


def test_an_unknown_qos_override_fails_the_activation(graph: RosGraph, weights: str) -> None:
    name = next(
        name for name in RELIABLE_INPUT if name.endswith("/image.subscription.reliability")
    )
    graph.start_with({"weights": weights, "device": "cpu", name: "sometimes"})
    log = graph.listen_to_log()
    text = log.wait_for_text("cannot activate: ")
    assert "sometimes" in text
    assert graph.state() == "inactive"
