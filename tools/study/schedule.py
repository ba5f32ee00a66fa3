"""Schedule of the runs: several at a time, each in its own process; their results in one file."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import torch

from tdnet.errors import TdnetError, one_line
from tools.study.experiments import EXPERIMENTS
from tools.study.results import StudyResult, load_results, save_results
from tools.study.study_run import StudyRun


def run_all(runs: Sequence[StudyRun], jobs: int) -> bool:
    """Run the incomplete runs, those that need others last; return whether all are complete."""
    missing = [run for run in runs if not run.result.exists()]
    if not missing:
        return True
    first = [run for run in missing if not run.experiment.needs]
    second = [run for run in missing if run.experiment.needs]
    # Several single-threaded runs are faster than one run with as many threads.
    with ProcessPoolExecutor(
        jobs,
        multiprocessing.get_context("spawn"),
        initializer=torch.set_num_threads,
        initargs=(1,),
    ) as pool:
        return all([*pool.map(_run_one, first), *pool.map(_run_one, second)])


def _run_one(run: StudyRun) -> bool:
    name = f"{run.experiment.name}, seed {run.seed}"
    print(f"study: {name}", flush=True)
    run.folder.mkdir(parents=True, exist_ok=True)
    try:
        with (
            (run.folder / "log.txt").open("a", encoding="utf-8") as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            run.run()
    except KeyboardInterrupt:
        os._exit(130)  # breaks the pool, so that no queued run starts
    except TdnetError as error:
        print(f"study: {name}: {one_line(str(error))}", file=sys.stderr, flush=True)
        return False
    return True


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
