"""Plays the camera topic of a bag with its timing, in a process of its own.

    python -m tools.demo.player BAG TOPIC

Waits for a line on its input, then writes ``sent STAMP_NS MONOTONIC_NS`` for each message.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

import rclpy
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image

from tdnet.errors import TdnetError
from tools.demo.camera_bag import CameraBag
from tools.harness import ToolError
from tools.harness.child_process import ChildProcess

MATCH_SECONDS = 30.0
ACKNOWLEDGE_SECONDS = 10.0


class Sent(NamedTuple):
    """A published message: stamp of the header and steady clock, in nanoseconds."""

    stamp_ns: int
    time_ns: int


class PlayerProcess(ChildProcess):
    """The player process. It prepares at once and plays after a command.

    Args:
        bag: the bag to play.
        log: file for its errors.

    Attributes:
        sent: the published messages, in order.
    """

    def __init__(self, bag: CameraBag, log: Path) -> None:
        self.sent: list[Sent] = []
        super().__init__(["-m", "tools.demo.player", str(bag.path), bag.topic], log)

    def problem(self) -> str:
        """Return why it ended early; empty: it played the whole bag, or still plays."""
        if not self.exit_status:
            return ""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line]
        return lines[-1] if lines else f"the player ended with status {self.exit_status}"

    def on_line(self, line: str) -> None:
        """Note a sent message."""
        _, stamp, time_ns = line.split()
        self.sent.append(Sent(int(stamp), int(time_ns)))


def play(bag: CameraBag, publisher: Publisher) -> None:
    """Wait for a subscriber, then publish every message when it is due.

    Raises:
        ToolError: there is no subscriber.
        InputError: the bag is damaged; the messages before the damage were published.
    """
    end = time.monotonic() + MATCH_SECONDS
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            raise ToolError(f"no subscriber of {bag.published_topic} within {MATCH_SECONDS:.0f} s")
        time.sleep(0.01)
    start: float | None = None
    try:
        for stamp_ns, record in bag.records():
            if start is None:
                start = time.monotonic() - record.stamp_ns / 1e9
            time.sleep(max(0.0, start + record.stamp_ns / 1e9 - time.monotonic()))
            sent = time.monotonic_ns()
            publisher.publish(record.data)
            print("sent", stamp_ns, sent, flush=True)
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
