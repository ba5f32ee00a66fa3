"""YAML documents whose fields know their line, so that a complaint names file, line and field."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import NoReturn

import yaml

from tdnet.errors import ClassMapError

MAX_DOCUMENT_CHARS = 64 * 1024
_SHOWN_CHARS = 40
_TAG = "tag:yaml.org,2002:"
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,8})")


def parse_document(text: str, source: str) -> Field:
    """Parses one YAML document without constructing any object from its tags.

    Args:
        text: the document, at most ``MAX_DOCUMENT_CHARS`` characters.
        source: the file that messages name.

    Raises:
        ClassMapError: the text is too long, empty, more than one document, or not YAML.
    """
    if len(text) > MAX_DOCUMENT_CHARS:
        raise ClassMapError(
            f"{source}: got {len(text)} characters; allowed at most {MAX_DOCUMENT_CHARS}; "
            "is this a class map?"
        )
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ClassMapError(f"{source}:{line}: not valid YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ClassMapError(
            f"{source}:{line}: not valid YAML: character {chr(error.character)!r} is not "
            "allowed in a text file; remove it"
        ) from error
    except (ValueError, OverflowError, RecursionError) as error:
        # PyYAML turns an escape such as "\UFFFFFFFF" into chr() and nested lists into recursion.
        raise ClassMapError(
            f"{source}: not valid YAML: an escape sequence that is no character, "
            "or lists nested too deeply"
        ) from error
    if node is None:
        raise ClassMapError(f"{source}:1: the file is empty; it needs a mapping of fields")
    return Field(node, source, "")


class Field:
    """One value of a YAML document: its node, the file and the path that lead to it."""

    def __init__(self, node: yaml.Node, source: str, path: str) -> None:
        self._node = node
        self._source = source
        self._path = path

    def fail(self, problem: str) -> NoReturn:
        """Raises ClassMapError, with file, line and path before the problem."""
        place = f"{self._source}:{self._node.start_mark.line + 1}: "
        raise ClassMapError(place + (f"{self._path}: " if self._path else "") + problem)

    def shown(self) -> str:
        """The value as a message shows it, shortened."""
        if isinstance(self._node, yaml.MappingNode):
            return "a mapping"
        if isinstance(self._node, yaml.SequenceNode):
            return f"a list of {len(self._node.value)}"
        value = str(self._node.value)
        shown = value if len(value) <= _SHOWN_CHARS else value[:_SHOWN_CHARS] + "..."
        quoted = self._node.tag == _TAG + "str" or not shown.isprintable()
        return (repr(shown) if quoted else shown) or "nothing"

    def mapping(self, keys: Collection[str], required: Collection[str] = ()) -> dict[str, Field]:
        """The fields of a mapping that may have ``keys`` and must have ``required``."""
        allowed = ", ".join(keys)
        if not isinstance(self._node, yaml.MappingNode):
            self.fail(f"got {self.shown()}; allowed a mapping with {allowed}; write key: value")
        fields: dict[str, Field] = {}
        for key_node, value_node in self._node.value:
            key_field = Field(key_node, self._source, self._path)
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            if key not in keys:
                close = difflib.get_close_matches(key[:_SHOWN_CHARS], keys, n=1)
                remedy = f"did you mean {close[0]}?" if close else "remove it"
                key_field.fail(f"unknown key {key_field.shown()}; allowed {allowed}; {remedy}")
            if key in fields:
                key_field.fail(f"the key {key} stands here twice; keep one of them")
            fields[key] = Field(value_node, self._source, f"{self._path}.{key}".lstrip("."))
        for key in required:
            if key not in fields:
                self.fail(f"the key {key} is missing; add it")
        return fields

    def child(self, key: str) -> Field:
        """The value of a key in this mapping, or the mapping itself where it has no such key."""
        if isinstance(self._node, yaml.MappingNode):
            for key_node, value_node in self._node.value:
                if key_node.value == key:
                    return Field(value_node, self._source, f"{self._path}.{key}".lstrip("."))
        return self

    def items(self, allowed: str, least: int, most: int) -> list[Field]:
        """The entries of a list with ``least`` to ``most`` of them."""
        if not isinstance(self._node, yaml.SequenceNode) or not (
            least <= len(self._node.value) <= most
        ):
            self.fail(f"got {self.shown()}; allowed {allowed}")
        return [
            Field(node, self._source, f"{self._path}[{index}]")
            for index, node in enumerate(self._node.value)
        ]

    def is_integer(self) -> bool:
        """Whether the value is a plain decimal number such as 7 (and not "7" or 7.0)."""
        return (
            isinstance(self._node, yaml.ScalarNode)
            and self._node.tag == _TAG + "int"
            and _DECIMAL.fullmatch(self._node.value) is not None
        )

    def integer(self, what: str, least: int, most: int) -> int:
        """The value as a whole number from ``least`` to ``most``; messages call it ``what``."""
        value = int(self._node.value) if self.is_integer() else None
        if value is None or not least <= value <= most:
            self.fail(f"got {self.shown()}; allowed {what}, a whole number from {least} to {most}")
        return value

    def text(self, allowed: str) -> str:
        """The value as text; a bare number, yes or no is something else in YAML and refused."""
        if isinstance(self._node, yaml.ScalarNode) and self._node.tag == _TAG + "str":
            return str(self._node.value)
        remedy = ""
        if isinstance(self._node, yaml.ScalarNode) and self._node.value:
            remedy = "; put it in quotes if it is meant as text"
        self.fail(f"got {self.shown()}; allowed {allowed}{remedy}")

    def flag(self) -> bool:
        """The value as a truth value."""
        if isinstance(self._node, yaml.ScalarNode) and self._node.tag == _TAG + "bool":
            value = {"true": True, "false": False}.get(str(self._node.value).lower())
            if value is not None:
                return value
        self.fail(f"got {self.shown()}; allowed true or false")
