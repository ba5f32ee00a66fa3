"""Plays the camera topic of a bag with the bag's timing; a process, so that nothing delays it.

    python -m tools.demo.player BAG TOPIC

Waits for a line on its input before it starts. Says line by line on its output what it did:
``sent STAMP_NS MONOTONIC_NS`` for each message.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import rclpy
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image

from tdnet.errors import TdnetError
from tools.demo.camera_bag import CameraBag
from tools.demo.errors import DemoError

MATCH_SECONDS = 30.0
ACKNOWLEDGE_SECONDS = 10.0


def play(bag: CameraBag, publisher: Publisher) -> None:
    """Publish every message when it is due, once somebody listens.

    Raises:
        DemoError: nobody subscribes.
        InputError: the bag is damaged; what is before that place has been published.
    """
    end = time.monotonic() + MATCH_SECONDS
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            raise DemoError(
                f"nobody subscribed to {bag.published_topic} within {MATCH_SECONDS:.0f} s"
            )
        time.sleep(0.01)
    start: tuple[float, int] | None = None
    try:
        for message in bag.messages():
            if start is None:
                start = (time.monotonic(), message.time_ns)
            due = start[0] + (message.time_ns - start[1]) / 1e9
            time.sleep(max(0.0, due - time.monotonic()))
            sent = time.monotonic_ns()
            publisher.publish(message.data)
            print("sent", message.stamp_ns, sent, flush=True)
    finally:
        # The middleware forgets what it has not delivered when its process ends.
        publisher.wait_for_all_acked(Duration(seconds=ACKNOWLEDGE_SECONDS))


def main(path: str, topic: str) -> int:
    """Play one topic of a bag.

    Returns:
        Exit status: 0 all messages published, 2 not, with the reason in one line on stderr.
    """
    try:
        bag = CameraBag(Path(path), topic)
        # A signal ends it at once, also while it waits for its turn.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node("camera_player")
        publisher = node.create_publisher(
            CompressedImage if bag.compressed else Image,
            bag.published_topic,
            QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE),
        )
        if sys.stdin.readline():
            play(bag, publisher)
        node.destroy_node()
        rclpy.shutdown()
    except TdnetError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
