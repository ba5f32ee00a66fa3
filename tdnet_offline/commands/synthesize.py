"""`tdnet synthesize`: the synthetic street drive as a bag, or in the layout of Cityscapes."""

from __future__ import annotations

import argparse
from pathlib import Path

from tdnet.errors import InputError
from tdnet_offline.arguments import StoreTuple, number, whole_number
from tdnet_offline.commands import ExitStatus

FORMATS = ("bag", "cityscapes")
STORAGES = ("sqlite3", "mcap")
SNIPPET_FRAMES = 30


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = (
        "Renders the view of a camera that drives along a street, with the exact Cityscapes "
        "class of every pixel; the same seed gives the same frames. bag: topics with images, "
        "camera info and labels (train ids, 255 = none). cityscapes: snippets of 30 frames, "
        "the 20th labelled, each from a seed of its own; every fifth snippet for validation."
    )
    parser.add_argument("output", metavar="OUT", type=Path, help="folder to write; new or empty")
    parser.add_argument("--format", choices=FORMATS, required=True, help="what to write")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the street (default: %(default)s)"
    )
    parser.add_argument(
        "--frames",
        type=whole_number(1, 10**9),
        default=300,
        metavar="N",
        help="how many; cityscapes: a multiple of 30 (default: %(default)s)",
    )
    parser.add_argument(
        "--rate",
        type=number(0.1, 1000, "frames a second"),
        default=17.0,
        metavar="HZ",
        help="frames a second (default: %(default)g)",
    )
    parser.add_argument(
        "--size",
        nargs=2,
        type=whole_number(32, 4096),
        action=StoreTuple,
        default=(360, 640),
        metavar=("H", "W"),
        help="height and width of the frames (default: 360 640)",
    )
    bag = parser.add_argument_group("bag")
    bag.add_argument(
        "--storage", choices=STORAGES, default="sqlite3", help="(default: %(default)s)"
    )
    bag.add_argument(
        "--topic",
        default="/camera/image_raw",
        help="of the images; camera_info is beside it (default: %(default)s)",
    )
    bag.add_argument(
        "--label-topic", default="/camera/labels", help="of the labels (default: %(default)s)"
    )
    bag.add_argument(
        "--depth-topic",
        default="",
        metavar="TOPIC",
        help="also write the exact depth, 32FC1 in metres (default: without it)",
    )


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    if args.format == "cityscapes" and args.frames % SNIPPET_FRAMES:
        raise InputError(
            f"--frames {args.frames}: a Cityscapes snippet has {SNIPPET_FRAMES} frames; give a "
            f"multiple of {SNIPPET_FRAMES}"
        )
    from tdnet_offline.cityscapes_layout import SnippetPaths, snippet_split, write_snippet
    from tdnet_offline.progress import show_progress
    from tdnet_offline.street import StreetDrive
    from tdnet_offline.street_bag import info_topic, write_street_bag

    topics = [args.topic, info_topic(args.topic), args.label_topic, args.depth_topic]
    if args.format == "bag" and len(set(topics)) < len(topics):
        raise InputError(
            "--topic, the camera_info beside it, --label-topic and --depth-topic are "
            f"{', '.join(topics)}; give different ones"
        )
    _make_room(args.output)
    with show_progress("rendering", args.frames) as progress:
        if args.format == "bag":
            write_street_bag(
                args.output,
                StreetDrive(args.seed, args.size, args.rate),
                args.frames,
                storage=args.storage,
                image_topic=args.topic,
                label_topic=args.label_topic,
                depth_topic=args.depth_topic,
                on_frame=progress.advance,
            )
        else:
            for snippet in range(args.frames // SNIPPET_FRAMES):
                seed = args.seed + snippet
                paths = SnippetPaths(args.output, snippet_split(snippet), f"street{seed}")
                drive = StreetDrive(seed, args.size, args.rate)
                write_snippet(paths, drive, progress.advance)
    print(f"{args.output}: {args.frames} frames, seed {args.seed}")
    return ExitStatus.DONE


def _make_room(output: Path) -> None:
    """Check that the folder is new or empty, and remove it: a bag's writer creates it.

    Raises:
        InputError: the folder is not empty.
    """
    if output.is_dir() and not any(output.iterdir()):
        output.rmdir()
    if output.exists():
        raise InputError(f"{output} exists already; remove it or give another folder")
