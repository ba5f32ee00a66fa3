"""What the middleware reports of peers, and where it cannot."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from std_msgs.msg import String
from support.ros_graph import RosGraph, wait_for

from tdnet_ros.rclpy_tools import qos_events
from tdnet_ros.rclpy_tools.qos_events import QosIncidents

pytestmark = pytest.mark.distribution

TOPIC = "/words"
WEAK = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
STRICT = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def node(graph: RosGraph) -> Node:
    """Any node: the incidents are those of its endpoints."""
    return graph.user


def subscribe(node: Node, incidents: QosIncidents, lose: Callable[[int], None]) -> Subscription:
    callbacks = incidents.subscription_callbacks(TOPIC, lose)
    return node.create_subscription(String, TOPIC, print, STRICT, event_callbacks=callbacks)


def publish(node: Node, incidents: QosIncidents) -> Publisher:
    callbacks = incidents.publisher_callbacks(TOPIC)
    return node.create_publisher(String, TOPIC, STRICT, event_callbacks=callbacks)


def forgotten(node: Node, incidents: QosIncidents) -> bool:
    incidents.recheck(node)
    return not incidents.texts


def test_a_publisher_is_remembered_while_it_is_there(node: Node) -> None:
    incidents = QosIncidents()
    subscribe(node, incidents, print)
    first, second = (node.create_publisher(String, TOPIC, WEAK) for _ in range(2))
    wait_for(lambda: incidents.texts, "the incident")
    assert (
        f"the publisher of {TOPIC} offers an incompatible QoS (RELIABILITY)"
        in (incidents.texts[0])
    )
    node.destroy_publisher(first)
    wait_for(lambda: node.count_publishers(TOPIC) == 1, "the first to be gone")
    with pytest.raises(AssertionError):
        wait_for(lambda: forgotten(node, incidents), "", timeout=2 * qos_events.DISCOVERY_SECONDS)
    node.destroy_publisher(second)
    wait_for(lambda: forgotten(node, incidents), "the incident to end")


def test_a_subscriber_is_remembered_while_it_is_there(node: Node) -> None:
    incidents = QosIncidents()
    publish(node, incidents)
    bad = node.create_subscription(String, TOPIC, print, LATCHED)
    node.create_subscription(String, TOPIC, print, WEAK)
    wait_for(lambda: incidents.texts, "the incident")
    assert (
        f"a subscriber of {TOPIC} asks for an incompatible QoS (DURABILITY)"
        in (incidents.texts[0])
    )
    node.destroy_subscription(bad)
    wait_for(lambda: forgotten(node, incidents), "the incident to end")


def test_what_others_do_to_each_other_is_not_ours(node: Node) -> None:
    """Two strangers on the topic do not fit; our own endpoint is gone."""
    incidents = QosIncidents()
    ours = subscribe(node, incidents, print)
    node.create_publisher(String, TOPIC, WEAK)
    wait_for(lambda: incidents.texts, "the incident")
    node.destroy_subscription(ours)
    wait_for(lambda: forgotten(node, incidents), "the incident to end")


def test_a_middleware_that_does_not_count_lost_messages(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The subscription is created, and reports incompatible publishers."""

    module = sys.modules[qos_events.SubscriptionEventCallbacks.__module__]
    name = "EventHandler" if hasattr(module, "EventHandler") else "QoSEventHandler"  # Humble
    handler = getattr(module, name)

    def without_lost(*, event_type: Any, **others: Any) -> Any:
        if "MESSAGE_LOST" in event_type.name:
            raise qos_events.UnsupportedEventTypeError("no such event")
        return handler(event_type=event_type, **others)

    monkeypatch.setattr(module, name, without_lost)
    incidents = QosIncidents()
    subscribe(node, incidents, print)
    node.create_publisher(String, TOPIC, WEAK)
    wait_for(lambda: incidents.texts, "the incident")
