"""Plays the camera topic of a bag with its timing, in a process of its own.

    python -m tools.demo.player BAG TOPIC

Waits for a line on its input, then writes ``sent STAMP_NS MONOTONIC_NS`` for each message.
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
from tools.demo import DemoError
from tools.demo.camera_bag import CameraBag

MATCH_SECONDS = 30.0
ACKNOWLEDGE_SECONDS = 10.0


def play(bag: CameraBag, publisher: Publisher) -> None:
    """Wait for a subscriber, then publish every message when it is due.

    Raises:
        DemoError: there is no subscriber.
        InputError: the bag is damaged; the messages before the damage were published.
    """
    end = time.monotonic() + MATCH_SECONDS
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            raise DemoError(f"no subscriber of {bag.published_topic} within {MATCH_SECONDS:.0f} s")
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
        # Undelivered messages are lost when the process ends.
        publisher.wait_for_all_acked(Duration(seconds=ACKNOWLEDGE_SECONDS))


def main(path: str, topic: str) -> int:
    """Play one topic of a bag.

    Returns:
        Exit status: 0 all messages published, 2 not, with the reason in one line on stderr.
    """
    try:
        bag = CameraBag(Path(path), topic)
        # A signal ends the process at once, also while it waits.
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
