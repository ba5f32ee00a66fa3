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

from tdnet.errors import TdnetError, one_line
from tdnet_offline.provenance import git_commit, hardware, versions
from tdnet_offline.street import StreetDrive
from tdnet_offline.writers.atomic_files import replacing
from tools.harness import ros_environment
from tools.harness.shared_memory import remove_orphans
from tools.harness.system_info import system_info
from tools.node_benchmark.node_measurement import MeasurementPlan, NodeBenchmarkError, measure
from tools.node_benchmark.node_run import NodeRun
from tools.node_benchmark.node_tables import latency_table, rate_table, stage_table
from tools.soak.soak_tables import wide_console

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
    args = _parser().parse_args(arguments)
    try:
        return _run(args)
    except KeyboardInterrupt:
        return 130
    except TdnetError as error:
        print(f"node-benchmark: {one_line(str(error))}", file=sys.stderr)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"node-benchmark: {name}{error.strerror or error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.node_benchmark",
        description="Measures the latency of the node by stage, and its rate, with the packaged "
        "weights and a synthetic street. OMP_NUM_THREADS sets the threads of the network, "
        "`taskset -c 0,1` the processors.",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="folder for the results"
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
        "--frames", type=int, default=100, help="frames of each run (default: %(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=30.0,
        help="frames per second of a camera that keeps the node busy (default: %(default)s)",
    )
    return parser


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"size {text!r}; allowed is WIDTHxHEIGHT, as in 640x480")
    return int(height), int(width)


def _run(args: argparse.Namespace) -> int:
    for name, value, low, high in (
        ("frames", args.frames, 2, 1_000_000),
        ("rate", args.rate, 0.5, 1000.0),
        *(("sizes", side, 32, 4096) for size in args.sizes for side in size),
    ):
        if not low <= value <= high:
            raise NodeBenchmarkError(f"--{name} has {value}; allowed are {low} to {high}")
    domain = ros_environment.enter()
    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    console = wide_console()
    load = os.getloadavg()[0]
    console.print(f"node-benchmark: {hardware()}, load average {load:.1f}, ROS_DOMAIN_ID={domain}")
    images = output / "frames.npy"
    plan = MeasurementPlan(args.frames, args.rate, images, output)
    runs: list[NodeRun] = []
    try:
        _draw(images, args.sizes)
        for size in args.sizes:
            for run in measure(size, plan):
                runs.append(run)
                console.print(_said(run))
    finally:
        images.unlink(missing_ok=True)
        remove_orphans()
    _save(output / "node-benchmark.json", runs, load)
    for table in (rate_table(runs), latency_table(runs), stage_table(runs)):
        console.print(table.rich())
    return 0


def _draw(path: Path, sizes: Sequence[tuple[int, int]]) -> None:
    # The largest height and width; the camera resizes the images.
    drive = StreetDrive(_SEED, (max(h for h, _ in sizes), max(w for _, w in sizes)))
    there = [drive.frame(index).image for index in range(_IMAGES)]
    np.save(path, np.stack([*there, *there[-2:0:-1]]))


def _said(run: NodeRun) -> str:
    size = f"{run.size[1]} x {run.size[0]}{' with overlay' if run.overlay else ''}"
    if run.busy:
        return f"{size}: {run.rate:.1f} frames a second"
    return f"{size}: labels after {run.labels.p50:.1f} ms, overhead {run.overhead.p50:.2f} ms"


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
