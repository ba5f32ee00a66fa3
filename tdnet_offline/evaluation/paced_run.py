"""A video in real time through one inference thread: the newest frame wins, as on the robot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from tdnet._util.stage_clock import StageTimes
from tdnet.continuity import ContinuityPolicy
from tdnet.errors import InputError
from tdnet.frames.postprocess import OutputOptions
from tdnet.mailbox import Mailbox
from tdnet.segmenter import StreamingSegmenter
from tdnet_offline.frames import Frame, FrameSource, RefusedFrame
from tdnet_offline.prediction import FrameStep, step

MAX_WAIT = 2.0
"""Longest time in seconds from one frame to the next; longer gaps of a recording are cut."""
MAX_TIMELESS = 20
"""Frames at the start of a video that may have no later stamp than the frame before."""


@dataclass(frozen=True)
class PacedFrame:
    """A frame segmented in real time: seconds from the first due frame to its labels, stages."""

    done: float
    times: StageTimes


@dataclass(frozen=True)
class PacedRun:
    """The outcome of each frame of a video, by number in its source.

    Attributes:
        due: arrival of each readable frame, in seconds since the first one.
        segmented: the frames that were not superseded.
        waited: seconds for which the clock stood still for a source slower than its camera.
    """

    due: dict[int, float]
    segmented: dict[int, PacedFrame]
    waited: float


class _Schedule:
    """Due times of frames by their stamps; the clock waits for a source that is late."""

    def __init__(self) -> None:
        self.waited = 0.0
        self._start = self._due = time.monotonic()
        self._last: Frame | None = None
        self._step = 0.0
        self._frames = 0
        self._has_pace = False

    def wait_for(self, frame: Frame) -> float:
        """Wait until a frame that has been read is due; return the due time."""
        if frame.stamp_ns is None:
            raise InputError(
                f"{frame.name} has no stamp, so there is no pace to keep; give a bag, or evaluate "
                "every frame"
            )
        self._frames += 1
        now = time.monotonic()
        if self._last is None or self._last.stamp_ns is None:
            self._start = self._due = now
        else:
            elapsed = (frame.stamp_ns - self._last.stamp_ns) / 1e9
            self._has_pace |= elapsed > 0
            # A stamp that goes back, as in a bag that loops, has no duration.
            self._step = min(elapsed, MAX_WAIT) if elapsed >= 0 else self._step
            due = self._due + self._step
            late = max(0.0, now - due)
            self.waited += late
            self._due = due + late
            time.sleep(max(0.0, due - now))
        self._last = frame
        if self._frames > MAX_TIMELESS:
            self.check()
        return self._due - self._start

    def check(self) -> None:
        """Check that the stamps of several frames have increased."""
        if self._last is not None and self._frames > 1 and not self._has_pace:
            raise InputError(
                f"{self._last.name}: up to here no frame has a later stamp than the one before "
                "it, so there is no pace to keep; evaluate every frame"
            )

    def now(self) -> float:
        return time.monotonic() - self._start


def run_paced(
    source: FrameSource,
    segmenter: StreamingSegmenter,
    options: OutputOptions,
    policy: ContinuityPolicy,
    on_frame: Callable[[], None] = lambda: None,
    frame_step: FrameStep = step,
) -> PacedRun:
    """Play a source by the stamps of its frames; segment the newest frame in one thread.

    The arguments are those of `tdnet_offline.prediction.segment_frames`; `on_frame` is called for
    each frame of the source.

    Raises:
        InputError: a frame has no stamp, all stamps are equal, or the network does not take a
            frame.
        DeviceError: the device failed.
    """
    segmenter.warm_up()
    stream = segmenter.open_stream()
    mailbox: Mailbox[tuple[int, Frame]] = Mailbox([""])
    outcomes: SimpleQueue[tuple[int, PacedFrame] | Exception] = SimpleQueue()
    schedule = _Schedule()

    def segment() -> None:
        while (taken := mailbox.take()) is not None:
            number, frame = taken[1]
            try:
                if policy.check(frame.info):
                    stream.reset()
                times = frame_step(stream, frame, options).times
                outcomes.put((number, PacedFrame(schedule.now(), times)))
            except Exception as error:
                outcomes.put(error)

    thread = threading.Thread(target=segment, name="inference", daemon=True)
    thread.start()
    due: dict[int, float] = {}
    segmented: dict[int, PacedFrame] = {}

    def collect() -> None:
        outcome = outcomes.get()
        if isinstance(outcome, Exception):
            raise outcome
        segmented[outcome[0]] = outcome[1]

    dropped = 0
    try:
        for number, frame in enumerate(source):
            if not isinstance(frame, RefusedFrame):
                due[number] = schedule.wait_for(frame)
                dropped += mailbox.put("", (number, frame)) is not None
            while not outcomes.empty():
                collect()
            on_frame()
        schedule.check()
        while len(segmented) < len(due) - dropped:
            collect()
    finally:
        mailbox.close()
        thread.join()
    return PacedRun(due, segmented, schedule.waited)
