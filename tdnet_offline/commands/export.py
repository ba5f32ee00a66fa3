"""`tdnet export`: a network as ONNX graphs for other runtimes and programs."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from tdnet.backends import AUTO
from tdnet.settings import SegmenterSettings
from tdnet_offline.arguments import MODEL_OPTIONS, WEIGHTS_FILE, weights_file, whole_number
from tdnet_offline.commands import ExitStatus

MAX_FRAMES = 128
"""Of calibration: all are kept in memory with their activations."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = (
        "Writes an ONNX graph for each path (inputs: a frame and the memory; outputs: logits and "
        "the frame's memory entry), and export.json, which describes how to run them. See "
        "docs/export.md."
    )
    network = parser.add_argument_group("network")
    network.add_argument("--variant", default=AUTO, **MODEL_OPTIONS["variant"])
    network.add_argument(
        "--weights", metavar="W", type=weights_file, default="", help=WEIGHTS_FILE
    )
    network.add_argument("--class-map", default="", **MODEL_OPTIONS["class_map"])
    network.add_argument("--input-size", **MODEL_OPTIONS["input_size"])
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="new folder to write"
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
        type=whole_number(1, MAX_FRAMES),
        default=32,
        metavar="N",
        help=f"frames to calibrate with, {MAX_FRAMES} at most (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    from tdnet_offline.export.network_export import export_network
    from tdnet_offline.frames import Frame, open_source
    from tdnet_offline.progress import show_steps

    settings = SegmenterSettings(
        variant=args.variant,
        weights=args.weights,
        class_map=args.class_map,
        input_size=args.input_size,
    )
    frames = None
    if args.calibrate is not None:
        source = open_source(args.calibrate, args.topic)
        readable = (frame.image for frame in source if isinstance(frame, Frame))
        frames = islice(readable, args.frames)
    with show_steps() as progress:
        description = export_network(settings, args.output, args.precision, frames, progress)
    height, width = description.input_size
    print(
        f"{args.output}: {len(description.cycle.graphs)} graphs of {description.variant} for "
        f"{height} x {width}, {description.format}, {description.precision}"
    )
    return ExitStatus.DONE
