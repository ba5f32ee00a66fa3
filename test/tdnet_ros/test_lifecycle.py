"""Every transition from every state, what it frees, and what it says where it fails."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from support.camera_run import CameraRun
from support.ros_graph import (
    RELIABLE_INPUT,
    Listener,
    RosGraph,
    diagnostic_values,
    image_message,
    wait_for,
)

from tdnet import StreamingSegmenter
from tdnet_ros.rclpy_tools.process_memory import host_mebibytes
from tdnet_ros.segment_node import SegmentNode

# By their numbers, as Nav2's lifecycle manager asks for them.
IDS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "shutdown unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "shutdown inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "shutdown active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
    "create": Transition.TRANSITION_CREATE,
    "success, as only the node itself may say": Transition.TRANSITION_ON_CONFIGURE_SUCCESS,
    "nonsense": 200,
}
LABELS = ("configure", "cleanup", "activate", "deactivate", "shutdown", "nonsense")
# State: how it is reached, and where each allowed transition leads.
TABLE: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "unconfigured": ((), {"configure": "inactive", "shutdown": "finalized"}),
    "inactive": (
        ("configure",),
        {"activate": "active", "cleanup": "unconfigured", "shutdown": "finalized"},
    ),
    "active": (("configure", "activate"), {"deactivate": "inactive", "shutdown": "finalized"}),
    "finalized": (("configure", "activate", "shutdown"), {}),
}


def ask(graph: RosGraph, transition: Transition) -> bool:
    request = ChangeState.Request(transition=transition)
    return graph.call(ChangeState, "/tdnet/change_state", request).success


@pytest.mark.parametrize("state", TABLE)
def test_what_a_state_does_not_allow_is_refused_and_changes_nothing(
    graph: RosGraph, weights: str, segmenter: StreamingSegmenter, images: list[Any], state: str
) -> None:
    graph.start(weights=weights, device="cpu", autostart=False)
    way, allowed = TABLE[state]
    for label in way:
        assert graph.transition(label)
    run = CameraRun(graph) if state == "active" else None
    asked = [Transition(label=label) for label in LABELS if label not in allowed]
    asked += [
        Transition(id=number)
        for name, number in IDS.items()
        if name not in allowed and name != f"shutdown {state}"
    ]
    for count, transition in enumerate(asked):
        assert not ask(graph, transition), transition
        assert graph.state() == state
        if run is not None:
            run.send(images[count % 10], count / 10)
            run.wait()
    if run is not None:
        assert run.check(segmenter) == ["activated", *[""] * (len(asked) - 1)]


@pytest.mark.parametrize("by_id", [False, True], ids=["label", "id"])
def test_what_a_state_allows_leads_where_it_should(
    graph: RosGraph, weights: str, by_id: bool
) -> None:
    graph.start(weights=weights, device="cpu", autostart=False)
    events = listen_to_transitions(graph)
    way = ["configure", "cleanup", "configure", "activate", "deactivate", "activate", "deactivate"]
    way += ["cleanup", "configure", "activate", "shutdown"]
    states = ["unconfigured"]
    for label in way:
        name = f"shutdown {states[-1]}" if label == "shutdown" else label
        assert ask(graph, Transition(id=IDS[name]) if by_id else Transition(label=label))
        states.append(TABLE[states[-1]][1][label])
        assert graph.state() == states[-1]
    # Each transition passes a state of its own, in which the node works on it.
    between = {"configure": "configuring", "cleanup": "cleaningup", "shutdown": "shuttingdown"}
    between |= {"activate": "activating", "deactivate": "deactivating"}
    expected = []
    for label, before, after in zip(way, states, states[1:], strict=False):
        expected += [(before, between[label]), (between[label], after)]

    def seen() -> list[tuple[str, str]]:
        labels = [(m.start_state.label, m.goal_state.label) for m in events.messages]
        return labels[-len(expected) :]

    wait_for(lambda: seen() == expected, f"all transitions to be told, in order: {seen()}")


def listen_to_transitions(graph: RosGraph) -> Listener:
    """A subscription that hears of every transition from now on."""
    topic = "/tdnet/transition_event"
    events = Listener(graph.user, TransitionEvent, topic, QoSProfile(depth=100))

    def heard() -> bool:
        assert graph.transition("configure")
        assert graph.transition("cleanup")
        return bool(events.messages)

    wait_for(heard, topic)
    return events


@pytest.mark.parametrize("state", ["unconfigured", "inactive", "active"])
def test_shutdown_ends_it_from_any_state(graph: RosGraph, weights: str, state: str) -> None:
    graph.start(weights=weights, device="cpu", autostart=False)
    others = living_models()
    for label in TABLE[state][0]:
        assert graph.transition(label)
    diagnostics = graph.listen(DiagnosticArray, "/diagnostics")
    assert graph.transition("shutdown")
    assert graph.state() == "finalized"
    wait_for(lambda: living_models() == others, "the model to be gone")
    told = diagnostics.wait(len(diagnostics.messages) + 2)[-1].status
    assert [diagnostic_values(status)["state"] for status in told] == ["finalized"]


def living_models() -> int:
    gc.collect()
    return sum(isinstance(item, StreamingSegmenter) for item in gc.get_objects())


@contextmanager
def frames_arriving(graph: RosGraph, images: list[np.ndarray]) -> Iterator[None]:
    """A camera that sends whatever the node does: 100 frames a second."""
    camera = graph.user.create_publisher(Image, "/image", QoSProfile(depth=1))
    sent = 0

    def send() -> None:
        nonlocal sent
        sent += 1
        camera.publish(image_message(images[sent % 10], sent / 100))

    timer = graph.user.create_timer(0.01, send)
    yield
    graph.user.destroy_timer(timer)


def test_ten_times_through_all_states_while_frames_arrive(
    graph: RosGraph, weights: str, images: list[np.ndarray]
) -> None:
    """Each time the node works, and each time everything is given back."""
    graph.start(weights=weights, device="cpu", autostart=False)
    others = living_models()
    outputs = ("labels", "status", "overlay/compressed", "label_info", "class_map")
    used = []
    with frames_arriving(graph, images):
        for _ in range(10):
            assert graph.transition("configure")
            assert graph.transition("activate")
            labels = graph.listen(Image, "/tdnet/labels")
            labels.wait(2)
            assert graph.transition("deactivate")
            assert graph.transition("cleanup")
            assert graph.state() == "unconfigured"
            labels.close()
            used.append(host_mebibytes())
    for output in outputs:
        topic = f"/tdnet/{output}"
        wait_for(lambda t=topic: not graph.user.count_publishers(t), f"no {topic}")
    wait_for(lambda: living_models() == others, "every model to be gone")
    # MiB; eight models that stay would be a hundred.
    assert used[-1] - used[1] < 30, used


@pytest.mark.cuda
def test_the_device_gets_its_memory_back(
    graph: RosGraph, weights: str, images: list[np.ndarray]
) -> None:
    graph.start(weights=weights, device="cuda", autostart=False)
    allocated = []
    with frames_arriving(graph, images):
        for _ in range(4):
            allocated.append(torch.cuda.memory_allocated())
            assert graph.transition("configure")
            assert graph.transition("activate")
            labels = graph.listen(Image, "/tdnet/labels")
            labels.wait(5)
            assert torch.cuda.memory_allocated() > allocated[-1] + 10**6
            assert graph.transition("deactivate")
            assert graph.transition("cleanup")
            labels.close()
    # The first time leaves the workspace of CUDA's libraries behind, which every later one uses.
    assert allocated[1:] == [allocated[1]] * 3


@pytest.mark.skipif(
    not hasattr(Subscription, "CallbackType"),
    reason="needs the times of messages, which Humble lacks: `make test ROS=jazzy` or kilted",
)
def test_nothing_is_published_once_deactivate_has_returned(
    graph: RosGraph, weights: str, images: list[np.ndarray]
) -> None:
    """Of a network that takes so long for a frame that one is at work then."""
    graph.start(weights=weights, device="cpu", input_size=[257, 513])
    published: list[int] = []

    def receive(message: Image, info: dict[str, int]) -> None:
        published.append(info["source_timestamp"])

    labels = graph.listen(Image, "/tdnet/labels")
    graph.user.create_subscription(Image, "/tdnet/labels", receive, 10)
    with frames_arriving(graph, images):
        for _ in range(2):
            labels.wait(len(labels.messages) + 2)
            assert graph.transition("deactivate")
            returned = time.time_ns()
            time.sleep(0.2)
            assert published[-1] < returned
            assert graph.transition("activate")


def test_the_node_answers_while_its_model_loads_and_activates_at_once(
    graph: RosGraph, weights: str
) -> None:
    graph.start(weights=weights, device="cpu", autostart=False, input_size=[513, 1025])
    took = {}
    for label in ("configure", "activate"):
        client = graph.user.create_client(ChangeState, "/tdnet/change_state")
        assert client.wait_for_service(20)
        began = time.monotonic()
        answer = client.call_async(ChangeState.Request(transition=Transition(label=label)))
        states = []
        while not answer.done():
            states.append((graph.state(), answer.done()))
        took[label] = time.monotonic() - began
        assert answer.result().success
        if label == "configure":
            # The state stays what it was until the model is there.
            assert ("unconfigured", False) in states
    # Every sub-network ran once in configure, none since.
    assert took["activate"] < took["configure"] / 3


def test_what_comes_while_the_first_model_loads_has_its_answer(
    graph: RosGraph, weights: str
) -> None:
    others = living_models()
    graph.start(weights=weights, device="cpu", autostart=False, input_size=[513, 1025])
    client = graph.user.create_client(ChangeState, "/tdnet/change_state")
    assert client.wait_for_service(20)

    def request(label: str) -> Any:
        return client.call_async(ChangeState.Request(transition=Transition(label=label)))

    first, second = request("configure"), request("configure")
    wait_for(second.done, "both answers")
    assert (first.result().success, second.result().success) == (True, False)
    assert graph.transition("cleanup")
    first = request("configure")
    assert graph.transition("shutdown")
    wait_for(first.done, "an answer to who configured")
    assert not first.result().success
    assert graph.state() == "finalized"
    wait_for(lambda: living_models() == others, "the model to be gone")


class StuckNetwork:
    """While it is set, whatever the inference thread runs of any network waits."""

    def __init__(self) -> None:
        self.reached, self.release = threading.Event(), threading.Event()

    def __call__(self, module: torch.nn.Module, inputs: Any) -> None:
        if threading.current_thread().name == "inference" and not self.release.is_set():
            self.reached.set()
            assert self.release.wait(60)


@pytest.fixture
def stuck() -> Iterator[StuckNetwork]:
    stuck = StuckNetwork()
    hook = torch.nn.modules.module.register_module_forward_pre_hook(stuck)
    yield stuck
    stuck.release.set()
    hook.remove()


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
        ((), "configure"),
        (("configure",), "activate"),
        (("configure", "activate"), "deactivate"),
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


def test_an_unknown_qos_override_fails_the_activation(graph: RosGraph, weights: str) -> None:
    name = next(
        name for name in RELIABLE_INPUT if name.endswith("/image.subscription.reliability")
    )
    graph.start_with({"weights": weights, "device": "cpu", name: "sometimes"})
    log = graph.listen_to_log()
    text = log.wait_for_text("cannot activate: ")
    assert "sometimes" in text
    assert graph.state() == "inactive"
