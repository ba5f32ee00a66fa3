"""Runs the demo: ``python -m tools.demo --output demo-output``; see ``--help``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tdnet import SegmenterSettings
from tdnet_offline.arguments import number
from tools.demo import say
from tools.demo.camera_bag import CameraBag
from tools.demo.demo_page import write_demo_page
from tools.demo.session import run_session
from tools.demo.source_report import SourceReport, make_report
from tools.demo.sources import (
    DEFAULT_RATE,
    HIGHWAY_NOTE,
    HIGHWAY_VIDEO,
    Source,
    emptied,
    frames_source,
    street_source,
)
from tools.harness import ToolError, ros_environment
from tools.harness.command_line import ToolParser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Returns:
        Exit status: 0 success; 1 the page lists the problems; 2 no page, the reason is printed in
        one line; 130 interrupted.
    """
    parser = ToolParser(
        "demo", "Plays camera images through the segmentation node and shows the results."
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
        type=number(0.1, 1000),
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
    return parser.run(_run, arguments)


def _run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    domain = ros_environment.enter()
    output: Path = args.output
    if args.topic is not None and args.bag is None:
        raise ToolError("--topic is of a bag: give --bag too")
    for given in (args.bag, args.images, args.video, args.weights):
        if given and output.resolve() in Path(given).resolve().parents:
            raise ToolError(f"{given} is in {output}, which is emptied: choose another --output")
    page = output / "index.html"
    page.unlink(missing_ok=True)
    parameters = {"variant": args.variant}
    if args.weights:
        # The node resolves the path, but relative to the user's folder.
        parameters["weights"] = str(Path(args.weights).absolute())
    sources = _sources(args)
    say(f"watch the node with ROS_DOMAIN_ID={domain}")
    reports = [_play(source, parameters) for source in sources]
    write_demo_page(page, reports)
    say(f"done in {time.monotonic() - started:.0f} s; open {page}")
    return 1 if any(report.session.problems for report in reports) else 0


def _sources(args: argparse.Namespace) -> list[Source]:
    """Return the sources to play, those without a bag written as one."""
    output: Path = args.output
    if args.bag is not None:
        folder, title = emptied(output / "bag"), f"Bag {args.bag.name or args.bag}"
        return [Source(folder, title, "", CameraBag(args.bag, args.topic))]
    if args.images is not None:
        title = f"Images of {args.images.name}"
        return [frames_source(output / "images", title, "", args.images, args.rate)]
    if args.video is not None:
        title = f"Video {args.video.name}"
        return [frames_source(output / "video", title, "", args.video, args.rate)]
    highway = output / "highway"
    return [
        street_source(output),
        frames_source(highway, "Real motorway", HIGHWAY_NOTE, HIGHWAY_VIDEO),
    ]


def _play(source: Source, parameters: dict[str, str]) -> SourceReport:
    """Play one source through the node and write its results into its folder."""
    bag = source.bag
    rate = f" at {bag.rate:.1f} a second" if bag.rate else ""
    say(f"{source.title}: {bag.num_messages} frames of {bag.topic}{rate}")
    session = run_session(bag, parameters, source.folder)
    report = make_report(source, session)
    for line in report.lines():
        say(line)
    for problem in session.problems:
        print(f"demo: {problem}", file=sys.stderr)
    return report


if __name__ == "__main__":
    sys.exit(main())
