"""Runs the demo: ``python -m tools.demo --output demo-output``; see ``--help``."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tdnet import SegmenterSettings
from tdnet.errors import InputError, TdnetError
from tdnet_offline.frames import FrameSource, ImageFiles
from tdnet_offline.frames.video_file import VideoFile
from tools.demo import DemoError
from tools.demo.camera_bag import CameraBag
from tools.demo.console import Console
from tools.demo.demo_page import write_demo_page
from tools.demo.session import NodeUnderTest, run_session
from tools.demo.source_report import SourceReport, make_report, write_summary
from tools.demo.sources import (
    DEFAULT_RATE,
    HIGHWAY_NOTE,
    HIGHWAY_TITLE,
    HIGHWAY_VIDEO,
    STREET_FRAMES,
    STREET_NOTE,
    STREET_TITLE,
    Source,
    write_frames,
    write_street,
)
from tools.harness import ros_environment
from tools.harness.system_info import system_info

_SOURCE_NAMES = ("street", "highway", "bag", "images", "video")
_BAG_ENDINGS = {".db3", ".yaml", ".mcap"}
_RESULTS = (
    *("overlay.mp4", "contact_sheet.png", "legend.png"),
    *("evaluation.json", "report.html", "summary.json"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Args:
        arguments: Arguments after the program's name; None: those of the process.

    Returns:
        Exit status: 0 success; 1 the page lists the problems; 2 no page, the reason is printed in
        one line; 130 interrupted.
    """
    args = _parser().parse_args(arguments)
    try:
        return _run(args)
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    except TdnetError as error:
        print(f"demo: {' '.join(str(error).split())}", file=sys.stderr)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"demo: {name}{error.strerror or error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.demo",
        description="Plays camera images through the segmentation node and shows the results.",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="folder for the results"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--bag",
        metavar="BAG",
        type=Path,
        help="bag to play (default: a synthetic street drive, then a real motorway video)",
    )
    source.add_argument("--images", metavar="DIR", type=Path, help="folder of images to play")
    source.add_argument("--video", metavar="FILE", type=Path, help="video file to play")
    parser.add_argument("--topic", help="image topic of the bag (default: its only one)")
    parser.add_argument(
        "--rate",
        type=float,
        help="frames a second of images or a video "
        f"(default: {DEFAULT_RATE:g} for images, its own for a video)",
    )
    settings = SegmenterSettings()
    parser.add_argument(
        "--variant",
        metavar="V",
        default=settings.variant,
        help="the network, see `tdnet info` (default: %(default)s)",
    )
    parser.add_argument(
        "--weights",
        metavar="W",
        default=settings.weights,
        help="weights file of the network (default: the packaged ones)",
    )
    return parser


def _run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    domain = ros_environment.enter()
    console = Console()
    output: Path = args.output
    _check(args)
    output.mkdir(parents=True, exist_ok=True)
    _remove_earlier_results(output)
    # The node resolves the path, but relative to the user's folder.
    weights = str(Path(args.weights).absolute()) if args.weights else ""
    node = NodeUnderTest(args.variant, weights, system_info())
    sources = _sources(args, console)
    console.say(f"watch the node with ROS_DOMAIN_ID={domain}")
    reports = [_play(source, node, output / source.name, console) for source in sources]
    write_demo_page(output, node, reports)
    console.say(f"done in {time.monotonic() - started:.0f} s; open {output / 'index.html'}")
    return 1 if any(report.session.problems for report in reports) else 0


def _check(args: argparse.Namespace) -> None:
    if args.topic is not None and args.bag is None:
        raise DemoError("--topic is of a bag: give --bag too")
    if args.rate is not None and not 0.1 <= args.rate <= 1000:
        raise DemoError(f"--rate is {args.rate}; allowed are 0.1 to 1000 frames a second")
    given = args.bag or args.images or args.video
    if given is not None and args.output.resolve() in given.resolve().parents:
        raise DemoError(
            f"{given} is in {args.output}, which is emptied first: choose another --output"
        )


def _sources(args: argparse.Namespace, console: Console) -> list[Source]:
    """Return the sources to play, those without a bag written as one."""

    def frames_bag(name: str, frames: FrameSource, rate: float | None) -> CameraBag:
        console.say(f"reading {frames.description}")
        counter = console.counting("frames read")
        bag = write_frames(frames, rate, args.output / name / "input", counter)
        console.end_progress()
        return bag

    if args.bag is not None:
        bag = CameraBag(args.bag, args.topic)
        return [Source("bag", f"Bag {args.bag.name or args.bag}", "", bag)]
    if args.images is not None:
        if not args.images.is_dir():
            raise InputError(f"{args.images}: no such folder of images")
        bag = frames_bag("images", ImageFiles(args.images), args.rate)
        return [Source("images", f"Images of {args.images.name}", "", bag)]
    if args.video is not None:
        if not args.video.is_file():
            raise InputError(f"{args.video}: no such video file")
        bag = frames_bag("video", VideoFile(args.video), args.rate)
        return [Source("video", f"Video {args.video.name}", "", bag)]
    console.say("drawing a synthetic street drive")
    counter = console.counting(f"of {STREET_FRAMES} frames drawn")
    street = write_street(args.output / "street" / "input", counter)
    console.end_progress()
    highway = frames_bag("highway", VideoFile(HIGHWAY_VIDEO), None)
    return [
        Source("street", STREET_TITLE, STREET_NOTE, street),
        Source("highway", HIGHWAY_TITLE, HIGHWAY_NOTE, highway),
    ]


def _play(source: Source, node: NodeUnderTest, output: Path, console: Console) -> SourceReport:
    """Play one source through the node and write its results into a folder of its own."""
    output.mkdir(exist_ok=True)
    bag = source.bag
    rate = f" at {bag.rate:.1f} a second" if bag.rate else ""
    console.say(f"{source.title}: {bag.num_messages} frames of {bag.topic}{rate}")
    parameters = {"variant": node.variant, **({"weights": node.weights} if node.weights else {})}
    recording = output / "recording"
    session = run_session(bag, parameters, recording, output, console.say, console.progress(bag))
    console.end_progress()
    counter = console.counting(f"of {session.counts.segmented} frames evaluated")
    report = make_report(source, node, session, recording, output, counter)
    console.end_progress()
    write_summary(output / "summary.json", node, report)
    console.summary(report)
    return report


def _remove_earlier_results(output: Path) -> None:
    """Remove the results of an earlier run, so that none is taken for a result of this one."""
    for folder in (output / name for name in _SOURCE_NAMES):
        for bag in (folder / "recording", folder / "input"):
            if not bag.exists():
                continue
            if not all(file.suffix in _BAG_ENDINGS for file in bag.iterdir()):
                raise DemoError(f"{bag} is no bag of an earlier run: choose another --output")
            shutil.rmtree(bag)
        for name in _RESULTS:
            (folder / name).unlink(missing_ok=True)
    (output / "index.html").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
