"""Detection of a deaf node: another participant receives a camera's images, the node does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rclpy.utilities import try_shutdown

from tdnet_ros.camera.camera import Camera
from tdnet_ros.camera.subscription import CameraSubscription
from tdnet_ros.rclpy_tools.abandoned_ports import avoid_abandoned_ports
from tdnet_ros.rclpy_tools.node_log import describe

CHECK_SECONDS = 1.0
LISTEN_SECONDS = 30.0
# If most images are lost in transport, a few may reach one participant and not the other.
IMAGES = 5
# Timer calls after which the node's executor must have taken an image that arrived.
CONFIRMING_CHECKS = 3
LONGEST_PAUSE_SECONDS = 600.0


class _Suspicion(NamedTuple):
    """Another participant received images of a camera; checks without an arrival since then."""

    camera: Camera
    last_arrival: float | None
    checks: int = 0


class DeafnessWatch:
    """Decides whether a camera with a publisher is idle, or the node deaf.

    The node cannot distinguish the two. So a separate participant subscribes to the images for
    some seconds. If it receives images and the node does not, the node is deaf. Otherwise nothing
    happens, and the time until the next check doubles.

    Args:
        patience: returns the seconds without an image after which a camera is checked; 0: never.
        report: called by the executor with the reason, if the node is deaf.
        renewals: earlier ones; each doubles the time until the first check, so that a fault that
            a new node does not cure costs little.
    """

    def __init__(
        self,
        node: LifecycleNode,
        subscriptions: Sequence[CameraSubscription],
        patience: Callable[[], float],
        report: Callable[[str], None],
        renewals: int = 0,
    ) -> None:
        self._node = node
        self._subscriptions = subscriptions
        self._patience = patience
        self._report = report
        self._caution = 2.0**renewals
        self._suspicion: _Suspicion | None = None
        self._began = time.perf_counter()
        self._due: dict[str, float] = {}
        self._stopping = threading.Event()
        self._listening: threading.Thread | None = None
        self._timer = node.create_timer(
            CHECK_SECONDS, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def stop(self) -> None:
        """End the checks."""
        self._stopping.set()
        self._node.destroy_timer(self._timer)
        if self._listening is not None:
            self._listening.join()

    def _check(self) -> None:
        self._confirm()
        patience, now = self._patience(), time.perf_counter()
        first = min(self._caution * patience, LONGEST_PAUSE_SECONDS)
        for source in self._subscriptions:
            camera = source.camera
            arrived = camera.last_arrival
            silent = now - (self._began if arrived is None else arrived)
            if silent <= patience:
                camera.deaf = False
                self._due.pop(camera.name, None)
            elif (
                patience
                and silent > self._due.get(camera.name, first)
                and not (self._listening is not None and self._listening.is_alive())
                and self._node.count_publishers(camera.input_topic)
            ):
                self._due[camera.name] = silent + min(silent, LONGEST_PAUSE_SECONDS)
                # A daemon: a middleware that blocks cannot keep the process from ending.
                self._listening = threading.Thread(
                    target=self._compare, args=(source,), name="deafness", daemon=True
                )
                self._listening.start()

    def _confirm(self) -> None:
        suspicion = self._suspicion
        if suspicion is None:
            return
        camera, checks = suspicion.camera, suspicion.checks + 1
        if camera.last_arrival != suspicion.last_arrival:
            self._suspicion = None
        elif checks < CONFIRMING_CHECKS:
            self._suspicion = suspicion._replace(checks=checks)
        else:
            self._suspicion = None
            camera.deaf = True
            self._report(f"another participant receives {camera.input_topic}, this node does not")

    def _compare(self, source: CameraSubscription) -> None:
        camera = source.camera
        before = camera.last_arrival
        try:
            received = _receives(self._node, source.subscription, self._stopping)
        except Exception as error:
            camera.warn(
                f"cannot check whether {camera.input_topic} is received: {describe(error)}"
            )
            return
        if received and camera.last_arrival == before:
            self._suspicion = _Suspicion(camera, before)


def _receives(node: LifecycleNode, subscription: Subscription, stopping: threading.Event) -> bool:
    """Return whether a separate participant receives messages of a subscription's topic."""
    received: list[object] = []
    context = Context()
    with avoid_abandoned_ports():
        rclpy.init(
            args=[],
            context=context,
            domain_id=node.context.get_domain_id(),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        listener = rclpy.create_node(
            f"{node.get_name()}_deafness_check",
            namespace=node.get_namespace(),
            context=context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
    executor = SingleThreadedExecutor(context=context)
    try:
        listener.create_subscription(
            subscription.msg_type,
            subscription.topic_name,
            received.append,
            subscription.qos_profile,
            raw=subscription.raw,
        )
        executor.add_node(listener)
        end = time.perf_counter() + LISTEN_SECONDS
        while len(received) < IMAGES and not stopping.is_set() and time.perf_counter() < end:
            executor.spin_once(timeout_sec=0.1)
    finally:
        executor.shutdown(timeout_sec=0)
        listener.destroy_node()
        try_shutdown(context=context)
    return len(received) >= IMAGES
