"""The command `tdnet`: its parser, its exit status, and its errors in one line."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from tdnet._util.openmp import prefer_passive_waiting
from tdnet.errors import TdnetError, one_line
from tdnet.version import __version__
from tdnet_offline.commands import COMMANDS, ExitStatus


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: words after the program's name; None: those of the process.

    Returns:
        An `ExitStatus`.
    """
    prefer_passive_waiting()
    logging.basicConfig(format="tdnet: %(message)s", level=logging.WARNING)
    args = make_parser().parse_args(arguments)
    try:
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _fail("interrupted", ExitStatus.INTERRUPTED)
    except TdnetError as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        return _fail(f'needs the Python package {error.name}: pip install "tdnet_ros[offline]"')
    except BrokenPipeError:
        # The reader, such as `head`, is done. Python's own flush at exit must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.DONE
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _fail(f"{name}{error.strerror or error}")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog="tdnet", description="Semantic segmentation of camera streams, without ROS."
    )
    parser.add_argument("--version", action="version", version=f"tdnet {__version__}")
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_CommandParser
    )
    for name, help_line in COMMANDS.items():
        subparsers.add_parser(name, help=help_line).set_defaults(command=name)
    return parser


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line, instead of after the whole usage."""

    def error(self, message: str) -> NoReturn:
        text = f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n"
        self.exit(ExitStatus.FAILED, text)


class _CommandParser(_Parser):
    """Imports the module of its command when it is used."""

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if self.get_default("run") is None:
            command = self.get_default("command")
            module = importlib.import_module(f"tdnet_offline.commands.{command}")
            module.configure(self)
            self.set_defaults(run=module.run)
        return super().parse_known_args(*args, **kwargs)


def _fail(message: str, status: ExitStatus = ExitStatus.FAILED) -> ExitStatus:
    print(f"tdnet: {one_line(message)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
