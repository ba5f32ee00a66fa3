"""Transitions that fail, and networks that do not end: the node reports it and can be mended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger
from support.camera_run import CameraRun
from support.lifecycle import frames_arriving, listen_to_transitions, living_models
from support.ros_graph import (
    RELIABLE_INPUT,
    Listener,
    RosGraph,
    diagnostic_values,
    image_message,
    wait_for,
)
from support.stuck_network import StuckNetwork

from tdnet import StreamingSegmenter
from tdnet_ros.msg import SegmentationStatus
from tdnet_ros.rclpy_tools.manager_bond import ManagerBond
from tdnet_ros.segment_node import SegmentNode


def test_a_stuck_network_does_not_keep_the_node_and_its_frame_is_never_published(
    graph: RosGraph,
    weights: str,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    stuck: StuckNetwork,
) -> None:
    graph.start(weights=weights, device="cpu")
    wait_for(lambda: graph.state() == "active", "the node to be active")
    log = graph.listen_to_log()
    diagnostics = graph.listen(DiagnosticArray, "/diagnostics")
    run = CameraRun(graph)
    graph.camera().publish(image_message(images[5], 1e5))
    assert stuck.reached.wait(20)

    assert graph.transition("deactivate")
    text = log.wait_for_text("the network is still at work on a frame")
    wait_for(
        lambda: [m.status[0].message for m in diagnostics.messages[-1:]] == [text],
        "the diagnostics",
    )
    assert graph.transition("activate")
    run.activated()
    run.send(images[0], 1e6)
    stuck.release.set()
    run.wait()
    wait_for(lambda: _state_and_level(diagnostics) == ("active", b"\0"), "the problem to be over")
    run.send(images[1], 1e6 + 0.1)
    run.wait()
    # Every answer is compared with what was sent: the frame that was stuck has none.
    assert run.check(segmenter) == ["activated", ""]


def test_a_model_that_is_loaded_anew_does_not_wait_for_a_stuck_one(
    graph: RosGraph, weights: str, images: list[np.ndarray], stuck: StuckNetwork
) -> None:
    graph.start(weights=weights, device="cpu", idle_without_subscribers=False)
    wait_for(lambda: graph.state() == "active", "the node to be active")
    graph.camera().publish(image_message(images[5], 1e5))
    assert stuck.reached.wait(20)
    for label in ("deactivate", "cleanup", "configure", "activate"):
        assert graph.transition(label)
    labels = graph.listen(Image, "/tdnet/labels")
    stuck.reached.clear()
    graph.camera().publish(image_message(images[0], 1e6))
    assert stuck.reached.wait(20)
    stuck.release.set()
    assert [message.header.stamp.sec for message in labels.wait(1)] == [10**6]


def test_a_pause_drops_the_frame_that_waits(
    active: RosGraph, images: list[np.ndarray], stuck: StuckNetwork
) -> None:
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    camera.publish(image_message(images[0], 0.0))
    assert stuck.reached.wait(20)
    camera.publish(image_message(images[1], 0.1))
    active.wait_until_received(2)
    assert active.call(SetBool, "/tdnet/enable", SetBool.Request(data=False)).success
    stuck.release.set()
    active.wait_until_counted("dropped while paused", 1)
    assert active.call(SetBool, "/tdnet/enable", SetBool.Request(data=True)).success
    camera.publish(image_message(images[2], 0.2))
    last = status.wait(2)[1]
    assert (last.received, last.segmented, last.dropped) == (3, 2, 1)
    assert last.reset_reason == "paused"


class UnclosableBond(ManagerBond):
    """A bond whose topic is gone."""

    def __init__(self) -> None:
        """Form no bond, which needs a package without wheels."""

    def close(self) -> None:
        raise RuntimeError("its topic is gone")


def test_a_bond_that_cannot_be_closed_does_not_keep_the_node_active(
    graph: RosGraph, weights: str, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    node = graph.start(weights=weights, device="cpu")
    wait_for(lambda: graph.state() == "active", "the node to be active")
    log = graph.listen_to_log()
    run = CameraRun(graph)
    node._bond = UnclosableBond()
    assert graph.transition("deactivate")
    log.wait_for_text("while the bond was closed, RuntimeError: its topic is gone")
    run.send_to_nobody(images[0], 1e5)
    assert graph.transition("activate")
    run.activated()
    run.send(images[0], 1e6)
    run.wait()
    assert run.check(segmenter) == ["activated"]


class Interrupted(SegmentNode):
    """A node whose transitions fail once each, after everything was done."""

    failing = ""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._fail_in("configure", super().on_configure(state))

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._fail_in("activate", super().on_activate(state))

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._fail_in("deactivate", super().on_deactivate(state))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._fail_in("cleanup", super().on_cleanup(state))

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._fail_in("shutdown", super().on_shutdown(state))

    def _fail_in(
        self, transition: str, result: TransitionCallbackReturn
    ) -> TransitionCallbackReturn:
        if self.failing == transition:
            self.failing = ""
            raise RuntimeError(f"{transition} is interrupted")
        return result


@pytest.mark.parametrize(
    ("way", "failing"),
    [
        pytest.param((), "configure", marks=pytest.mark.distribution),
        (("configure",), "activate"),
        pytest.param(("configure", "activate"), "deactivate", marks=pytest.mark.distribution),
        (("configure",), "cleanup"),
        (("configure", "activate"), "shutdown"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_within_a_transition_leads_back_to_the_start(
    graph: RosGraph,
    weights: str,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    way: tuple[str, ...],
    failing: str,
) -> None:
    parameters = {**RELIABLE_INPUT, "weights": weights, "device": "cpu", "autostart": False}
    node = graph.start_with(parameters, Interrupted)
    assert isinstance(node, Interrupted)
    events = listen_to_transitions(graph)
    diagnostics = graph.listen(DiagnosticArray, "/diagnostics")
    log = graph.listen_to_log()
    others = living_models()
    for label in way:
        assert graph.transition(label)
    node.failing = failing
    with frames_arriving(graph, images):
        assert not graph.transition(failing)
    assert graph.state() == "unconfigured"
    assert "unconfigured" in log.wait_for_text("error in a transition")
    wait_for(lambda: living_models() == others, "the model to be gone")
    wait_for(lambda: _state_and_level(diagnostics) == ("unconfigured", b"\x02"), "an error")
    expected = ["errorprocessing", "unconfigured"]
    wait_for(
        lambda: [m.goal_state.label for m in events.messages][-2:] == expected, "the way back"
    )

    assert graph.transition("configure")
    assert graph.transition("activate")
    wait_for(lambda: _state_and_level(diagnostics)[0] == "active", "the error to be over")
    run = CameraRun(graph)
    run.send(images[0], 1e6)
    run.wait()
    assert run.check(segmenter) == ["activated"]


def _state_and_level(diagnostics: Listener) -> tuple[str, bytes]:
    if not diagnostics.messages:
        return "", b""
    model = diagnostics.messages[-1].status[0]
    return diagnostic_values(model)["state"], model.level


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


@pytest.mark.distribution
def test_an_unknown_qos_override_fails_the_activation(graph: RosGraph, weights: str) -> None:
    name = next(
        name for name in RELIABLE_INPUT if name.endswith("/image.subscription.reliability")
    )
    graph.start_with({"weights": weights, "device": "cpu", name: "sometimes"})
    log = graph.listen_to_log()
    text = log.wait_for_text("cannot activate: ")
    assert "sometimes" in text
    assert graph.state() == "inactive"
