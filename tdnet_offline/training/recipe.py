"""Recipes: YAML files that say how to train, and the ``key=value`` words that change them."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import yaml

from tdnet._util.regular_files import MISSING, file_problem
from tdnet._util.resources import config_dir
from tdnet.errors import InputError, UnknownNameError, quoted
from tdnet_offline.training.configuration import TrainingConfig, Within

BASE = "base"
"""Key of a recipe whose settings a recipe starts from; a file beside it."""
_MAX_BYTES = 256 * 1024
_MAX_BASES = 8


def recipe_names() -> list[str]:
    """Names of the packaged recipes."""
    return sorted(path.stem for path in _packaged_dir().glob("*.yaml"))


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a recipe.

    Args:
        name_or_path: a packaged recipe, or a YAML file.
        overrides: ``section.key=value`` each; values are read as YAML.

    Raises:
        InputError: no such recipe, or it cannot be read; a key that does not exist, a value that
            is not allowed, each with the key's name.
    """
    path = _packaged_dir() / f"{name_or_path}.yaml"
    if name_or_path not in recipe_names():
        path = Path(name_or_path)
        if file_problem(path, _MAX_BYTES) == MISSING and path.suffix != ".yaml":
            raise UnknownNameError("recipe", name_or_path, recipe_names())
    values = _read(path)
    for word in overrides:
        _set(values, word)
    if not values.get("output"):
        values["output"] = str(Path("runs") / path.stem)
    return cast("TrainingConfig", _build(TrainingConfig, values, "", str(path)))


def write_recipe(config: TrainingConfig) -> str:
    """Give a configuration as the YAML text of a recipe that `load_recipe` reads."""
    return yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False)


def configuration_keys() -> list[str]:
    """Every key of a recipe, with its section: ``optimisation.iterations``."""
    return [name for name, _ in _keys(TrainingConfig, "")]


def changed_keys(before: TrainingConfig, after: TrainingConfig) -> list[str]:
    """Keys whose values differ between two configurations."""
    old, new = (_flat(dataclasses.asdict(config), "") for config in (before, after))
    return [key for key in new if old[key] != new[key]]


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, dict)
        found.update(_flat(value, f"{prefix}{key}.") if nested else {prefix + key: value})
    return found


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _keys(kind: type, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if dataclasses.is_dataclass(hint):
            yield from _keys(cast("type", hint), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", hint


def _read(path: Path, depth: int = 0) -> dict[str, Any]:
    """Read a recipe file over the one that it starts from."""
    problem = file_problem(path, _MAX_BYTES)
    if problem:
        raise InputError(f"recipe {path}: {problem}; packaged are {', '.join(recipe_names())}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds {_shown(values)}; allowed are sections and keys")
    base = values.pop(BASE, None)
    if base is None:
        return values
    if not isinstance(base, str) or depth == _MAX_BASES:
        raise InputError(f"{path}: base is {quoted(str(base))}; allowed is a recipe beside it")
    return _merged(_read(path.parent / base, depth + 1), values)


def _merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(lower)
    for key, value in upper.items():
        below = result.get(key)
        if isinstance(below, dict) and (isinstance(value, dict) or value is None):
            value = _merged(below, value or {})
        result[key] = value
    return result


def _set(values: dict[str, Any], word: str) -> None:
    name, separator, text = word.partition("=")
    if not separator or not name:
        raise InputError(f"{quoted(word)}: write KEY=VALUE, such as optimisation.iterations=1000")
    *sections, key = name.split(".")
    for section in sections:
        if values.get(section) is None:  # also a section without keys
            values[section] = {}
        inner = values[section]
        if not isinstance(inner, dict):
            raise InputError(_unknown(name, "the command line"))
        values = inner
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        value = text  # such as a path with a colon and a space
    # "key=" empties a text, and means "none" where that is allowed.
    values[key] = "" if text == "" else value


def _build(kind: type, values: object, prefix: str, source: str) -> object:
    """Make a section of its keys.

    Raises:
        InputError: with the key.
    """
    if values is None:
        values = {}
    if not isinstance(values, dict):
        section = prefix.rstrip(".")
        raise InputError(f"{source}: {section} is {_shown(values)}; it is a section of keys")
    hints = get_type_hints(kind, include_extras=True)
    for key in values:
        if key not in hints:
            raise InputError(_unknown(f"{prefix}{key}", source))
    fields = {}
    for key, value in values.items():
        name, hint = f"{prefix}{key}", hints[key]
        if dataclasses.is_dataclass(hint):
            fields[key] = _build(cast("type", hint), value, f"{name}.", source)
        else:
            fields[key] = _converted(hint, value, name, source)
    return kind(**fields)


def _unknown(name: str, source: str) -> str:
    section, _, key = name.rpartition(".")
    names = configuration_keys()
    sections = sorted({known.rpartition(".")[0] for known in names} - {""})
    # The right key in the wrong section is nearer than any other name.
    close = [known for known in names if known.endswith(f".{key}")]
    close += difflib.get_close_matches(name, [*names, *sections], n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    there = [known for known in names if known.rpartition(".")[0] == section]
    there += [] if section else sections
    return f"{source}: unknown key {quoted(name)}; {hint}allowed: {', '.join(there or names)}"


def _converted(hint: Any, value: object, name: str, source: str) -> object:  # noqa: ANN401
    """Check a value against its key's type and limits."""
    limits = None
    if get_origin(hint) is Annotated:
        hint, limits = get_args(hint)
    try:
        result = _of_type(hint, value)
    except (TypeError, ValueError, OverflowError):
        result = None
        fits = False
    else:
        fits = limits is None or _is_within(result, limits)
    if not fits:
        raise InputError(
            f"{source}: {name} is {_shown(value)}; allowed is {_expected(hint, limits)}"
        )
    return result


def _shown(value: object) -> str:
    try:
        return quoted(str(value))
    except ValueError:  # Python does not print whole numbers of thousands of digits
        return "a number of thousands of digits"


def _is_within(result: Any, limits: Within) -> bool:  # noqa: ANN401
    if result is None:
        return True
    numbers = result if isinstance(result, tuple) else (result,)
    return all(limits.least <= number <= limits.most for number in numbers)


def _of_type(hint: Any, value: Any) -> object:  # noqa: ANN401
    """Give the value as the type, or raise TypeError, ValueError or OverflowError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None or value == "":
            return None
        (hint,) = (kind for kind in arguments if kind is not NoneType)
        return _of_type(hint, value)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(value)
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)) or not value:
            raise TypeError(value)
        if arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise ValueError(value)
        return tuple(_of_type(arguments[0], item) for item in value)
    if hint is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        number = float(value)  # YAML takes 1e-4 for text
        if not math.isfinite(number):
            raise ValueError(value)
        return number
    if hint is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if hint is str and value is None:
        return ""
    if type(value) is not hint:
        raise TypeError(value)
    return value


def _expected(hint: Any, limits: Within | None) -> str:  # noqa: ANN401
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        (hint,) = (kind for kind in arguments if kind is not NoneType)
        return f"{_expected(hint, limits)}, or null"
    if origin is Literal:
        return ", ".join(map(str, arguments))
    between = f" from {limits.least:g} to {limits.most:g}" if limits else ""
    if origin is tuple:
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        return f"a list of {count}{_PLURALS[arguments[0]]}{between}"
    return f"{_SINGULARS[hint]}{between}"


_SINGULARS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_PLURALS = {int: "whole numbers", float: "numbers"}


def _packaged_dir() -> Path:
    return config_dir() / "train"
