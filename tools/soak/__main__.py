"""Runs the soak: ``python -m tools.soak --output soak-output --minutes 60``; see ``--help``."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from tdnet.errors import TdnetError
from tools.harness import ToolError, ros_environment
from tools.harness.shared_memory import remove_orphans
from tools.harness.system_info import system_info
from tools.soak.checks import failed_checks
from tools.soak.faults import NODE_KILLED, node_killed, phase_seconds, rounds
from tools.soak.run import RunRecord, SoakRun
from tools.soak.soak_report import SoakReport, say, write_report
from tools.soak.soak_tables import wide_console

# Number of samples over the whole run.
SAMPLES = 720


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak.

    Args:
        arguments: command line without the program's name; None: of the process.

    Returns:
        Exit status: 0 all checks pass, 1 checks fail (see the report), 2 no report was written,
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
        description="Run the node's process under faults and account for every frame.",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="folder for the report"
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="duration (default: %(default)s)"
    )
    parser.add_argument(
        "--rate", type=float, default=5.0, help="frames per second of the camera (default: 5)"
    )
    return parser


def _run(args: argparse.Namespace, console: Console) -> int:
    for name, value, low, high in (
        ("minutes", args.minutes, 0.1, 1e6),
        ("rate", args.rate, 0.5, 1000.0),
    ):
        if not low <= value <= high:
            raise ToolError(f"--{name} is {value}; allowed are {low} to {high}")
    domain = ros_environment.enter()
    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    seconds = 60.0 * args.minutes
    # The faults use sizes that the weights were not made for; no warnings.
    logging.getLogger("tdnet").addHandler(logging.NullHandler())
    console.print(f"soak: {args.minutes:g} minutes, ROS_DOMAIN_ID={domain}")
    record = RunRecord()
    interrupted = False
    try:
        with ExitStack() as ending:
            # Killed processes leave shared memory behind.
            ending.callback(remove_orphans)
            period = max(1.0, seconds / SAMPLES)
            with deferred_interrupt():
                run = SoakRun(ending, record, output, args.rate, period)
            _follow(run, seconds, console)
    except KeyboardInterrupt:
        interrupted = True
    except ToolError as error:
        record.problems.append(str(error))
    report = SoakReport(args.minutes, args.rate, record, failed_checks(record), system_info())
    write_report(output, report, console)
    if interrupted:
        return 130
    return 1 if report.problems else 0


def _follow(run: SoakRun, seconds: float, console: Console) -> None:
    run.begin()
    each = phase_seconds(seconds)
    for name, fault in rounds():
        if run.elapsed > seconds - 2 * each:
            break
        phase = run.phase(name, fault, each)
        say(console, phase)
    say(console, run.phase(NODE_KILLED, node_killed, each))


@contextmanager
def deferred_interrupt() -> Iterator[None]:
    """Defer Ctrl-C to the end of the block, so that every process it starts can be ended.

    Raises:
        KeyboardInterrupt: at the end of the block, if Ctrl-C was pressed in it.
    """
    interrupted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True

    usual = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if interrupted:
        raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
