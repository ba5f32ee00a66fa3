"""The command `tdnet`: what is asked for, and how mistakes end.

Exit status: 0 all went well; 1 finished, but some frames could not be used; 2 nothing could be
done, with the reason in one line; 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from tdnet._util.openmp import prefer_passive_waiting
from tdnet.errors import TdnetError, one_line
from tdnet.version import __version__
from tdnet_offline.commands import (
    benchmark,
    check,
    convert,
    evaluate,
    export,
    extract,
    info,
    predict,
    synthesize,
    train,
)

COMMANDS = (predict, evaluate, benchmark, check, extract, convert, export, info, synthesize, train)
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, instead of after the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: what follows the program's name; None takes it from the process.

    Returns:
        The exit status.
    """
    prefer_passive_waiting()
    logging.basicConfig(format="tdnet: %(message)s", level=logging.WARNING)
    args = _parser().parse_args(arguments)
    try:
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except TdnetError as error:
        return _fail(str(error), EXIT_BAD_INPUT)
    except ModuleNotFoundError as error:
        remedy = 'pip install "tdnet_ros[offline]"'
        return _fail(f"needs the Python package {error.name}: {remedy}", EXIT_BAD_INPUT)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has seen enough; Python's own flush at the end
        # must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _fail(f"{name}{error.strerror or error}", EXIT_BAD_INPUT)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tdnet",
        description="Semantic segmentation of camera streams, without ROS.",
    )
    parser.add_argument("--version", action="version", version=f"tdnet {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def _fail(message: str, status: int) -> int:
    print(f"tdnet: {one_line(message)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
