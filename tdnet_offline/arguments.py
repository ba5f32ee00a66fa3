"""Options that several commands share, and types of options for argparse."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdnet.backends import PROVIDERS, RUNTIMES
from tdnet.continuity import DEFAULT_MAX_GAP
from tdnet.errors import InputError
from tdnet.settings import SegmenterSettings
from tdnet.variants import DEFAULT_VARIANT, list_variants

if TYPE_CHECKING:
    from tdnet.frames.postprocess import OutputSize


class StoreTuple(argparse.Action):
    """Store the values of an option as a tuple instead of a list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401
        option_string: str | None = None,
    ) -> None:
        """Store the values."""
        setattr(namespace, self.dest, tuple(values))


WEIGHTS_FILE = "weights file; without it the variant's packaged ones"

# Fields of SegmenterSettings, which has the defaults.
MODEL_OPTIONS: dict[str, dict[str, Any]] = {
    "variant": {
        "metavar": "V",
        "help": f"the network: auto (that of the weights, or else {DEFAULT_VARIANT}), "
        f"{', '.join(list_variants())}",
    },
    "weights": {
        "metavar": "W",
        "help": f"{WEIGHTS_FILE}; or folder of exported or adopted graphs",
    },
    "class_map": {
        "metavar": "C",
        "help": "packaged class map or YAML file; without it the one stored with the weights",
    },
    "device": {"metavar": "D", "help": "auto, cpu, cuda or cuda:N"},
    "precision": {"metavar": "P", "help": "auto, float32, bfloat16 or float16"},
    "input_size": {
        "nargs": 2,
        "type": int,
        "action": StoreTuple,
        "metavar": ("H", "W"),
        "help": "height and width of the network input; without it the size of the weights",
    },
    "runtime": {
        "metavar": "R",
        "help": ", ".join(RUNTIMES),
    },
    "provider": {
        "metavar": "E",
        "help": f"execution provider of ONNX Runtime: {', '.join(PROVIDERS)}",
    },
}


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each field of `SegmenterSettings`, with its default."""
    group = parser.add_argument_group("network")
    for field in fields(SegmenterSettings):
        option = dict(MODEL_OPTIONS[field.name])
        if field.default:
            option["help"] += f" (default: {field.default})"
        group.add_argument(f"--{field.name.replace('_', '-')}", default=field.default, **option)


def segmenter_settings(args: argparse.Namespace) -> SegmenterSettings:
    """Return the settings of the options of `add_model_options`."""
    names = [field.name for field in fields(SegmenterSettings)]
    return SegmenterSettings(**{name: getattr(args, name) for name in names})


def add_smoothing(parser: argparse.ArgumentParser) -> None:
    """Add the option for steadier labels."""
    parser.add_argument(
        "--smoothing",
        type=number(0, 1),
        default=0.0,
        metavar="S",
        help="share of the frame before, 0 to 1, where a frame is unsure (default: 0)",
    )


def add_max_gap(parser: argparse.ArgumentParser) -> None:
    """Add the option for the longest gap that the memory survives."""
    parser.add_argument(
        "--max-gap",
        type=number(0, 3600, "seconds"),
        default=DEFAULT_MAX_GAP,
        metavar="S",
        help="seconds between frames above which the memory is reset; 0 follows the rate of the "
        "frames (default: %(default)s)",
    )


def output_size(words: Sequence[str]) -> OutputSize:
    """Read ``camera``, ``network`` or a height and a width.

    Raises:
        InputError: anything else.
    """
    if list(words) == ["camera"]:
        return "camera"
    if list(words) == ["network"]:
        return "network"
    if len(words) == 2 and all(word.isdecimal() and int(word) > 0 for word in words):
        return int(words[0]), int(words[1])
    raise InputError(
        f"output size {' '.join(words)!r}; allowed are camera, network, or a height and a width"
    )


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number in a range."""

    def read(text: str) -> int:
        if not (text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {least} to {most}"
            )
        return int(text)

    return read


def number(least: float, most: float, unit: str = "") -> Callable[[str], float]:
    """Return an argparse type: a number in a range."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            kind = f"number of {unit}" if unit else "number"
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a {kind} from {least:g} to {most:g}"
            )
        return value

    return read


def weights_file(text: str) -> str:
    """Refuse a folder of exported graphs, of which no network can be made; an argparse type."""
    if text and Path(text).is_dir():
        raise argparse.ArgumentTypeError(
            f"{text} is a folder: give the weights file that it was exported of, or another one"
        )
    return text


def check_writable(folder: Path) -> None:
    """Make a folder and a temporary file in it: before hours of work, not after.

    Raises:
        OSError: one of the two is not possible.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
