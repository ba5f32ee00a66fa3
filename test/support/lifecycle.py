"""Transitions of the node under test, and what tests watch during them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from lifecycle_msgs.msg import TransitionEvent
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from support.ros_graph import Listener, RosGraph, image_message, wait_for
from tdnet import StreamingSegmenter


def listen_to_transitions(graph: RosGraph) -> Listener:
    """A subscription that receives every transition from now on."""
    topic = "/tdnet/transition_event"
    events = Listener(graph.user, TransitionEvent, topic, QoSProfile(depth=100))

    def heard() -> bool:
        assert graph.transition("configure")
        assert graph.transition("cleanup")
        return bool(events.messages)

    wait_for(heard, topic)
    return events


def living_models() -> int:
    """Number of models that something refers to."""
    gc.collect()
    return sum(isinstance(item, StreamingSegmenter) for item in gc.get_objects())


@contextmanager
def frames_arriving(graph: RosGraph, images: list[np.ndarray]) -> Iterator[None]:
    """A camera that sends 100 frames a second, in any state of the node."""
    camera = graph.user.create_publisher(Image, "/image", QoSProfile(depth=1))
    sent = 0

    def send() -> None:
        nonlocal sent
        sent += 1
        camera.publish(image_message(images[sent % 10], sent / 100))

    timer = graph.user.create_timer(0.01, send)
    yield
    graph.user.destroy_timer(timer)
