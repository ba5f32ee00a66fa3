"""The command's options that several commands share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdnet.errors import InputError, WeightsError
from tdnet.settings import SegmenterSettings
from tdnet.variants import list_variants

if TYPE_CHECKING:
    from tdnet.frames.postprocess import OutputSize

Subparsers = Any  # argparse has no public name for it

WEIGHTS_FILE = "weights file; without it the variant's packaged ones"

# Fields of SegmenterSettings, which knows the defaults.
MODEL_OPTIONS: dict[str, dict[str, Any]] = {
    "variant": {"metavar": "V", "help": f"the network: {', '.join(list_variants())}"},
    "weights": {
        "metavar": "W",
        "help": f"{WEIGHTS_FILE}; or folder of exported graphs",
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
        "metavar": ("H", "W"),
        "help": "height and width of the network input; without it what the weights are made for",
    },
    "runtime": {
        "metavar": "R",
        "help": "torch; onnxruntime or tensorrt for a folder that `tdnet export` wrote",
    },
}


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each field of `SegmenterSettings`, with its default."""
    group = parser.add_argument_group("network")
    for field in fields(SegmenterSettings):
        option = dict(MODEL_OPTIONS[field.name])
        if field.default:
            option["help"] += f" (default: {field.default})"
        group.add_argument(f"--{field.name.replace('_', '-')}", default=field.default, **option)


def segmenter_settings(args: argparse.Namespace) -> SegmenterSettings:
    """Gives the settings that the options of `add_model_options` name."""
    values = {field.name: getattr(args, field.name) for field in fields(SegmenterSettings)}
    return SegmenterSettings(**{**values, "input_size": size_or_none(args.input_size)})


def check_weights_file(path: Path) -> None:
    """Refuses a folder of exported graphs where a network is made of the weights.

    Raises:
        WeightsError: it is a folder.
    """
    if path.is_dir():
        raise WeightsError(
            f"{path} is a folder: give the weights file that it was exported of, or another one"
        )


def size_or_none(sides: Sequence[int] | None) -> tuple[int, int] | None:
    """Gives the height and width of an option with two values, None if it is left out."""
    return None if sides is None else (sides[0], sides[1])


def output_size(words: Sequence[str]) -> OutputSize:
    """Reads ``camera``, ``network`` or a height and a width.

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


def seconds(text: str) -> float:
    """Reads a duration above zero; for argparse."""
    value = _number(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def longest_gap(text: str) -> float:
    """Reads a duration, or 0 for the automatic limit; for argparse."""
    value = _number(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
