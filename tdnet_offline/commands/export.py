"""`tdnet export`: a network as ONNX graphs for other runtimes and programs."""

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
"""Calibration frames at most: all are kept in memory, with the inputs of their graphs."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export",
        help="write a network as ONNX graphs",
        description=(
            "Writes an ONNX graph for each path (inputs: a frame and the memory; outputs: logits "
            "and the frame's memory entry), and export.json, which describes how to run them. "
            "See docs/export.md."
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
        "--format", choices=("onnx",), default="onnx", help="(default: %(default)s)"
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
        help="folder of images, video or bag; its first frames calibrate the ranges of int8",
    )
    output.add_argument("--topic", help="image topic of a bag (default: its only one)")
    output.add_argument(
        "--frames",
        type=_count,
        default=32,
        metavar="N",
        help=f"frames to calibrate with, {MOST_FRAMES} at most (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        TdnetError: the weights or options cannot be used, or a package is missing.
        OSError: the folder cannot be written.
    """
    from rich.console import Console

    from tdnet_offline.export.onnx_export import export_network
    from tdnet_offline.frames import open_source

    if args.weights:
        check_weights_file(Path(args.weights))
    settings = SegmenterSettings(
        variant=args.variant,
        weights=args.weights,
        class_map=args.class_map,
        input_size=size_or_none(args.input_size),
    )
    frames = None
    if args.calibrate is not None:
        frames = _first_images(open_source(args.calibrate, args.topic), args.frames)
    console = Console(stderr=True)
    with console.status("") as status:
        show = status.update if sys.stderr.isatty() else lambda _: None
        description = export_network(settings, args.output, args.precision, frames, show)
    height, width = description.input_size
    print(
        f"{args.output}: {len(description.cycle.graphs)} graphs of {description.variant} for "
        f"{height} x {width}, {description.format}, {description.precision}"
    )
    return 0


def _first_images(source: FrameSource, count: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the first frames that can be read."""
    from tdnet_offline.frames import Frame

    frames = (frame.image for frame in source if isinstance(frame, Frame))
    return islice(frames, count)


def _count(text: str) -> int:
    """Parse a number of calibration frames; for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_FRAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_FRAMES}")
    return int(text)
