"""`tdnet benchmark`: latency, memory and start of the networks on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tdnet.backends import AUTO, ONNXRUNTIME, PROVIDERS, TORCH
from tdnet.errors import InputError
from tdnet.variants import DEFAULT_VARIANT
from tdnet_offline.arguments import (
    MODEL_OPTIONS,
    StoreTuple,
    check_writable,
    whole_number,
)
from tdnet_offline.commands import ExitStatus

MAX_FRAMES = 1_000_000
FILE_WIDTH = 120
"""Characters of a line if the output is not a terminal."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = (
        "Measures every variant with every size, device and precision, each in a new process: "
        "start, latency by stage, throughput, memory, and the arithmetic floor. Exit status 1 if "
        "something could not be measured. docs/benchmark.md defines every number."
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--variant",
        nargs="+",
        metavar="V",
        default=[AUTO],
        help=f"{MODEL_OPTIONS['variant']['help']} (default: {AUTO})",
    )
    network.add_argument(
        "--weights",
        metavar="W",
        help="weights file of a single variant, or folder of tdnet adopt (default: packaged "
        "weights, or random ones)",
    )
    network.add_argument(
        "--input-size",
        action="append",
        nargs=2,
        type=int,
        metavar=("H", "W"),
        default=[],
        help="size of the network input; may be given several times (default: the native size)",
    )
    network.add_argument(
        "--device",
        nargs="+",
        metavar="D",
        default=["auto"],
        help=f"{MODEL_OPTIONS['device']['help']} (default: auto)",
    )
    network.add_argument(
        "--precision",
        nargs="+",
        metavar="P",
        default=[],
        help=f"{MODEL_OPTIONS['precision']['help']} (default: all that are useful on the device)",
    )
    network.add_argument(
        "--runtime",
        nargs="+",
        metavar="R",
        default=[TORCH],
        help=f"{TORCH}, {ONNXRUNTIME}, or {ONNXRUNTIME}:E with a provider E: "
        f"{', '.join(PROVIDERS[1:])} (default: {TORCH})",
    )
    frames = parser.add_argument_group("frames")
    frames.add_argument(
        "--camera-size",
        nargs=2,
        type=whole_number(32, 4096),
        action=StoreTuple,
        metavar=("H", "W"),
        help="size of frames and labels (default: 1024 2048, or 480 640 for small inputs)",
    )
    frames.add_argument(
        "--images",
        metavar="SOURCE",
        help="folder of images, video or bag with the frames (default: a synthetic street)",
    )
    frames.add_argument("--topic", help="image topic of a bag (default: its only one)")
    frames.add_argument(
        "--frames",
        type=whole_number(1, MAX_FRAMES),
        metavar="N",
        help="frames of each measurement (default: as many as fit into some seconds, 8 at least)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--accuracy",
        nargs="?",
        const="",
        metavar="SOURCE",
        help="also compare the labels of each precision with those of float32, and with the "
        "ground truth of a data set (default: the frames of --images, else held-out streets)",
    )
    output.add_argument("--json", type=Path, metavar="OUT", help="write all numbers there")
    output.add_argument("--plot", type=Path, metavar="OUT.html", help="write a page with figures")
    output.add_argument(
        "--profile",
        type=Path,
        metavar="DIR",
        help="write traces and tables of the slowest operators there",
    )


def _resolved(variant: str, weights: str | None) -> str:
    """Return the name of the network that `auto` stands for."""
    from tdnet.checkpoints.checkpoint import Checkpoint
    from tdnet.checkpoints.variant_match import recorded_variant

    if variant != AUTO:
        return variant
    found = None if weights is None else recorded_variant(Checkpoint.open(weights))
    return found or DEFAULT_VARIANT


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    from rich.console import Console

    from tdnet.backends.onnx.description import read_description
    from tdnet_offline.benchmark.benchmark_result import save_benchmark
    from tdnet_offline.benchmark.benchmark_run import BenchmarkOptions, run_benchmark
    from tdnet_offline.benchmark.benchmark_tables import print_benchmark
    from tdnet_offline.benchmark.cases import plan
    from tdnet_offline.progress import show_steps

    if args.weights is not None and len({*args.variant}) > 1:
        raise InputError("--weights is for a single variant; leave it out, or give one --variant")
    sizes = [(height, width) for height, width in args.input_size]
    if args.weights is not None and Path(args.weights).is_dir():
        description = read_description(Path(args.weights))
        if not description.is_adopted:
            raise InputError(
                f"{args.weights} was exported of a weights file: give that file, and --runtime "
                f"{ONNXRUNTIME}"
            )
        args.variant, sizes = [description.variant], sizes or [description.input_size]
        args.runtime = [ONNXRUNTIME] if args.runtime == [TORCH] else args.runtime
        args.precision = args.precision or ["float32", "auto"]
    variants = [_resolved(name, args.weights) for name in args.variant]
    cases = plan(variants, sizes, args.device, args.precision, args.runtime)
    # Check the outputs now instead of after minutes of measuring.
    for folder in (args.json and args.json.parent, args.plot and args.plot.parent, args.profile):
        if folder is not None:
            check_writable(folder)
    for file in (args.json, args.plot):
        if file is not None and file.is_dir():
            raise InputError(f"{file}: is a folder; give the name of a file")
    options = BenchmarkOptions(
        weights=args.weights and Path(args.weights),
        images=args.images,
        topic=args.topic,
        camera_size=args.camera_size,
        num_frames=args.frames,
        profile=args.profile,
        accuracy=args.accuracy,
    )
    with show_steps() as progress:
        benchmark = run_benchmark(cases, options, progress)
    print_benchmark(benchmark, Console(width=None if sys.stdout.isatty() else FILE_WIDTH))
    if args.json is not None:
        save_benchmark(benchmark, args.json)
    if args.plot is not None:
        from tdnet_offline.benchmark.benchmark_page import write_benchmark_page

        write_benchmark_page(benchmark, args.plot)
    return ExitStatus.INCOMPLETE if benchmark.failed else ExitStatus.DONE
