"""Runs the soak: ``python -m tools.soak --output soak-output --minutes 60``; see ``--help``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from tdnet_offline.arguments import number
from tools.harness import ToolError, ros_environment
from tools.harness.command_line import INTERRUPTED, ToolParser, wide_console
from tools.soak.faults import NODE_KILLED, node_killed, phase_seconds, rounds
from tools.soak.phase import Phase
from tools.soak.run import RunRecord, SoakRun
from tools.soak.soak_report import write_report

# Number of samples over the whole run.
SAMPLES = 720


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak.

    Returns:
        Exit status: 0 all checks pass, 1 checks fail (see the report), 2 no report was written,
        130 interrupted, with a report.
    """
    parser = ToolParser("soak", "Run the node's process under faults and account for every frame.")
    parser.add_argument(
        "--minutes", type=number(0.1, 1e6), default=60.0, help="duration (default: %(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=number(0.5, 1000),
        default=5.0,
        help="frames per second of the camera (default: %(default)s)",
    )
    return parser.run(_run, arguments)


def _run(args: argparse.Namespace) -> int:
    domain = ros_environment.enter()
    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    seconds = 60.0 * args.minutes
    # The faults use sizes that the weights were not made for; no warnings.
    logging.getLogger("tdnet").addHandler(logging.NullHandler())
    console = wide_console()
    console.print(f"soak: {args.minutes:g} minutes, ROS_DOMAIN_ID={domain}")
    record = RunRecord()
    interrupted = False
    try:
        with ExitStack() as ending:
            # Killed processes leave shared memory behind.
            ending.callback(ros_environment.remove_orphans)
            run = SoakRun(ending, record, output, args.rate, max(1.0, seconds / SAMPLES))
            _follow(run, seconds, console)
    except KeyboardInterrupt:
        interrupted = True
    except ToolError as error:
        record.problems.append(str(error))
    problems = write_report(output, args.minutes, args.rate, record, console)
    if interrupted:
        return INTERRUPTED
    return 1 if problems else 0


def _follow(run: SoakRun, seconds: float, console: Console) -> None:
    run.begin()
    each = phase_seconds(seconds)
    for name, fault in rounds():
        if run.elapsed > seconds - 2 * each:
            break
        _report(run.phase(name, fault, each), console)
    _report(run.phase(NODE_KILLED, node_killed, each), console)


def _report(phase: Phase, console: Console) -> None:
    """Write a line about a phase that has ended, and one for each problem."""
    counts = phase.counts
    console.print(
        f"{phase.started / 60:5.1f} min  {phase.fault:18} {phase.sent:5} sent: "
        f"{counts.segmented} segmented, {counts.dropped} dropped, {counts.refused} refused, "
        f"{phase.lost} lost{''.join(f'; {note}' for note in phase.notes)}",
        soft_wrap=True,
    )
    for text in phase.problems:
        console.print(f"[red]           {text}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
