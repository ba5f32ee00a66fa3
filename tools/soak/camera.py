"""The camera of the soak: a process that publishes frames with stamps of now.

    python -m tools.soak.camera FRAMES.npy TOPIC RELIABILITY

Commands on its input, a line each: ``rate HZ``, ``size HEIGHT WIDTH``, ``stamps now``, ``stamps
loop`` (a bag that loops: the same stamps over and over), ``broken SEED COUNT``, ``pause``,
``resume``; the end of the input ends it. Says ``sent STAMP_NS`` before it publishes a message and
``did COMMAND`` after a command. It begins paused.
"""

from __future__ import annotations

import array
import queue
import struct
import sys
import threading
import time
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

from tools.harness.broken_messages import broken_images
from tools.soak.contents import CONTENT_SIZE, OTHER_CONTENT, resized, stamp_of

# Of the bag that `stamps loop` plays: frames of one run through it.
LOOP_FRAMES = 10
GOOD_SHARE = 0.25
BROKEN_SECONDS = 0.01
_STAMP_OFFSET = 4


class Camera:
    """Publishes the frames in turn, each when it is due.

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
        self._messages = self._serialize(CONTENT_SIZE)

    def work(self, commands: queue.Queue[str | None]) -> None:
        """Publish and obey until there are no more commands."""
        while True:
            wait = None if self._paused else max(0.0, self._due - time.monotonic())
            try:
                command = commands.get(timeout=wait) if wait != 0.0 else commands.get_nowait()
            except queue.Empty:
                self._send()
                continue
            if command is None:
                return
            self._obey(command)
            print("did", command, flush=True)

    def _obey(self, command: str) -> None:
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
        return [bytearray(_serialized(resized(image, size))) for image in self._images]

    def _send_broken(self, seed: int, count: int) -> None:
        for message in islice(broken_images(seed, GOOD_SHARE), count):
            stamp = stamp_of(time.time_ns(), OTHER_CONTENT)
            message.header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
            print("sent", stamp, flush=True)
            self._publisher.publish(message)
            # Slow enough for most of them to arrive at a subscriber of depth 1.
            time.sleep(BROKEN_SECONDS)

    def _send(self) -> None:
        # A camera that is late does not make up for it.
        self._due = max(self._due + self._period, time.monotonic())
        content = self._next
        self._next = (content + 1) % len(self._messages)
        time_ns = time.time_ns()
        if self._loop is not None:
            start, position = self._loop
            time_ns = start + round(position * self._period * 1e9)
            self._loop = (start, (position + 1) % LOOP_FRAMES)
        stamp = stamp_of(time_ns, content)
        message = self._messages[content]
        struct.pack_into("<iI", message, _STAMP_OFFSET, stamp // 10**9, stamp % 10**9)
        # Said before: what is received must have been counted, also where kill -9 comes between.
        print("sent", stamp, flush=True)
        self._publisher.publish(bytes(message))


def _serialized(image: np.ndarray) -> bytes:
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(image).data)
    message = Image(
        header=Header(frame_id="camera"),
        height=image.shape[0],
        width=image.shape[1],
        encoding="rgb8",
        step=image.shape[1] * 3,
        data=data,
    )
    return bytes(serialize_message(message))


def main(frames: str, topic: str, reliability: str) -> int:
    """Be a camera until the input ends.

    Returns:
        Exit status.
    """
    commands: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            commands.put(line.strip())
        commands.put(None)

    threading.Thread(target=read, name="commands", daemon=True).start()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("soak_camera")
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper()])
    camera = Camera(np.load(Path(frames)), node.create_publisher(Image, topic, qos))
    camera.work(commands)
    node.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
