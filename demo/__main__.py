"""Runs the demo: ``python -m demo --output demo-output``; see ``--help``."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demo.camera_bag import CameraBag
from demo.console import Console
from demo.errors import DemoError
from demo.page import write_page
from demo.report import make_report
from demo.session import run_session
from demo.sources import STREET_FRAMES, STREET_SEED, bag_of_images, bag_of_street
from demo.subject import Subject
from demo.summary import write_summary
from rig import ros_environment
from rig.system_info import system_info
from tdnet import SegmenterSettings
from tdnet.errors import TdnetError

DEFAULT_IMAGE_RATE = 17.0
_BAG_ENDINGS = {".db3", ".yaml", ".mcap"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Args:
        arguments: what follows the program's name; None takes it from the process.

    Returns:
        Exit status: 0 all went well, 1 the page tells what did not, 2 there is no page, with the
        reason in one line, 130 interrupted.
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
        prog="python -m demo",
        description="Plays camera images through the segmentation node and shows what comes out.",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="folder for the results"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--bag", metavar="BAG", type=Path, help="bag to play (default: a synthetic street drive)"
    )
    source.add_argument("--images", metavar="DIR", type=Path, help="folder of images to play")
    parser.add_argument("--topic", help="image topic of the bag (default: its only one)")
    parser.add_argument(
        "--rate",
        type=float,
        default=DEFAULT_IMAGE_RATE,
        help="frames a second of a folder of images (default: %(default)s)",
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
    if args.topic is not None and args.bag is None:
        raise DemoError("--topic is of a bag: give --bag too")
    if not 0.1 <= args.rate <= 1000:
        raise DemoError(f"--rate is {args.rate}; allowed are 0.1 to 1000 frames a second")
    output: Path = args.output
    if args.bag is not None and output.resolve() in args.bag.resolve().parents:
        raise DemoError(
            f"{args.bag} is in {output}, which is written anew: choose another --output"
        )
    output.mkdir(parents=True, exist_ok=True)
    _forget(output)
    bag, source = _input(args, console)
    rate = f" at {bag.rate:.1f} a second" if bag.rate else ""
    console.say(f"input: {source}, {bag.num_messages} frames of {bag.topic}{rate}")
    console.say(f"starting the node (watch it with ROS_DOMAIN_ID={domain})")
    # Its path is the node's to resolve, but relative to where the user is.
    weights = str(Path(args.weights).absolute()) if args.weights else ""
    recording = output / "recording"
    session = run_session(
        bag,
        {"variant": args.variant} | ({"weights": weights} if weights else {}),
        recording,
        output,
        console.say,
        console.progress(bag),
    )
    console.end_progress()
    subject = Subject(source, bag, args.variant, weights, system_info())
    report = make_report(
        subject, session, recording, output, console.evaluating(session.counts.segmented)
    )
    console.end_progress()
    write_summary(output / "summary.json", subject, session, report)
    write_page(output, subject, session, report)
    console.summary(session, report, output, time.monotonic() - started)
    return 1 if session.problems else 0


def _input(args: argparse.Namespace, console: Console) -> tuple[CameraBag, str]:
    folder: Path = args.output / "input"
    if args.bag is not None:
        return CameraBag(args.bag, args.topic), f"bag {args.bag.name or args.bag}"
    if args.images is not None:
        bag = bag_of_images(args.images, args.rate, folder)
        return bag, f"images of {args.images.name}"
    console.say(f"drawing a synthetic street drive (seed {STREET_SEED})")
    bag = bag_of_street(folder, console.drawing(STREET_FRAMES))
    console.end_progress()
    return bag, f"synthetic street drive, seed {STREET_SEED}"


def _forget(output: Path) -> None:
    """Remove what an earlier run left, so that nothing of it passes for this one's."""
    for name in ("recording", "input"):
        folder = output / name
        if not folder.exists():
            continue
        if not all(file.suffix in _BAG_ENDINGS for file in folder.iterdir()):
            raise DemoError(f"{folder} is no bag of an earlier run: choose another --output")
        shutil.rmtree(folder)
    names = ("overlay.mp4", "contact_sheet.png", "legend.png", "evaluation.json", "report.html")
    for name in (*names, "index.html", "summary.json"):
        (output / name).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
