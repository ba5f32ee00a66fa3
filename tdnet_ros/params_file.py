"""Read parameter files as a node reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tdnet.errors import InputError, one_line

PARAMETERS_KEY = "ros__parameters"
_WILDCARDS = {"*": r"/\w+", "**": r"(/\w+)*"}
_TEXTS = ("variant", "weights", "class_map")

Parameters = dict[str, Any]


def read_parameters(path: Path) -> Parameters:
    """Return the mapping of a YAML file.

    Raises:
        InputError: there is no such file, or it is not a mapping in YAML.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: {reason}; give the path of a YAML file") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: not a mapping of names to values")
    return values


def sections_of_node(values: Parameters, source: str, node: str) -> Iterator[Parameters]:
    """Yield the parameters of each section for a node; later ones take precedence.

    Args:
        values: those of a parameter file.
        source: name of the file, for messages.
        node: full name of the node, such as ``/robot/tdnet``.

    Raises:
        InputError: a section is not a mapping.
    """
    for name, parameters in _sections(values, source, ()):
        parts = name.strip("/").split("/")
        pattern = "".join(_WILDCARDS.get(part, f"/{re.escape(part)}") for part in parts)
        if re.fullmatch(pattern, node):
            yield parameters


def _sections(
    values: object, source: str, path: tuple[str, ...]
) -> Iterator[tuple[str, Parameters]]:
    if not isinstance(values, dict):
        raise InputError(
            f"{source}: {': '.join(path)} is {one_line(repr(values))}; allowed is a mapping, in "
            f"the end NODE: {PARAMETERS_KEY}: NAME: VALUE"
        )
    if path[-1:] == (PARAMETERS_KEY,):
        yield "/".join(path[:-1]), values
        return
    for key, inner in values.items():
        yield from _sections(inner, source, (*path, str(key)))


def parameters_of_node(path: Path, node: str) -> Parameters:
    """Return the parameters that a file has for a node; model and cameras have valid types.

    Raises:
        InputError: the file cannot be read, or is not a parameter file.
    """
    parameters: Parameters = {}
    for section in sections_of_node(read_parameters(path), str(path), node):
        parameters |= section
    parameters = {name: value for name, value in parameters.items() if value is not None}
    for name in _TEXTS:
        if not isinstance(value := parameters.get(name, ""), str):
            raise InputError(f"{path}: {name} is {one_line(repr(value))}; allowed is a text")
    cameras = parameters.get("cameras", [])
    if not isinstance(cameras, list) or not all(isinstance(name, str) for name in cameras):
        raise InputError(
            f"{path}: cameras is {one_line(repr(cameras))}; allowed is a list of names, such as "
            "[front, rear]"
        )
    return parameters
