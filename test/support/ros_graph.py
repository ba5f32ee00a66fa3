"""A real ROS graph for tests: the node under test and a user's programs."""

from __future__ import annotations

import array
import contextlib
import gc
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Log, SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from tdnet_ros.segment_node import SegmentNode

TIMEOUT = 20.0
ANSWER_TIMEOUT = 120.0
"""Of a service: new weights are exported first, which takes long on a busy machine."""
WARN = 30
INPUT_TOPICS = ("/image", "/image/compressed", "/front/image", "/rear/image", "/side/image")
# No frame of a test may be lost in transport: the node is tested, not the transport.
RELIABLE_INPUT = {
    f"qos_overrides.{topic}.subscription.{policy}": value
    for topic in INPUT_TOPICS
    for policy, value in (("reliability", "reliable"), ("depth", 100))
}
DEEP_OUTPUT = {
    f"qos_overrides./tdnet/{camera}{output}.publisher.depth": 100
    for camera in ("", "front/", "rear/", "side/")
    for output in ("labels", "confidence", "status")
}
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)

Result = TypeVar("Result")


def wait_for(probe: Callable[[], Result], what: str, timeout: float = TIMEOUT) -> Result:
    """Wait until `probe` returns true; fail with `what` after the timeout."""
    end = time.monotonic() + timeout
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(0.005)


