"""Measures the node: ``python -m tools.node_benchmark --output DIR``; see ``--help``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from tdnet_offline.arguments import number, whole_number
from tdnet_offline.provenance import git_commit, hardware, versions
from tdnet_offline.street import StreetDrive
from tdnet_offline.writers.atomic_files import replacing
from tools.harness import ros_environment
from tools.harness.command_line import ToolParser, wide_console
from tools.harness.system_info import system_info
from tools.node_benchmark.node_measurement import measure
from tools.node_benchmark.node_run import NodeRun
from tools.node_benchmark.node_tables import node_tables

SIZES = ((480, 640), (720, 1280), (1080, 1920), (1024, 2048))
# Played forwards and backwards.
_IMAGES = 6
_SEED = 1_000_321
# Variables that configure the threads of the network; empty: the defaults of PyTorch.
_OPENMP = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the node at each camera size.

    Returns:
        Exit status: 0 measured, 2 not, with the reason in one line, 130 interrupted.
    """
    parser = ToolParser(
        "node_benchmark",
        "Measures the latency of the node by stage, and its rate, with the packaged weights and a "
        "synthetic street. OMP_NUM_THREADS sets the threads of the network, `taskset -c 0,1` the "
        "processors.",
    )
    parser.add_argument(
        "--sizes",
        metavar="WxH",
        type=_size,
        nargs="+",
        default=SIZES,
        help="camera sizes (default: " + " ".join(f"{w}x{h}" for h, w in SIZES) + ")",
    )
    parser.add_argument(
        "--frames",
        type=whole_number(2, 1_000_000),
        default=100,
        help="frames of each run (default: %(default)s)",
    )
    parser.add_argument(
        "--rate",
        type=number(0.5, 1000),
        default=30.0,
        help="frames per second of a camera that keeps the node busy (default: %(default)s)",
    )
    return parser.run(_run, arguments)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not all(side.isdecimal() and 32 <= int(side) <= 4096 for side in (width, height)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed; allowed is WIDTHxHEIGHT, as in 640x480, of 32 to 4096"
        )
    return int(height), int(width)


def _run(args: argparse.Namespace) -> int:
    domain = ros_environment.enter()
    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    console = wide_console()
    load = os.getloadavg()[0]
    console.print(f"node-benchmark: {hardware()}, load average {load:.1f}, ROS_DOMAIN_ID={domain}")
    images = output / "frames.npy"
    runs: list[NodeRun] = []
    try:
        _draw(images, args.sizes)
        for size in args.sizes:
            for run in measure(size, args.frames, args.rate, images, output):
                runs.append(run)
                times = f"labels {run.labels.p50:.1f} ms, overhead {run.overhead.p50:.2f} ms"
                measured = f"{run.rate:.1f} frames per second" if run.busy else times
                console.print(f"{run.name}: {measured}")
    finally:
        images.unlink(missing_ok=True)
        ros_environment.remove_orphans()
    _save(output / "node-benchmark.json", runs, load)
    console.print(*node_tables(runs))
    return 0


def _draw(path: Path, sizes: Sequence[tuple[int, int]]) -> None:
    # The largest height and width; the camera resizes the images.
    drive = StreetDrive(_SEED, (max(h for h, _ in sizes), max(w for _, w in sizes)))
    there = [drive.frame(index).image for index in range(_IMAGES)]
    np.save(path, np.stack([*there, *there[-2:0:-1]]))


def _save(path: Path, runs: Sequence[NodeRun], load: float) -> None:
    document = {
        "format": "tdnet node benchmark",
        "version": 1,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "versions": versions(),
        "commit": git_commit(),
        "system": system_info(),
        "environment": {name: os.environ.get(name, "") for name in _OPENMP},
        "load_average": {"before": load, "after": os.getloadavg()[0]},
        "runs": [asdict(run) for run in runs],
    }
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.write("\n")


if __name__ == "__main__":
    sys.exit(main())
