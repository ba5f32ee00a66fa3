"""Who listens to a camera: a process that says which frames arrive.

    python -m tools.soak.receiver TOPIC RELIABILITY

Says ``heard STAMP_NS TIME_NS`` for each image, and ``connected`` once there is a camera; the end
of its input ends it.
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


def main(topic: str, reliability: str) -> int:
    """Listen until the input ends.

    Returns:
        Exit status.
    """
    ending = threading.Event()

    def read() -> None:
        sys.stdin.read()
        ending.set()

    def take(message: Image) -> None:
        stamp = message.header.stamp
        print("heard", stamp.sec * 10**9 + stamp.nanosec, time.time_ns(), flush=True)

    threading.Thread(target=read, name="input", daemon=True).start()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("soak_receiver")
    # As the node under the soak subscribes.
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy[reliability.upper()])
    node.create_subscription(Image, topic, take, qos)
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
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
