"""The process of the node: an executor thread, and an exit within a second of a signal."""

from __future__ import annotations

import array
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from tdnet.errors import TdnetError
from tdnet_ros.rclpy_tools.abandoned_ports import avoid_abandoned_ports, remove_dead_ports
from tdnet_ros.rclpy_tools.node_log import LogThrottle, describe, one_line
from tdnet_ros.rclpy_tools.process_memory import limit_arenas

# A signal must end the process within a second, even during a load or a frame.
SHUTDOWN_SECONDS = 0.7
# Fast DDS checks each second whether the listeners of a port live, and acts on the second no.
CLEANING_SECONDS = 0.5


@dataclass(frozen=True)
class Start:
    """How a process starts a node.

    Attributes:
        context: of the node and its participant; None: the default one.
        renew: called from any thread with a reason, replaces the node by one with a new
            participant; no effect during a replacement.
        parameters: of the node before; they take precedence over command line and files.
        renewals: number of earlier nodes of this process.
        reason: of the last renewal.
    """

    context: Context | None = None
    renew: Callable[[str], None] = lambda reason: None
    parameters: tuple[Parameter, ...] = ()
    renewals: int = 0
    reason: str = ""


def run(create_node: Callable[[Start], Node], args: Sequence[str] | None) -> int:
    """Create a node once ROS is initialised, and run it until SIGINT or SIGTERM.

    Returns:
        Exit status: 0 after a signal, 1 if the node could not start.
    """
    limit_arenas()
    ending = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ending.set()

    # Our own handlers, since those of rclpy cannot end a process that loads a model.
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    # Imported objects stay: exclude them from each collection, which saves 0.1 s.
    gc.collect()
    gc.freeze()
    renewable = _RenewableNode(create_node, args, ending)
    try:
        renewable.begin()
    except (TdnetError, RuntimeError) as error:
        get_logger("tdnet").fatal(one_line(error))
        return 1
    # A subscriber killed at the wrong moment would block the node in a call that publishes.
    while not ending.wait(CLEANING_SECONDS):
        remove_dead_ports()
    # Once Python has restored the default handlers, another signal would kill the process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    finishing = threading.Thread(target=renewable.end, name="shutdown", daemon=True)
    finishing.start()
    finishing.join(SHUTDOWN_SECONDS)
    if threading.active_count() > 1:
        # Busy with a load or a slow frame: neither can be interrupted.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(renewable.exit_status)
    return renewable.exit_status


class _RenewableNode:
    """The node and its successors, one after the other."""

    def __init__(
        self,
        create_node: Callable[[Start], Node],
        args: Sequence[str] | None,
        ending: threading.Event,
    ) -> None:
        self._create_node = create_node
        self._args = args
        self._ending = ending
        self._lock = threading.Lock()
        self._renewal = threading.Lock()
        self._spinning: _SpinningNode | None = None
        self.exit_status = 0

    def begin(self) -> None:
        """Start ROS and the first node."""
        with avoid_abandoned_ports():
            no_log_file = _init(self._args)
            # A start without a log file replaces the default context.
            self._start = Start(rclpy.get_default_context(), self._renew)
            node = self._create_node(self._start)
        if no_log_file:
            node.get_logger().warning(f"no log file, only console and /rosout: {no_log_file}")
        self._spinning = _SpinningNode(node, self._ending)

    def end(self) -> None:
        """End the node, and ROS."""
        with self._lock:
            if self._spinning is not None:
                self._spinning.end()
            try_shutdown(context=self._start.context)

    def _renew(self, reason: str) -> None:
        # Does not block, and uses a thread of its own: the old node may wait for the caller.
        if not self._ending.is_set() and self._renewal.acquire(blocking=False):
            threading.Thread(
                target=self._replace, args=(reason,), name="renewal", daemon=True
            ).start()

    def _replace(self, reason: str) -> None:
        with self._lock:
            if self._spinning is None:
                return
            before, node = self._start, self._spinning.node
            node.get_logger().error(f"{reason}: a node with the same parameters replaces it")
            # The old participant must keep its ports until the new one has found others.
            holder = rclpy.create_node(
                f"{node.get_name()}_before",
                namespace=node.get_namespace(),
                context=before.context,
                use_global_arguments=False,
                enable_rosout=False,
                start_parameter_services=False,
            )
            self._spinning.end()
            # Without that of a bond, which has ended.
            parameters = list(node.get_parameters_by_prefix("").values())
            given = tuple(p for p in parameters if not _is_empty(p))
            # The middleware removes a node only once nothing refers to it any more.
            self._spinning = node = None
            gc.collect()
            self._start = Start(Context(), self._renew, given, before.renewals + 1, reason)
            try:
                with avoid_abandoned_ports():
                    rclpy.init(
                        args=self._args,
                        context=self._start.context,
                        signal_handler_options=SignalHandlerOptions.NO,
                    )
                    created = self._create_node(self._start)
                # An empty list shows no type, so that it can be set, but not given.
                created.set_parameters([p for p in parameters if _is_empty(p)])
            # Any exception must end the process: without a node it is useless.
            except Exception as error:
                get_logger("tdnet").fatal(describe(error))
                self.exit_status = 1
                self._ending.set()
                return
            self._spinning = _SpinningNode(created, self._ending)
            holder.destroy_node()
            try_shutdown(context=before.context)
            # A reference cycle to the old participant would keep its ports.
            holder = None
            gc.collect()
            self._renewal.release()


def _is_empty(parameter: Parameter) -> bool:
    return isinstance(parameter.value, list | array.array) and not parameter.value


class _SpinningNode:
    """A node and the executor thread that serves it."""

    def __init__(self, node: Node, ending: threading.Event) -> None:
        self.node = node
        self._ending = ending
        self._stopping = False
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, name="executor", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop the executor and remove the node."""
        self._stopping = True
        self._executor.shutdown(timeout_sec=0)
        self._thread.join()
        self.node.destroy_node()

    def _spin(self) -> None:
        throttle = LogThrottle()
        while not self._ending.is_set() and not self._stopping:
            try:
                self._executor.spin()
            except ExternalShutdownException:
                self._ending.set()
            # One callback that fails must not end all others.
            except Exception as error:
                over = self._ending.is_set() or self._stopping
                if not over and throttle.allows(describe(error)):
                    get_logger("tdnet").error(f"in a callback: {traceback.format_exc()}")


def _init(args: Sequence[str] | None) -> str:
    """Initialise ROS, without a log file if none can be written; return why, or ""."""
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
