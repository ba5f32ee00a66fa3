"""How many camera frames arrive at a subscriber: ``python -m tools.soak.transport --help``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.harness import ros_environment
from tools.harness.percentiles import Percentiles
from tools.harness.system_info import system_info
from tools.soak.camera_process import TOPIC, CameraProcess
from tools.soak.child import Child
from tools.soak.contents import draw_contents
from tools.soak.errors import SoakError
from tools.soak.tables import Table, wide_console

CONNECT_SECONDS = 30.0
# For what is on its way when the last frame has been sent.
LATE_SECONDS = 2.0


@dataclass(frozen=True)
class Stream:
    """What the camera sends.

    Attributes:
        frames: how many.
        rate: frames a second.
        size: height and width in pixels.
    """

    frames: int
    rate: float
    size: tuple[int, int]


@dataclass(frozen=True)
class Case:
    """One way to transport, and what was measured.

    Attributes:
        profile: whether both processes use the shipped DDS profile.
        reliability: of both.
        sent: frames.
        arrived: of them.
        rate: frames a second that the camera managed to send.
        delay: from stamp to arrival; None: nothing arrived.
    """

    profile: bool
    reliability: str
    sent: int
    arrived: int
    rate: float
    delay: Percentiles | None


def measure(output: Path, stream: Stream, profile: bool, reliability: str) -> Case:
    """Send frames from one process to another.

    Args:
        output: folder with the frames that `draw_contents` has drawn; takes a log.
        stream: what is sent.
        profile: whether both processes use the shipped DDS profile.
        reliability: of both: ``best_effort`` or ``reliable``.

    Raises:
        SoakError: the processes do not find each other.
    """
    environment = ros_environment.with_profile(profile)
    heard: dict[int, int] = {}
    connected = threading.Event()

    def hear(line: str) -> None:
        word, *numbers = line.split()
        if word == "heard":
            heard[int(numbers[0])] = int(numbers[1])
        elif word == "connected":
            connected.set()

    log = output / "transport.log"
    receiver = Child(["-m", "tools.soak.receiver", TOPIC, reliability], log, hear, environment)
    camera = CameraProcess(
        output / "frames.npy", stream.rate, log, reliability, environment=environment
    )
    try:
        camera.obey("size {} {}".format(*stream.size))
        if not connected.wait(CONNECT_SECONDS):
            raise SoakError(f"camera and receiver did not meet; see {log}")
        time.sleep(1.0)
        begun = time.monotonic()
        camera.obey("resume")
        while camera.sent_total < stream.frames:
            time.sleep(0.05)
        camera.obey("pause")
        seconds = time.monotonic() - begun
        time.sleep(LATE_SECONDS)
    finally:
        camera.stop()
        receiver.stop()
    stamps = camera.take_sent()
    sent = stamps[: stream.frames]
    delays = [(heard[stamp] - stamp) / 1e6 for stamp in sent if stamp in heard]
    return Case(
        profile=profile,
        reliability=reliability,
        sent=len(sent),
        arrived=len(delays),
        rate=len(stamps) / seconds,
        delay=Percentiles.of(delays) if delays else None,
    )


def _table(cases: Sequence[Case], title: str) -> Table:
    return Table(
        title,
        ("Fast DDS", "reliability", "sent", "arrived", "sent a second", "delay ms p50, p95"),
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


def _transport(case: Case) -> str:
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
    parser.add_argument("--rate", type=float, default=30.0, help="a second (default: %(default)s)")
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
        Exit status: 0 measured, 2 not, with the reason in one line, 130 interrupted.
    """
    args = _parser().parse_args(arguments)
    ros_environment.enter()
    console = wide_console()
    stream = Stream(args.frames, args.rate, tuple(args.size))
    args.output.mkdir(parents=True, exist_ok=True)
    draw_contents(args.output / "frames.npy")
    cases = []
    try:
        for profile in (False, True):
            for reliability in ("best_effort", "reliable"):
                cases.append(measure(args.output, stream, profile, reliability))
                arrived = f"{cases[-1].arrived} of {stream.frames} arrived"
                console.print(f"{_transport(cases[-1])}, {reliability}: {arrived}")
    except KeyboardInterrupt:
        return 130
    except SoakError as error:
        print(f"transport: {error}", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    height, width = stream.size
    title = f"{width} x {height} rgb8 at {stream.rate:g} a second; load average {load:.1f}"
    content = {
        "size": [height, width],
        "rate": stream.rate,
        "load_average": load,
        "system": system_info(),
        "cases": [asdict(case) for case in cases],
    }
    (args.output / "transport.json").write_text(json.dumps(content, indent=1) + "\n")
    table = _table(cases, title)
    (args.output / "transport.md").write_text(f"{title}\n\n{table.markdown()}\n")
    console.print(table.rich())
    return 0


if __name__ == "__main__":
    sys.exit(main())
