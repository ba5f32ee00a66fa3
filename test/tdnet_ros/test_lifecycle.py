"""Every transition from every state, what it frees, and what it waits for."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from support.camera_run import CameraRun
from support.lifecycle import frames_arriving, listen_to_transitions, living_models
from support.ros_graph import RosGraph, diagnostic_values, wait_for

from tdnet import StreamingSegmenter
from tdnet._util.process_usage import usage_of

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


@pytest.mark.distribution
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


@pytest.mark.distribution
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


def test_ten_times_through_all_states_while_frames_arrive(
    graph: RosGraph, weights: str, images: list[np.ndarray]
) -> None:
    """Each time the node works, and each time it releases everything."""
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
            used.append(usage_of().resident_mib)
    for output in outputs:
        topic = f"/tdnet/{output}"
        wait_for(lambda t=topic: not graph.user.count_publishers(t), f"no {topic}")
    wait_for(lambda: living_models() == others, "every model to be gone")
    # MiB; eight models that stay would be a hundred.
    assert used[-1] - used[1] < 30, used


@pytest.mark.distribution
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


@pytest.mark.distribution
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
