"""Runs the soak: ``python -m tools.soak --output soak-output --minutes 60``; see ``--help``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from tdnet.errors import TdnetError
from tools.harness import ros_environment
from tools.harness.shared_memory import remove_orphans
from tools.harness.system_info import system_info
from tools.soak.errors import SoakError
from tools.soak.faults import node_killed
from tools.soak.interrupt import deferred_interrupt
from tools.soak.plan import NODE_KILLED, phase_seconds, rounds
from tools.soak.report import Report, say, write_report
from tools.soak.run import Record, Run
from tools.soak.tables import wide_console
from tools.soak.verdict import judge

SAMPLES = 720


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak.

    Args:
        arguments: what follows the program's name; None takes it from the process.

    Returns:
        Exit status: 0 every check holds, 1 the report tells which does not, 2 there is no report,
        130 interrupted, with a report.
    """
    args = _parser().parse_args(arguments)
    console = wide_console()
    try:
        return _run(args, console)
    except TdnetError as error:
        print(f"soak: {' '.join(str(error).split())}", file=sys.stderr)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"soak: {name}{error.strerror or error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.soak",
        description="Runs the node's process under faults, and accounts for every frame.",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="folder for the report"
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="how long (default: %(default)s)"
    )
    parser.add_argument(
        "--rate", type=float, default=5.0, help="frames a second of the camera (default: 5)"
    )
    return parser


def _run(args: argparse.Namespace, console: Console) -> int:
    for name, value, low, high in (
        ("minutes", args.minutes, 0.1, 1e6),
        ("rate", args.rate, 0.5, 1000.0),
    ):
        if not low <= value <= high:
            raise SoakError(f"--{name} is {value}; allowed are {low} to {high}")
    domain = ros_environment.enter()
    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    seconds = 60.0 * args.minutes
    # Sizes that the weights were not made for are on purpose.
    logging.getLogger("tdnet").addHandler(logging.NullHandler())
    console.print(f"soak: {args.minutes:g} minutes, ROS_DOMAIN_ID={domain}")
    record = Record()
    interrupted = False
    try:
        with ExitStack() as ending:
            # What it kills leaves memory behind that only a restart of the machine gives back.
            ending.callback(remove_orphans)
            period = max(1.0, seconds / SAMPLES)
            with deferred_interrupt():
                run = Run(ending, record, output, args.rate, period)
            _follow(run, seconds, console)
    except KeyboardInterrupt:
        interrupted = True
    except SoakError as error:
        record.problems.append(str(error))
    report = Report(args.minutes, args.rate, record, judge(record), system_info())
    write_report(output, report, console)
    if interrupted:
        return 130
    return 1 if report.problems else 0


def _follow(run: Run, seconds: float, console: Console) -> None:
    run.begin()
    each = phase_seconds(seconds)
    for name, fault in rounds():
        if run.elapsed > seconds - 2 * each:
            break
        phase = run.phase(name, fault, each)
        say(console, phase)
    say(console, run.phase(NODE_KILLED, node_killed, each))


if __name__ == "__main__":
    sys.exit(main())
