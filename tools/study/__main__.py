"""Run the study: ``python -m tools.study --output study-output``; see ``--help``."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from tools.harness.command_line import FAILED, ToolParser
from tools.study.experiments import EXPERIMENTS, experiment
from tools.study.results import (
    StudyResult,
    claims_table,
    experiments_table,
    load_results,
    save_results,
)
from tools.study.study_run import FIRST_SEED, StudyRun, run_one

SEEDS = (FIRST_SEED, 2, 3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing of the study, and print its tables.

    Args:
        arguments: command line without the program's name; None: of the process.

    Returns:
        Exit status: 0 all runs are complete, 2 one failed, 130 interrupted.
    """
    parser = ToolParser(
        "study", "Train and evaluate the networks of the study; continue where it stopped."
    )
    parser.add_argument("--seeds", metavar="N", type=int, nargs="+", default=SEEDS)
    names = [entry.name for entry in EXPERIMENTS]
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", default=names, help="experiments (default: all)"
    )
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=2, help="runs at a time (default: %(default)s)"
    )
    return parser.run(_run, arguments)


def _run(args: argparse.Namespace) -> int:
    runs = [
        StudyRun(args.output, entry, seed)
        for entry in map(experiment, args.only)
        for seed in ((FIRST_SEED,) if entry.one_seed else args.seeds)
    ]
    complete = run_all(runs, args.jobs)
    results = collect(args.output)
    print(experiments_table(results))
    print(claims_table(results))
    return 0 if complete else FAILED


def run_all(runs: Sequence[StudyRun], jobs: int) -> bool:
    """Run the incomplete runs, those that need others last; return whether all are complete."""
    missing = [run for run in runs if not run.result.exists()]
    first = [run for run in missing if not run.experiment.needs]
    second = [run for run in missing if run.experiment.needs]
    # Several single-threaded runs are faster than one run with as many threads.
    with ProcessPoolExecutor(
        jobs,
        multiprocessing.get_context("spawn"),
        initializer=torch.set_num_threads,
        initargs=(1,),
    ) as pool:
        return all([*pool.map(run_one, first), *pool.map(run_one, second)])


def collect(output: Path) -> list[StudyResult]:
    """Write the results of all complete runs to ``results.json``, in order of the experiments."""
    results = [
        result
        for entry in EXPERIMENTS
        for path in sorted(StudyRun(output, entry, 0).folder.parent.glob("seed-*/result.json"))
        for result in load_results(path)
    ]
    save_results(output / "results.json", results)
    return results


if __name__ == "__main__":
    sys.exit(main())
