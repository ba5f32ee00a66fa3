"""A camera as a process that publishes the drawn frames.

    python -m tools.harness.camera FRAMES.npy TOPIC RELIABILITY

It reads commands from its input, one per line: ``rate HZ``, ``size HEIGHT WIDTH``, ``stamps now``,
``stamps loop`` (a bag that loops: the same stamps again and again), ``broken SEED COUNT``,
``pause``, ``resume``. It starts paused and ends when its input ends. It prints ``sent STAMP_NS``
before it publishes a message and ``done COMMAND`` after a command.
"""

from __future__ import annotations

import queue
import struct
import sys
import threading
import time
from array import array
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from tools.harness import ToolError
from tools.harness.broken_messages import broken_images
from tools.harness.child_process import ChildProcess
from tools.harness.numbered_frames import (
    FRAME_SIZE,
    OTHER_FRAME,
    Image8,
    numbered_stamp,
    resized,
)

TOPIC = "/camera/image_raw"
ANSWER_SECONDS = 30.0
# Frames in one run of the bag that `stamps loop` plays.
LOOP_FRAMES = 10
# Share of the messages of `broken` that are valid, and the time between two of them.
GOOD_SHARE = 0.25
BROKEN_SECONDS = 0.01
_STAMP_OFFSET = 4


class CameraProcess(ChildProcess):
    """The camera process.

    Args:
        frames: file of the frames that it sends.
        rate: frames per second.
        log: file that takes its errors.
        reliability: ``best_effort``, as most camera drivers publish, or ``reliable``.
        topic: of its images.
        environment: of the process; None: the current one.

    Attributes:
        rate: frames per second, unless a command changed it.
        sent_total: number of published messages.
    """

    def __init__(
        self,
        frames: Path,
        rate: float,
        log: Path,
        reliability: str = "best_effort",
        topic: str = TOPIC,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.rate = rate
        self.sent_total = 0
        self._lock = threading.Lock()
        self._sent: list[int] = []
        self._answers: queue.Queue[str] = queue.Queue()
        arguments = ["-m", "tools.harness.camera", str(frames), topic, reliability]
        super().__init__(arguments, log, environment)
        self.send(f"rate {rate}")

    def command(self, command: str) -> None:
        """Send a command and wait until it is done.

        Raises:
            ToolError: no answer.
        """
        self.send(command)
        try:
            while self._answers.get(timeout=ANSWER_SECONDS) != command:
                pass
        except queue.Empty:
            raise ToolError(f"the camera did not answer {command!r}; see {self.log}") from None

    def take_sent(self) -> list[int]:
        """Return the stamps of the messages since the last call."""
        with self._lock:
            sent, self._sent = self._sent, []
            return sent

    def restart(self) -> None:
        """Start it again after a kill, sending."""
        self.start()
        self.send(f"rate {self.rate}")
        self.command("resume")

    def on_line(self, line: str) -> None:
        """Note a sent message, or the end of a command."""
        word, _, rest = line.partition(" ")
        if word == "sent":
            with self._lock:
                self._sent.append(int(rest))
                self.sent_total += 1
        elif word == "done":
            self._answers.put(rest)


class FramePublisher:
    """Publishes the frames in turn, each when it is due, and executes commands.

    Args:
        images: (N, H, W, 3) uint8 RGB.
        publisher: of the images.
    """

    def __init__(self, images: np.ndarray, publisher: Publisher) -> None:
        self._images = images
        self._publisher = publisher
        self._period = 0.2
        self._paused = True
        self._due = 0.0
        self._next = 0
        self._loop: tuple[int, int] | None = None
        self._messages = self._serialize(FRAME_SIZE)

    def run(self, commands: queue.Queue[str | None]) -> None:
        """Publish and execute commands until None is read."""
        while True:
            wait = None if self._paused else max(0.0, self._due - time.monotonic())
            try:
                command = commands.get(timeout=wait) if wait != 0.0 else commands.get_nowait()
            except queue.Empty:
                self._send()
                continue
            if command is None:
                return
            self._execute(command)
            print("done", command, flush=True)

    def _execute(self, command: str) -> None:
        word, *rest = command.split()
        if word == "rate":
            self._period = 1 / float(rest[0])
        elif word == "size":
            self._messages = self._serialize((int(rest[0]), int(rest[1])))
        elif word == "stamps":
            self._loop = (time.time_ns(), 0) if rest[0] == "loop" else None
        elif word == "broken":
            self._send_broken(int(rest[0]), int(rest[1]))
        elif word == "pause":
            self._paused = True
        elif word == "resume":
            self._paused = False
            self._due = time.monotonic()
        else:
            raise ValueError(f"unknown command {command!r}")

    def _serialize(self, size: tuple[int, int]) -> list[bytearray]:
        messages = (image_message(resized(image, size)) for image in self._images)
        return [bytearray(serialize_message(message)) for message in messages]

    def _send_broken(self, seed: int, count: int) -> None:
        for message in islice(broken_images(seed, GOOD_SHARE), count):
            stamp = numbered_stamp(time.time_ns(), OTHER_FRAME)
            message.header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
            print("sent", stamp, flush=True)
            self._publisher.publish(message)
            # Slow enough for most of them to arrive at a subscriber of depth 1.
            time.sleep(BROKEN_SECONDS)

    def _send(self) -> None:
        # A late camera does not catch up.
        self._due = max(self._due + self._period, time.monotonic())
        number = self._next
        self._next = (number + 1) % len(self._messages)
        time_ns = time.time_ns()
        if self._loop is not None:
            start, position = self._loop
            time_ns = start + round(position * self._period * 1e9)
            self._loop = (start, (position + 1) % LOOP_FRAMES)
        stamp = numbered_stamp(time_ns, number)
        message = self._messages[number]
        struct.pack_into("<iI", message, _STAMP_OFFSET, stamp // 10**9, stamp % 10**9)
        # Printed first: every received message is counted, also if kill -9 comes in between.
        print("sent", stamp, flush=True)
        self._publisher.publish(bytes(message))


def image_message(image: Image8) -> Image:
    """Return (H, W, 3) uint8 RGB as a message; without PyTorch, which takes long to import."""
    height, width, _ = image.shape
    data = array("B", image.tobytes())
    header = Header(frame_id="camera")
    return Image(
        header=header, height=height, width=width, encoding="rgb8", step=3 * width, data=data
    )


def main(frames: str, topic: str, reliability: str) -> None:
    """Publish until the input ends."""
    commands: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            commands.put(line.strip())
        commands.put(None)

    threading.Thread(target=read, name="commands", daemon=True).start()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("harness_camera")
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper()])
    publisher = node.create_publisher(Image, topic, qos)
    FramePublisher(np.load(Path(frames)), publisher).run(commands)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
