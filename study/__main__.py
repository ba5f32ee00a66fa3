"""Runs the study: ``python -m study --output study-output``; see ``--help``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from study.experiments import EXPERIMENTS, Experiment, experiment
from study.running import Place, is_done, run
from study.table import claims_table, experiments_table, load_results
from tdnet.errors import TdnetError, one_line
from tdnet_offline.writers.atomic_files import replacing

SEEDS = (1, 2, 3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing of the study, and print its tables.

    Args:
        arguments: what follows the program's name; None takes it from the process.

    Returns:
        Exit status: 0 all runs are there, 2 one failed, 130 interrupted.
    """
    parser = argparse.ArgumentParser(
        prog="python -m study",
        description="Trains and evaluates the networks of the study; goes on where it stopped.",
    )
    parser.add_argument("--output", metavar="DIR", type=Path, required=True)
    parser.add_argument("--seeds", metavar="N", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", help="experiments (default: all)", default=None
    )
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=2, help="runs at a time (default: %(default)s)"
    )
    parser.add_argument("--run", metavar="NAME", help="one run, in this process; with one seed")
    args = parser.parse_args(arguments)
    try:
        if args.run is not None:
            run(Place(args.output, experiment(args.run).name, args.seeds[0]))
            return 0
        chosen = [experiment(name) for name in args.only] if args.only else list(EXPERIMENTS)
        failed = _run_all(args.output, chosen, args.seeds, args.jobs)
    except TdnetError as error:
        print(f"study: {one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("study: interrupted", file=sys.stderr)
        return 130
    results = collect(args.output)
    print(experiments_table(load_results(results)))
    print(claims_table(load_results(results)))
    return 2 if failed else 0


def collect(output: Path) -> Path:
    """Gather the numbers of all runs in ``results.json``, in the order of the experiments."""
    entries = []
    for entry in EXPERIMENTS:
        folder = Place(output, entry.name, 0).folder.parent
        for path in sorted(folder.glob("seed-*/result.json")):
            entries.append(json.loads(path.read_text(encoding="utf-8")))
    with replacing(output / "results.json") as temporary:
        temporary.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    return output / "results.json"


def _run_all(
    output: Path, chosen: Sequence[Experiment], seeds: Sequence[int], jobs: int
) -> list[Place]:
    """Run each experiment after those that it needs; several at a time, a process each."""
    output.mkdir(parents=True, exist_ok=True)
    futures: dict[Place, Future[bool]] = {}

    def when_ready(place: Place, needed: list[Future[bool]]) -> bool:
        # What is needed was handed in before, so it runs or has run: no two wait for each other.
        return all(future.result() for future in needed) and _run_one(place)

    with ThreadPoolExecutor(jobs) as pool:
        for entry in chosen:
            for seed in seeds:
                place = Place(output, entry.name, seed)
                needed = [Place(output, name, seed) for name in entry.needs]
                waiting = [futures[before] for before in needed if before in futures]
                futures[place] = pool.submit(when_ready, place, waiting)
    return [place for place, future in futures.items() if not future.result()]


def _run_one(place: Place) -> bool:
    name = f"{place.experiment}, seed {place.seed}"
    if is_done(place):
        return True
    if place.result.exists():
        # Of another experiment by the same name: what it left must not go on as this one's.
        shutil.rmtree(place.folder)
    print(f"study: {name}", flush=True)
    words = ["--output", str(place.root), "--run", place.experiment, "--seeds", str(place.seed)]
    place.folder.mkdir(parents=True, exist_ok=True)
    # As many single-threaded runs as there are processors get more done than one with all threads.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (place.folder / "log.txt").open("a", encoding="utf-8") as log:
        done = subprocess.run(
            [sys.executable, "-m", "study", *words],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
    if done.returncode != 0:
        print(f"study: {name} failed, see {log.name}", file=sys.stderr, flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
