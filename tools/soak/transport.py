"""Counts the camera frames that arrive at a subscriber: ``python -m tools.soak.transport``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tdnet._util.percentiles import Percentiles, percentiles
from tools.harness import ToolError, ros_environment
from tools.harness.camera import TOPIC, CameraProcess
from tools.harness.numbered_frames import draw_frames
from tools.harness.subscriber import SubscriberProcess
from tools.harness.system_info import system_info
from tools.soak.soak_tables import TextTable, wide_console

CONNECT_SECONDS = 30.0
# Time for the last frames to arrive.
LATE_SECONDS = 2.0


@dataclass(frozen=True)
class FrameStream:
    """The frames that the camera sends.

    Attributes:
        frames: how many.
        rate: frames per second.
        size: height and width in pixels.
    """

    frames: int
    rate: float
    size: tuple[int, int]


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


def measure(output: Path, stream: FrameStream, profile: bool, reliability: str) -> TransportResult:
    """Send frames from one process to another.

    Args:
        output: folder with the frames of `draw_frames`; a log is written there.
        stream: the frames to send.
        profile: whether both processes use the shipped DDS profile.
        reliability: of both: ``best_effort`` or ``reliable``.

    Raises:
        ToolError: the processes do not discover each other.
    """
    environment = ros_environment.with_profile(profile)
    log = output / "transport.log"
    subscriber = SubscriberProcess(
        log, reliability=reliability, topics=(TOPIC,), environment=environment
    )
    camera = CameraProcess(
        output / "frames.npy", stream.rate, log, reliability, environment=environment
    )
    try:
        camera.command("size {} {}".format(*stream.size))
        if not subscriber.connected.wait(CONNECT_SECONDS):
            raise ToolError(f"camera and subscriber did not connect; see {log}")
        time.sleep(1.0)
        begun = time.monotonic()
        camera.command("resume")
        while camera.sent_total < stream.frames:
            time.sleep(0.05)
        camera.command("pause")
        seconds = time.monotonic() - begun
        time.sleep(LATE_SECONDS)
    finally:
        camera.stop()
        subscriber.stop()
    stamps = camera.take_sent()
    sent = stamps[: stream.frames]
    arrivals = subscriber.arrivals
    delays = [(arrivals[stamp] - stamp) / 1e6 for stamp in sent if stamp in arrivals]
    return TransportResult(
        profile=profile,
        reliability=reliability,
        sent=len(sent),
        arrived=len(delays),
        rate=len(stamps) / seconds,
        delay=percentiles(delays) if delays else None,
    )


def _table(cases: Sequence[TransportResult], title: str) -> TextTable:
    return TextTable(
        title,
        ("Fast DDS", "reliability", "sent", "arrived", "sent per second", "delay ms p50, p95"),
        tuple(
            (
                _transport(case),
                case.reliability.replace("_", " "),
                str(case.sent),
                str(case.arrived),
                f"{case.rate:.1f}",
                f"{case.delay.p50:.1f}, {case.delay.p95:.1f}" if case.delay else "",
            )
            for case in cases
        ),
    )


def _transport(case: TransportResult) -> str:
    return "shipped profile" if case.profile else "as installed"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.soak.transport",
        description="Counts the camera frames that arrive at a subscriber of depth 1.",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="folder for transport.json"
    )
    parser.add_argument("--frames", type=int, default=1000, help="(default: %(default)s)")
    parser.add_argument(
        "--rate", type=float, default=30.0, help="frames per second (default: %(default)s)"
    )
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        default=(1080, 1920),
        help="of the rgb8 frames (default: 1080 1920)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure with and without the shipped profile, best effort and reliable.

    Returns:
        Exit status: 0 measured, 2 failed with the reason in one line, 130 interrupted.
    """
    args = _parser().parse_args(arguments)
    ros_environment.enter()
    console = wide_console()
    stream = FrameStream(args.frames, args.rate, tuple(args.size))
    args.output.mkdir(parents=True, exist_ok=True)
    draw_frames(args.output / "frames.npy")
    cases = []
    try:
        for profile in (False, True):
            for reliability in ("best_effort", "reliable"):
                cases.append(measure(args.output, stream, profile, reliability))
                arrived = f"{cases[-1].arrived} of {stream.frames} arrived"
                console.print(f"{_transport(cases[-1])}, {reliability}: {arrived}")
    except KeyboardInterrupt:
        return 130
    except ToolError as error:
        print(f"transport: {error}", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    height, width = stream.size
    title = f"{width} x {height} rgb8 at {stream.rate:g} per second; load average {load:.1f}"
    content = {
        "size": [height, width],
        "rate": stream.rate,
        "load_average": load,
        "system": system_info(),
        "cases": [asdict(case) for case in cases],
    }
    (args.output / "transport.json").write_text(json.dumps(content, indent=1) + "\n")
    console.print(_table(cases, title).rich())
    return 0


if __name__ == "__main__":
    sys.exit(main())
