"""A program that subscribes to images, as a process that can be killed, or that reads slowly.

    python -m tools.harness.subscriber SECONDS RELIABILITY TOPIC...

It subscribes to the topics with depth 1 and sleeps SECONDS over each image of the first. It prints
``received STAMP_NS TIME_NS`` for each of these images, and ``connected`` once that topic has a
publisher. It ends when its input ends.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

from tdnet.continuity import stamp_ns
from tdnet_ros.rclpy_tools.abandoned_ports import avoid_abandoned_ports
from tools.harness.child_process import ChildProcess

OUTPUTS = ("/tdnet/labels", "/tdnet/confidence", "/tdnet/overlay")


class SubscriberProcess(ChildProcess):
    """The subscriber process.

    Args:
        log: file that takes its errors.
        seconds: that it sleeps over each image of the first topic.
        reliability: ``reliable`` or ``best_effort``.
        topics: that it subscribes to.
        environment: of the process; None: the current one.

    Attributes:
        received: number of images of the first topic since the last start.
        arrivals: by their stamps, the system time of their arrival; both in nanoseconds.
        connected: set once the first topic has a publisher.
    """

    def __init__(
        self,
        log: Path,
        seconds: float = 0.0,
        reliability: str = "reliable",
        topics: tuple[str, ...] = OUTPUTS,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.received = 0
        self.arrivals: dict[int, int] = {}
        self.connected = threading.Event()
        arguments = ["-m", "tools.harness.subscriber", str(seconds), reliability, *topics]
        super().__init__(arguments, log, environment)

    def restart(self) -> None:
        """Start it again after a kill."""
        self.received = 0
        self.arrivals.clear()
        self.connected.clear()
        self.start()

    def on_line(self, line: str) -> None:
        """Note an arrival, or that it is connected."""
        word, *numbers = line.split()
        if word == "received":
            self.received += 1
            self.arrivals[int(numbers[0])] = int(numbers[1])
        elif word == "connected":
            self.connected.set()


def main(seconds: str, reliability: str, topic: str, *others: str) -> None:
    """Subscribe until the input ends."""
    ending = threading.Event()

    def read() -> None:
        sys.stdin.read()
        ending.set()

    def take(message: Image) -> None:
        print("received", stamp_ns(message.header), time.time_ns(), flush=True)
        time.sleep(float(seconds))

    threading.Thread(target=read, name="input", daemon=True).start()
    with avoid_abandoned_ports():
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node("harness_subscriber")
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy[reliability.upper()])
    node.create_subscription(Image, topic, take, qos)
    for other in others:
        node.create_subscription(Image, other, lambda _: None, qos)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    connected = False
    while not ending.is_set():
        executor.spin_once(timeout_sec=0.2)
        if not connected and node.count_publishers(topic):
            connected = True
            print("connected", flush=True)
    executor.shutdown(timeout_sec=0)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
