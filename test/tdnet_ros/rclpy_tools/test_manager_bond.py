"""The bond of an active node, with bondpy where it is installed, and one line without it."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest
from support.ros_graph import RosGraph, wait_for

from tdnet_ros.rclpy_tools import manager_bond
from tdnet_ros.rclpy_tools.manager_bond import BondError, check_bondpy

INSTALLED = importlib.util.find_spec("bondpy") is not None
WITHOUT = (
    "needs bondpy, which has no wheels: `make test` on a ROS 2 machine with ros-$ROS_DISTRO-bondpy"
)


@pytest.mark.skipif(INSTALLED, reason="bondpy is installed: nothing is missing")
def test_without_bondpy_configure_fails_with_the_remedy(graph: RosGraph, weights: str) -> None:
    node = graph.start(weights=weights, device="cpu", bond=True, autostart=False)
    log = graph.listen_to_log()
    assert not graph.transition("configure")
    text = log.wait_for_text("cannot configure: bond is true, but the ROS package bondpy")
    assert "install ros-$ROS_DISTRO-bondpy, or set bond to false" in text
    with pytest.raises(BondError):
        check_bondpy()
    assert all(result.successful for result in graph.set_parameters(bond=False))
    assert graph.transition("configure")
    assert node.get_parameter("bond").value is False


@pytest.mark.skipif(not INSTALLED, reason=WITHOUT)
def test_the_manager_sees_the_node_while_it_is_active(graph: RosGraph, weights: str) -> None:
    graph.start(weights=weights, device="cpu", bond=True, autostart=False)
    assert graph.transition("configure")
    for _ in range(2):
        events: list[str] = []
        assert graph.transition("activate")
        manager: Any = check_bondpy()(
            graph.user,
            "bond",
            "tdnet",
            on_broken=lambda events=events: events.append("broken"),
            on_formed=lambda events=events: events.append("formed"),
        )
        manager.set_heartbeat_timeout(4.0)
        manager.start()
        wait_for(lambda events=events: events == ["formed"], "the bond")
        assert graph.transition("deactivate")
        wait_for(lambda events=events: events == ["formed", "broken"], "the end of the bond")
        manager.shutdown()
        graph.user.destroy_subscription(manager.sub)
        graph.user.destroy_publisher(manager.pub)


@pytest.mark.skipif(not INSTALLED, reason=WITHOUT)
def test_every_manager_that_dies_is_reported(
    graph: RosGraph, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager_bond, "HEARTBEAT_TIMEOUT", 0.5)
    status = importlib.import_module("bond.msg").Status
    node = graph.start(weights=weights, device="cpu", bond=True, autostart=False)
    manager = graph.user.create_publisher(status, "/bond", 1)
    log = graph.listen_to_log()
    assert graph.transition("configure")
    for number in (1, 2):
        assert graph.transition("activate")
        wait_for(manager.get_subscription_count, "the subscription of the bond")
        beat = status(id="tdnet", instance_id=f"manager {number}", active=True)
        beats = iter(range(20))
        wait_for(lambda b=beat, n=beats: manager.publish(b) or next(n) == 19, "heartbeats")
        wait_for(
            lambda n=number: log.count("no bond with a lifecycle manager") == n,
            f"the end of bond {number}",
        )
        assert graph.transition("deactivate")
        wait_for(lambda: not manager.get_subscription_count(), "the end of the subscription")
    assert not node.has_parameter(manager_bond.DISABLE_TIMEOUT)
