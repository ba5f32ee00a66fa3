"""Run the study: ``python -m tools.study --output study-output``; see ``--help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tdnet.errors import TdnetError, one_line
from tools.study.experiments import EXPERIMENTS, experiment
from tools.study.results import claims_table, experiments_table
from tools.study.schedule import collect, run_all
from tools.study.study_run import FIRST_SEED, StudyRun

SEEDS = (FIRST_SEED, 2, 3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing of the study, and print its tables.

    Args:
        arguments: command line without the program's name; None: of the process.

    Returns:
        Exit status: 0 all runs are complete, 2 one failed, 130 interrupted.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tools.study",
        description="Train and evaluate the networks of the study; continue where it stopped.",
    )
    parser.add_argument("--output", metavar="DIR", type=Path, required=True)
    parser.add_argument("--seeds", metavar="N", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--only", metavar="NAME", nargs="+", help="experiments (default: all)")
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=2, help="runs at a time (default: %(default)s)"
    )
    args = parser.parse_args(arguments)
    try:
        names = args.only or [entry.name for entry in EXPERIMENTS]
        runs = [
            StudyRun(args.output, entry, seed)
            for entry in map(experiment, names)
            for seed in ((FIRST_SEED,) if entry.one_seed else args.seeds)
        ]
        complete = run_all(runs, args.jobs)
        results = collect(args.output)
    except TdnetError as error:
        print(f"study: {one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("study: interrupted", file=sys.stderr)
        return 130
    print(experiments_table(results))
    print(claims_table(results))
    return 0 if complete else 2


if __name__ == "__main__":
    sys.exit(main())
