"""YAML and JSON documents; errors name file, line and field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import yaml

from tdnet._util.regular_files import file_problem
from tdnet.errors import InputError, first_line, nearest_name

FieldPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document to a value."""
_SHOWN_CHARS = 40
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")


class RecordError(InputError):
    """A document that cannot be used.

    Attributes:
        source: the file.
        line: in the file, counted from 1; None for values of JSON and for whole files.
        field: path of the field, such as ``classes[3].id``; empty for the whole document.
        problem: what was given, what is allowed, what to do.
    """

    def __init__(self, source: str, line: int | None, field: str, problem: str) -> None:
        place = source if line is None else f"{source}:{line}"
        super().__init__(": ".join(part for part in (place, field, problem) if part))
        self.source, self.line, self.field, self.problem = source, line, field, problem


class Document:
    """A parsed document.

    Args:
        value: dictionaries, lists and scalars.
        source: the file that messages name.
        root: the same as YAML nodes, which know their lines.
    """

    def __init__(self, value: Any, source: str, root: yaml.Node | None = None) -> None:  # noqa: ANN401
        self.value = value
        self._source = source
        self._root = root
        self._layers: tuple[Document, ...] = (self,)

    def over(self, lower: Document) -> Document:
        """Return this document, with what only a lower one has; errors name the right file."""
        merged = Document(_merged(lower.value, self.value), "")
        merged._layers = self._layers + lower._layers
        return merged

    def error(self, path: FieldPath, problem: str, at: FieldPath | None = None) -> RecordError:
        """Make an error about a field.

        Args:
            path: the field.
            problem: what was given, what is allowed, what to do.
            at: another field, whose line is named.
        """
        source, line, _ = self._locate(path if at is None else at)
        return RecordError(source, line, field_name(path), problem)

    def mismatch(self, path: FieldPath, value: object, allowed: str) -> RecordError:
        """Make an error about a value, with what is allowed instead."""
        _, _, node = self._locate(path)
        return self.error(path, f"got {_shown(value, node)}; allowed {allowed}")

    def _locate(self, path: FieldPath) -> tuple[str, int | None, yaml.Node | None]:
        """Return source, line and node of a field; the line of the one around a missing one."""
        layer = next((layer for layer in self._layers if layer._has(path)), self._layers[0])
        start = node = layer._root
        for key in path:
            found: list[tuple[yaml.Node, yaml.Node]] = []
            if isinstance(node, yaml.MappingNode):
                found = [pair for pair in node.value if pair[0].value == str(key)]
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int):
                found = [(entry, entry) for entry in node.value[key : key + 1]]
            if not found:
                node = None
                break
            start, node = found[0]
        return layer._source, start.start_mark.line + 1 if start else None, node

    def _has(self, path: FieldPath) -> bool:
        value = self.value
        try:
            for key in path:
                value = value[key]
        except (LookupError, TypeError):
            return False
        return True


def _merged(lower: Any, upper: Any) -> Any:  # noqa: ANN401
    """Merge mappings; an empty one, written as nothing, changes nothing.

    A mapping with a ``class_path`` replaces the lower one, whose arguments are of another class.
    """
    if not isinstance(lower, dict) or not isinstance(upper, dict | None):
        return upper
    if upper and "class_path" in upper:
        return upper
    merged = {**lower}
    for key, value in (upper or {}).items():
        merged[key] = _merged(lower[key], value) if key in lower else value
    return merged


def load_document(
    path: Path, max_bytes: int, parse: Callable[[str, str], Document] | None = None
) -> Document:
    """Read a file of UTF-8 text.

    Args:
        path: the file.
        max_bytes: largest size that is read.
        parse: `parse_yaml` or `parse_json`; None: the latter for names that end in ``.json``.

    Raises:
        RecordError: the file is missing, too large, not readable, not UTF-8, or not of the format.
    """
    source = str(path)
    problem = file_problem(path, max_bytes)
    if problem:
        raise RecordError(source, None, "", problem)
    parse = parse or (parse_json if path.suffix == ".json" else parse_yaml)
    try:
        return parse(path.read_text(encoding="utf-8-sig"), source)
    except OSError as error:
        raise RecordError(source, None, "", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecordError(source, None, "", "is not UTF-8 text: save it as UTF-8") from error


def parse_json(text: str, source: str) -> Document:
    """Parse a JSON document.

    Raises:
        RecordError: not JSON.
    """
    try:
        return Document(json.loads(text), source)
    except json.JSONDecodeError as error:
        raise RecordError(source, error.lineno, "", f"not valid JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; nesting
        raise RecordError(source, None, "", f"not valid JSON: {error}") from error


def parse_yaml(text: str, source: str) -> Document:
    """Parse a YAML document; its tags never execute code.

    Raises:
        RecordError: not YAML, empty, or more than one document.
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        value = loader.construct_document(root) if root else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise RecordError(source, line, "", f"not valid YAML: {error.problem}") from error
    # Of many kinds: from control characters, "!!timestamp x", 2020-99-99, and from nesting.
    except Exception as error:
        raise RecordError(source, None, "", f"not valid YAML: {first_line(error)}") from error
    if root is None:
        raise RecordError(source, 1, "", "the file is empty; it needs a mapping of keys")
    return Document(value, source, root)


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 does.

    Refuses a key that stands in a mapping twice, merge keys, which change the lines of keys, and
    whole numbers that are long or not decimal: 010 would be 8, and 1:30 would be 90.
    """

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        if not _DECIMAL.fullmatch(text):
            problem = "write whole numbers in decimal, 18 digits at most"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return int(text)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                problem = "merge keys are not allowed; write the keys out"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    problem = f"the key {key.value} stands here twice; keep one of them"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return cast("dict[Any, Any]", super().construct_mapping(node, deep))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def field_name(path: FieldPath) -> str:
    """Return a path as messages show it: ``frames[3].stages_ms.total``."""
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return "".join(parts).lstrip(".")


def nearest(given: str, names: Iterable[str]) -> str:
    """Return the hint ``; did you mean NAME?``; empty if no name is near."""
    close = nearest_name(given, names)
    return f"; did you mean {close}?" if close else ""


def _shown(value: object, node: yaml.Node | None) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(node, yaml.ScalarNode) and not isinstance(value, str):
        text = node.value or "nothing"  # as it is written: yes, 1e3
    else:
        text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