def stamp(seconds: float) -> Time:
    """Return a time as in a message."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def image_message(
    pixels: np.ndarray, seconds: float = 0.0, frame_id: str = "camera", encoding: str = "rgb8"
) -> Image:
    """Return an image as a camera driver sends it, in an 8-bit encoding."""
    return Image(
        header=Header(stamp=stamp(seconds), frame_id=frame_id),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        step=pixels.strides[0],
        data=array.array("B", pixels.tobytes()),
    )


def pixels_of(message: Image) -> np.ndarray:
    """Return the pixels of a message of the node, and check its fields."""
    channels = {"mono8": 1, "rgb8": 3}[message.encoding]
    assert message.step == message.width * channels
    assert not message.is_bigendian
    pixels = np.frombuffer(message.data, np.uint8)
    shape = (message.height, message.width)
    return pixels.reshape(shape if channels == 1 else (*shape, channels))


def diagnostic_values(status: DiagnosticStatus) -> dict[str, str]:
    """Return the values of a diagnostic status by key."""
    return {item.key: item.value for item in status.values}


class Listener:
    """A subscription that stores its messages."""

    def __init__(self, node: Node, message_type: type[Any], topic: str, qos: QoSProfile) -> None:
        self.messages: list[Any] = []
        self.topic = topic
        self._node = node
        self._subscription = node.create_subscription(
            message_type, topic, self.messages.append, qos
        )

    def wait(self, count: int = 1, timeout: float = TIMEOUT) -> list[Any]:
        """Wait for `count` messages; return them."""
        wait_for(lambda: len(self.messages) >= count, f"{count} messages of {self.topic}", timeout)
        return self.messages[:count]

    def close(self, publisher: Publisher | None = None) -> None:
        """Unsubscribe; with a publisher of the node under test, wait until it notices."""
        before = publisher.get_subscription_count() if publisher else 0
        self._node.destroy_subscription(self._subscription)
        if publisher:
            wait_for(
                lambda: publisher.get_subscription_count() < before,
                f"the subscriber of {self.topic} to leave",
            )


class LogListener(Listener):
    """Warnings and errors that the node under test logs."""

    def __init__(self, node: Node) -> None:
        super().__init__(node, Log, "/rosout", QoSProfile(depth=100))

    @property
    def texts(self) -> list[str]:
        """Return their texts."""
        return [m.msg for m in self.messages if m.name == "tdnet" and m.level >= WARN]

    def count(self, part: str) -> int:
        """Count the lines of any level that contain a text."""
        return sum(m.name == "tdnet" and part in m.msg for m in list(self.messages))

    def wait_for_lines(self, count: int) -> None:
        """Wait until there are `count`."""
        wait_for(lambda: len(self.texts) >= count, f"{count} log lines")

    def wait_for_text(self, part: str) -> str:
        """Wait for the first that contains a text; return it."""
        found = wait_for(lambda: [t for t in self.texts if part in t], f"a log line with {part!r}")
        return found[0]


class RosGraph:
    """The nodes of one test; each test starts with a graph without the node under test."""

    def __init__(self) -> None:
        # Without its parameter services and log, to which every node of a test would connect.
        self.user = rclpy.create_node("user", start_parameter_services=False, enable_rosout=False)
        self._clients: dict[str, Client] = {}
        self._spinning = [_Spinning(self.user)]

    def start(self, **parameters: Any) -> SegmentNode:
        """Start the node under test; write dots in names as two underscores."""
        given = {name.replace("__", "."): value for name, value in parameters.items()}
        return self.start_with({**RELIABLE_INPUT, **DEEP_OUTPUT, **given})

    def start_with(
        self,
        parameters: Mapping[str, Any],
        node_type: type[SegmentNode] = SegmentNode,
        name: str = "tdnet",
    ) -> SegmentNode:
        """Start the node under test with only these parameters, quick diagnostics and PyTorch.

        The default runtime exports each weights file, which takes longer than most tests; the
        tests of the node's process and those of runtimes use it.
        """
        overrides = {"diagnostics_period": 0.1, "runtime": "torch", **parameters}
        node = node_type(
            name,
            parameter_overrides=[
                Parameter(name, value=value) for name, value in overrides.items()
            ],
        )
        self._spinning.append(_Spinning(node))
        return node

    def camera(self, message_type: type[Any] = Image, topic: str = "/image") -> Publisher:
        """Return a camera driver, once the node under test subscribes to it."""
        publisher = self.user.create_publisher(
            message_type, topic, QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        )
        wait_for(publisher.get_subscription_count, f"a subscription of {topic}")
        return publisher

    def listen(
        self, message_type: type[Any], topic: str, qos: QoSProfile | None = None
    ) -> Listener:
        """Return a subscriber, once it is connected with the node under test."""
        publisher = self.node_publisher(topic)
        before = publisher.get_subscription_count()
        listener = Listener(self.user, message_type, topic, qos or QoSProfile(depth=100))
        wait_for(
            lambda: publisher.get_subscription_count() > before,
            f"the node to see the subscription of {topic}",
        )
        return listener

    def node_publisher(self, topic: str) -> Publisher:
        """Wait for a publisher of the node under test; return it."""
        nodes = [spinning.node for spinning in self._spinning[1:]]
        publishers = wait_for(
            lambda: [p for node in nodes for p in list(node.publishers) if p.topic_name == topic],
            f"a publisher of {topic}",
        )
        return publishers[0]

    def wait_until_received(self, count: int, camera: str = "") -> None:
        """Wait until the diagnostics count `count` received frames of a camera."""
        self.wait_until_counted("received", count, camera)

    def wait_until_counted(self, what: str, count: int, camera: str = "") -> None:
        """Wait until `count` frames of a camera are counted, for example as ``refused``."""
        name = f"tdnet: camera {camera}".rstrip()
        diagnostics = self.listen(DiagnosticArray, "/diagnostics")
        wait_for(
            lambda: any(
                status.name == name and diagnostic_values(status)[what] == str(count)
                for message in diagnostics.messages
                for status in message.status
            ),
            f"{count} frames {what}",
        )
        diagnostics.close(self.node_publisher("/diagnostics"))

    def listen_to_log(self) -> LogListener:
        """Return the log of the node under test from now on."""
        log = LogListener(self.user)
        (node,) = (spinning.node for spinning in self._spinning[1:])
        rosout = "/rosout"
        known = f"the log of {node.get_name()}"
        wait_for(lambda: rosout in dict(node.get_topic_names_and_types()), known)
        wait_for(lambda: node.count_subscribers(rosout), known)
        return log

    def call(self, service_type: type[Any], name: str, request: Any) -> Any:
        """Call a service and wait for the answer."""
        if name not in self._clients:
            self._clients[name] = self.user.create_client(service_type, name)
        client = self._clients[name]
        assert client.wait_for_service(TIMEOUT), name
        future = client.call_async(request)
        wait_for(future.done, f"an answer of {name}", ANSWER_TIMEOUT)
        return future.result()

    def set_parameters(self, **parameters: Any) -> list[SetParametersResult]:
        """Set parameters as `ros2 param set` does; dots are written as two underscores."""
        request = SetParameters.Request(
            parameters=[
                Parameter(name.replace("__", "."), value=value).to_parameter_msg()
                for name, value in parameters.items()
            ]
        )
        return self.call(SetParameters, "/tdnet/set_parameters", request).results

    def get_parameter(self, name: str) -> Any:
        """Return a parameter as `ros2 param get` shows it."""
        request = GetParameters.Request(names=[name])
        answer = self.call(GetParameters, "/tdnet/get_parameters", request)
        value = parameter_value_to_python(answer.values[0])
        return value.tolist() if isinstance(value, array.array) else value

    def transition(self, label: str) -> bool:
        """Request a transition, such as ``activate``; return whether it succeeded."""
        request = ChangeState.Request(transition=Transition(label=label))
        return self.call(ChangeState, "/tdnet/change_state", request).success

    def state(self) -> str:
        """Return the node's lifecycle state."""
        return self.call(GetState, "/tdnet/get_state", GetState.Request()).current_state.label

    def close(self) -> None:
        """End all nodes, and raise what a callback raised: it would end a user's process."""
        self._clients.clear()
        with contextlib.ExitStack() as ending:
            for spinning in self._spinning:
                ending.callback(spinning.end)


class _Spinning:
    def __init__(self, node: Node) -> None:
        self.node = node
        self._raised: Exception | None = None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._ending: Future[None] = Future()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            with contextlib.suppress(ExternalShutdownException):
                self._executor.spin_until_future_complete(self._ending)
        except Exception as error:
            self._raised = error

    def end(self) -> None:
        # Not `shutdown` from this thread: it destroys the guard condition that a callback at work
        # triggers at its end.
        self._ending.set_result(None)
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()
        self._executor.shutdown()
        self.node.destroy_node()
        # The middleware removes a node only after the last reference to it.
        del self.node, self._executor, self._ending
        gc.collect()
        if self._raised is not None:
            raise self._raised
