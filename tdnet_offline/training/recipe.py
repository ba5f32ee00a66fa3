"""Recipes: YAML files with the settings of a training, and ``key=value`` overrides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tdnet._util.documents import Document, RecordError, load_document, parse_yaml
from tdnet._util.records import read_record
from tdnet._util.regular_files import MISSING, file_problem
from tdnet._util.resources import config_dir
from tdnet.errors import InputError, UnknownNameError, quoted
from tdnet_offline.training.configuration import ClassPath, TrainingRecipe

BASE = "base"
"""Key that names the recipe whose settings are the defaults; a file in the same folder."""
COMMAND_LINE = "command line"
_MAX_BYTES = 256 * 1024
_MAX_BASES = 8
_FOLDER = config_dir() / "train"


def recipe_names() -> list[str]:
    """Return the names of the packaged recipes."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> TrainingRecipe:
    """Read a packaged recipe or a YAML file; overrides are ``section.key=value``, in YAML.

    Raises:
        InputError: the recipe cannot be read, or has an unknown key or a value that is not
            allowed; the message names file and line, or the command line, and the key.
    """
    path = _FOLDER / f"{name_or_path}.yaml"
    if name_or_path not in recipe_names():
        path = Path(name_or_path)
        if file_problem(path, _MAX_BYTES) == MISSING and path.suffix != ".yaml":
            raise UnknownNameError("recipe", name_or_path, recipe_names())
    defaults = plain_recipe(TrainingRecipe())
    document = _read(path).over(Document(defaults, str(path)))
    for word in overrides:
        document = _override(word).over(document)
    if isinstance(document.value, dict):
        _fill_texts(document.value, defaults)
        document.value["output"] = document.value["output"] or str(Path("runs") / path.stem)
    return read_record(TrainingRecipe, document)


def recipe_text(recipe: TrainingRecipe) -> str:
    """Return a recipe as YAML that `load_recipe` reads."""
    return yaml.safe_dump(plain_recipe(recipe), sort_keys=False)


def plain_recipe(recipe: TrainingRecipe) -> dict[str, Any]:
    """Return a recipe as nested dictionaries of plain values."""
    return {key: _plain(value) for key, value in dataclasses.asdict(recipe).items()}


def changed_keys(before: TrainingRecipe, after: TrainingRecipe) -> list[str]:
    """Return the keys whose values differ between two recipes."""
    old = dict(_flat(before))
    return [key for key, value in _flat(after) if old[key] != value]


def _read(path: Path, depth: int = 0) -> Document:
    """Read a recipe file over its base."""
    document = load_document(path, _MAX_BYTES, parse_yaml)
    if not isinstance(document.value, dict) or BASE not in document.value:
        return document
    base = document.value.pop(BASE)
    if not isinstance(base, str) or depth == _MAX_BASES:
        raise document.error(
            (BASE,), f"got {quoted(str(base))}; allowed a recipe in the same folder"
        )
    return document.over(_read(path.parent / base, depth + 1))


def _override(word: str) -> Document:
    name, separator, text = word.partition("=")
    if not separator or not name:
        raise InputError(f"{quoted(word)}: write KEY=VALUE, such as optimisation.iterations=1000")
    default = dict(_flat(TrainingRecipe())).get(name)
    value: Any = text
    if not isinstance(default, str) or text[:1] in ("{", "'", '"'):
        with suppress(RecordError):  # then the text is the value, which is refused below
            value = parse_yaml(text, COMMAND_LINE).value if text else None
    for key in reversed(name.split(".")):
        value = {key: value}
    return Document(value, COMMAND_LINE)


def _fill_texts(values: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Let a text without a value be empty."""
    for key, default in defaults.items():
        if isinstance(default, dict) and isinstance(values[key], dict):
            _fill_texts(values[key], default)
        elif default == "" and values[key] is None:
            values[key] = ""


def _flat(section: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, ClassPath):
            yield from _flat(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value
