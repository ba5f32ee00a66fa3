"""A program that uses the node's outputs: a process, to be killed, or to read slowly.

    python -m tools.soak.subscriber SECONDS

Subscribes to labels, confidence and overlay, reliable, and sleeps so many seconds over each label
image. Says ``heard COUNT`` for each label image; the end of its input ends it.
"""

from __future__ import annotations

import sys
import threading
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

from tdnet_ros.rclpy_tools.abandoned_ports import avoid_abandoned_ports


def main(seconds: float) -> int:
    """Listen until the input ends.

    Returns:
        Exit status.
    """
    ending = threading.Event()

    def read() -> None:
        sys.stdin.read()
        ending.set()

    threading.Thread(target=read, name="input", daemon=True).start()
    with avoid_abandoned_ports():
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node("soak_subscriber")
    heard = 0

    def take(message: Image) -> None:
        nonlocal heard
        heard += 1
        print("heard", heard, flush=True)
        time.sleep(seconds)

    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    node.create_subscription(Image, "/tdnet/labels", take, qos)
    for topic in ("/tdnet/confidence", "/tdnet/overlay"):
        node.create_subscription(Image, topic, lambda _: None, qos)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not ending.is_set():
        executor.spin_once(timeout_sec=0.2)
    executor.shutdown(timeout_sec=0)
    node.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
