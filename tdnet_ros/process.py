"""The process of the node: an executor thread, and an end within a second of a signal."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import FrameType

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from tdnet.errors import TdnetError
from tdnet_ros.log_throttle import LogThrottle, describe, one_line
from tdnet_ros.process_memory import limit_arenas

# A signal must end the process within a second, whatever it is busy with.
SHUTDOWN_SECONDS = 0.7


def run(create_node: Callable[[], Node], args: Sequence[str] | None) -> int:
    """Run a node until SIGINT or SIGTERM.

    Args:
        create_node: makes the node, once ROS is there.
        args: command line with ROS arguments; None: that of the process.

    Returns:
        Exit status: 0 after a signal, 1 where the node could not start.
    """
    limit_arenas()
    ending = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ending.set()

    # Our own handlers, since those of rclpy cannot end a process that loads a model.
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    try:
        no_log_file = _init(args)
        node = create_node()
    except (TdnetError, RuntimeError) as error:
        get_logger("tdnet").fatal(one_line(error))
        return 1
    if no_log_file:
        node.get_logger().warning(f"no log file, only console and /rosout: {no_log_file}")
    # What is imported stays: the collector need not look at it, which takes 0.1 s, ever again.
    gc.collect()
    gc.freeze()
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        throttle = LogThrottle()
        while not ending.is_set():
            try:
                executor.spin()
            except ExternalShutdownException:
                ending.set()
            # One callback that fails must not end all others.
            except Exception as error:
                if not ending.is_set() and throttle.allows(describe(error)):
                    get_logger("tdnet").error(f"in a callback: {traceback.format_exc()}")

    spinning = threading.Thread(target=spin, name="executor", daemon=True)
    spinning.start()
    ending.wait()
    # Once Python has put the system's own handlers back, another signal would still kill it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def finish() -> None:
        executor.shutdown(timeout_sec=0)
        spinning.join()
        node.destroy_node()
        try_shutdown()

    finishing = threading.Thread(target=finish, name="shutdown", daemon=True)
    finishing.start()
    finishing.join(SHUTDOWN_SECONDS)
    if threading.active_count() > 1:
        # Busy in a model that loads or a frame that takes long: neither can be interrupted.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def _init(args: Sequence[str] | None) -> str:
    """Start ROS, without a log file where none can be written.

    Returns:
        Why there is no log file; empty: there is one.

    Raises:
        RuntimeError: ROS cannot start.
    """
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        return ""
    except RuntimeError as error:
        if "failed to initialize logging" not in str(error):
            raise
        reason = one_line(error)
    try_shutdown()
    given = sys.argv if args is None else args
    rclpy.init(
        args=[*given, "--ros-args", "--disable-external-lib-logs"],
        signal_handler_options=SignalHandlerOptions.NO,
    )
    return reason
