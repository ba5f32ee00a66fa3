"""`tdnet export`: a network as graphs that other runtimes and programs run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tdnet.settings import SegmenterSettings
from tdnet_offline.arguments import (
    MODEL_OPTIONS,
    WEIGHTS_FILE,
    Subparsers,
    check_weights_file,
    size_or_none,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tdnet_offline.frames import FrameSource

MOST_FRAMES = 128
"""To calibrate with: all are kept in memory, with what each meets there."""


def add_parser(subparsers: Subparsers) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "export",
        help="write a network as ONNX or PyTorch graphs",
        description=(
            "Writes a graph for each path, whose inputs are a frame and the memory and whose "
            "outputs are logits and the frame's memory entry, and export.json, which says how "
            "to drive them. docs/export.md explains it."
        ),
    )
    network = parser.add_argument_group("network")
    network.add_argument("--variant", required=True, **MODEL_OPTIONS["variant"])
    network.add_argument("--weights", default="", metavar="W", help=WEIGHTS_FILE)
    network.add_argument("--class-map", default="", **MODEL_OPTIONS["class_map"])
    network.add_argument("--input-size", **MODEL_OPTIONS["input_size"])
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="new folder to write"
    )
    output.add_argument(
        "--format",
        default="onnx",
        metavar="F",
        help="onnx; torch (programs of torch.export); aoti (compiled for this machine's CPU) "
        "(default: %(default)s)",
    )
    output.add_argument(
        "--outputs",
        default="logits",
        metavar="O",
        help="logits at an eighth of the size, which the runtimes of tdnet need, or labels "
        "(default: %(default)s)",
    )
    output.add_argument(
        "--precision",
        default="float32",
        metavar="P",
        help="float32, float16, or with --calibrate: int8 for ONNX Runtime on CPUs, int8-tensorrt "
        "(default: %(default)s)",
    )
    output.add_argument(
        "--calibrate",
        metavar="SOURCE",
        help="folder of images, video or bag whose first frames tell int8 the ranges of numbers",
    )
    output.add_argument("--topic", help="image topic of a bag (default: its only one)")
    output.add_argument(
        "--frames",
        type=_count,
        default=32,
        metavar="N",
        help=f"frames to calibrate with, {MOST_FRAMES} at most (default: %(default)s)",
    )
    output.add_argument(
        "--dynamic-batch",
        action="store_true",
        help="leave open how many frames, of as many streams, a graph takes (default: one)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command.

    Raises:
        TdnetError: the weights or options cannot be used, or a package is missing.
        OSError: the folder cannot be written.
    """
    from rich.console import Console

    from tdnet_offline.export.exporting import ExportOptions, export_network
    from tdnet_offline.frames import open_source

    if args.weights:
        check_weights_file(Path(args.weights))
    settings = SegmenterSettings(
        variant=args.variant,
        weights=args.weights,
        class_map=args.class_map,
        input_size=size_or_none(args.input_size),
    )
    options = ExportOptions(args.format, args.outputs, args.precision, args.dynamic_batch)
    frames = None
    if args.calibrate is not None:
        frames = _first_images(open_source(args.calibrate, args.topic), args.frames)
    console = Console(stderr=True)
    with console.status("") as status:
        tell = status.update if sys.stderr.isatty() else lambda _: None
        description = export_network(settings, args.output, options, tell, frames)
    height, width = description.input_size
    print(
        f"{args.output}: {len(description.cycle.graphs)} graphs of {description.variant} for "
        f"{height} x {width}, {description.format}, {description.precision}"
    )
    return 0


def _first_images(source: FrameSource, count: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Gives the first frames that can be read."""
    from tdnet_offline.frames import Frame

    frames = (frame.image for frame in source if isinstance(frame, Frame))
    return islice(frames, count)


def _count(text: str) -> int:
    """Reads a number of frames to calibrate with; for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_FRAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_FRAMES}")
    return int(text)
