"""Counts the camera frames that arrive at a subscriber: ``python -m tools.soak.transport``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from tdnet._util.percentiles import Percentiles, percentiles
from tools.harness import ToolError, ros_environment
from tools.harness.camera import TOPIC, CameraProcess
from tools.harness.command_line import ToolParser, number_table, wide_console
from tools.harness.numbered_frames import draw_frames
from tools.harness.subscriber import SubscriberProcess
from tools.harness.system_info import system_info

FRAMES, RATE = 1000, 30.0
SIZE = (1080, 1920)
"""Height and width of the rgb8 frames."""
CONNECT_SECONDS = 30.0
# Time for the last frames to arrive.
LATE_SECONDS = 2.0


@dataclass(frozen=True)
class TransportResult:
    """One transport, and how many frames arrived.

    Attributes:
        profile: whether both processes use the shipped DDS profile.
        reliability: of both.
        sent: number of frames.
        arrived: number of these that arrived.
        rate: frames per second that the camera sent.
        delay: from stamp to arrival; None: nothing arrived.
    """

    profile: bool
    reliability: str
    sent: int
    arrived: int
    rate: float
    delay: Percentiles | None

    @property
    def name(self) -> str:
        """The transport in words."""
        return "shipped profile" if self.profile else "as installed"


def measure(
    output: Path,
    profile: bool,
    reliability: str,
    frames: int = FRAMES,
    rate: float = RATE,
    size: tuple[int, int] = SIZE,
) -> TransportResult:
    """Send frames from one process to another.

    Args:
        output: folder with the images of `draw_frames`; a log is written there.
        profile: whether both processes use the shipped DDS profile.
        reliability: of both: ``best_effort`` or ``reliable``.
        frames: number of frames.
        rate: frames per second.
        size: height and width in pixels.

    Raises:
        ToolError: the processes do not discover each other.
    """
    environment = ros_environment.with_profile(profile)
    log, images = output / "transport.log", output / "frames.npy"
    with ExitStack() as ending:
        subscriber = SubscriberProcess(
            log, reliability=reliability, topics=(TOPIC,), environment=environment
        )
        ending.callback(subscriber.stop)
        camera = CameraProcess(images, rate, log, reliability, environment=environment)
        ending.callback(camera.stop)
        camera.command("size {} {}".format(*size))
        if not subscriber.connected.wait(CONNECT_SECONDS):
            raise ToolError(f"camera and subscriber did not connect; see {log}")
        time.sleep(1.0)
        begun = time.monotonic()
        camera.command("resume")
        while camera.sent_total < frames:
            time.sleep(0.05)
        camera.command("pause")
        seconds = time.monotonic() - begun
        time.sleep(LATE_SECONDS)
    stamps, arrivals = camera.take_sent(), subscriber.arrivals
    sent = stamps[:frames]
    delays = [(arrivals[stamp] - stamp) / 1e6 for stamp in sent if stamp in arrivals]
    return TransportResult(
        profile=profile,
        reliability=reliability,
        sent=len(sent),
        arrived=len(delays),
        rate=len(stamps) / seconds,
        delay=percentiles(delays) if delays else None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure with and without the shipped profile, best effort and reliable.

    Returns:
        Exit status: 0 measured, 2 failed with the reason in one line, 130 interrupted.
    """
    parser = ToolParser(
        "soak.transport",
        f"Counts how many of {FRAMES} full-HD frames arrive at a subscriber of depth 1.",
    )
    return parser.run(_run, arguments)


def _run(args: argparse.Namespace) -> int:
    ros_environment.enter()
    console = wide_console()
    args.output.mkdir(parents=True, exist_ok=True)
    draw_frames(args.output / "frames.npy")
    cases = []
    for profile in (False, True):
        for reliability in ("best_effort", "reliable"):
            case = measure(args.output, profile, reliability)
            cases.append(case)
            console.print(f"{case.name}, {reliability}: {case.arrived} of {case.sent} arrived")
    load = os.getloadavg()[0]
    content = {
        "size": SIZE,
        "rate": RATE,
        "load_average": load,
        "system": system_info(),
        "cases": [asdict(case) for case in cases],
    }
    (args.output / "transport.json").write_text(json.dumps(content, indent=1) + "\n")
    table = number_table(
        f"{SIZE[1]} x {SIZE[0]} rgb8 at {RATE:g} per second; load average {load:.1f}",
        ("Fast DDS", "reliability", "sent", "arrived", "sent per second", "delay ms p50, p95"),
        [
            (
                case.name,
                case.reliability.replace("_", " "),
                str(case.sent),
                str(case.arrived),
                f"{case.rate:.1f}",
                f"{case.delay.p50:.1f}, {case.delay.p95:.1f}" if case.delay else "",
            )
            for case in cases
        ],
    )
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
