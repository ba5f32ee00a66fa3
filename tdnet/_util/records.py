"""Records: documents read into dataclasses by their type hints, and written back.

Hints: ``bool``, ``int``, ``float``, ``str``, ``Literal``, unions, ``None``, ``tuple``,
``Mapping``, ``Any`` and dataclasses, each perhaps ``Annotated`` with `Range`, `Length`, `Matching`
or `Stored`. A mapping whose keys are not strings is stored as a list of pairs. A field with a
default may be left out; ``metadata={"key": KEY}`` names a field whose key is no Python name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from tdnet._util.documents import Document, FieldPath, RecordError, nearest
from tdnet.errors import TdnetError, quoted

Record = TypeVar("Record")
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_FLOAT_BITS = 1024


class Range(NamedTuple):
    """Limits of a number, or of each number of a list; both are allowed values."""

    least: float
    most: float


class Length(NamedTuple):
    """Least and most entries of a list."""

    least: int
    most: int


class Matching(NamedTuple):
    """Regular expression that a text must match, and what messages call such a text."""

    pattern: str
    meaning: str


@dataclass(frozen=True)
class Stored:
    """How documents hold a value that is no plain data.

    Attributes:
        hint: type of the form that they hold.
        decode: makes the value of it; ValueError and TdnetError become errors about the field.
        encode: makes the form of the value.
    """

    hint: Any
    decode: Callable[[Any], Any]
    encode: Callable[[Any], Any]


class _Key(NamedTuple):
    name: str
    hint: Any
    required: bool


def read_record(kind: type[Record], document: Document) -> Record:
    """Read a document as a dataclass.

    Raises:
        RecordError: a key is unknown or missing, or a value is not allowed.
    """
    return cast("Record", _read_dataclass(kind, document.value, (), document))


def plain(record: object) -> dict[str, Any]:
    """Return a dataclass as the plain data of which `read_record` makes an equal one."""
    return cast("dict[str, Any]", _plain(type(record), record))


@lru_cache
def _keys(kind: type) -> dict[str, _Key]:
    """Return the fields of a dataclass by their keys in documents."""
    hints = get_type_hints(kind, include_extras=True)
    keys = {}
    for field in fields(kind):
        required = field.default is MISSING and field.default_factory is MISSING
        key = _Key(field.name, hints[field.name], required)
        keys[field.metadata.get("key", field.name)] = key
    return keys


def _read(
    hint: Any,  # noqa: ANN401
    value: Any,  # noqa: ANN401
    path: FieldPath,
    document: Document,
    limits: tuple[Any, ...] = (),
) -> Any:  # noqa: ANN401
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        stored = next((limit for limit in arguments[1:] if isinstance(limit, Stored)), None)
        if stored:
            form = _read(stored.hint, value, path, document)
            try:
                return stored.decode(form)
            except (ValueError, TdnetError) as error:
                raise document.error(path, str(error)) from error
        return _read(arguments[0], value, path, document, arguments[1:])
    if is_dataclass(hint):
        return _read_dataclass(cast("type", hint), value, path, document)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        members = [kind for kind in arguments if kind is not NoneType]
        if len(members) == 1:
            return _read(members[0], value, path, document, limits)
        for kind in members:
            with suppress(RecordError):
                return _read(kind, value, path, document, limits)
    elif origin is tuple and isinstance(value, list):
        kinds = _entry_kinds(arguments, len(value))
        if len(kinds) == len(value) and all(_allows(limit, value) for limit in limits):
            entries = enumerate(zip(kinds, value, strict=True))
            return tuple(
                _read(kind, entry, (*path, index), document, limits)
                for index, (kind, entry) in entries
            )
    elif origin is Mapping and arguments[0] is not str:
        pairs = tuple[tuple[arguments], ...]  # type: ignore[valid-type]
        return dict(_read(pairs, value, path, document, limits))
    elif origin is Mapping and isinstance(value, dict) and all(type(k) is str for k in value):
        return {
            key: _read(arguments[1], entry, (*path, key), document, limits)
            for key, entry in value.items()
        }
    elif origin is Literal and any(  # True is not 1
        type(value) is type(allowed) and value == allowed for allowed in arguments
    ):
        return value
    else:
        if hint is float and type(value) is int and value.bit_length() < _FLOAT_BITS:
            value = float(value)
        if (
            type(value) is hint
            and (hint is not float or math.isfinite(value))
            and all(_allows(limit, value) for limit in limits)
        ):
            return value
    raise document.mismatch(path, value, _allowed(hint, limits) + _remedy(hint, value))


def _read_dataclass(
    kind: type,
    value: Any,  # noqa: ANN401
    path: FieldPath,
    document: Document,
) -> object:
    keys = _keys(kind)
    if not isinstance(value, dict):
        raise document.mismatch(path, value, _allowed(kind))
    for given in map(str, value):
        if given not in keys:
            problem = f"unknown key {quoted(given)}; allowed {', '.join(keys)}"
            problem += _nearest_key(given, kind) or "; remove it"
            raise document.error(path, problem, at=(*path, given))
    found = {}
    for key, (name, hint, required) in keys.items():
        if key in value:
            found[name] = _read(hint, value[key], (*path, key), document)
        elif required:
            raise document.error(path, f"the key {key} is missing; add it")
    try:
        return kind(**found)
    except TdnetError as error:
        raise document.error(path, str(error)) from error


def _nearest_key(given: str, kind: type) -> str:
    keys = _keys(kind)
    for key, (_, hint, _) in keys.items():
        if is_dataclass(hint) and given in _keys(cast("type", hint)):
            return f"; did you mean {key}.{given}?"
    return nearest(given, keys)


def _plain(hint: Any, value: Any) -> Any:  # noqa: ANN401
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        stored = next((limit for limit in arguments[1:] if isinstance(limit, Stored)), None)
        if stored:
            return _plain(stored.hint, stored.encode(value))
        return _plain(arguments[0], value)
    if value is None:
        return None
    if is_dataclass(hint):
        keys = _keys(cast("type", hint)).items()
        return {key: _plain(hint, getattr(value, name)) for key, (name, hint, _) in keys}
    if origin in (Union, UnionType):
        kinds = tuple(kind for kind in arguments if kind is not NoneType)
        return _plain(kinds[0], value) if len(kinds) == 1 else value
    if origin is tuple:
        kinds = _entry_kinds(arguments, len(value))
        return [_plain(kind, entry) for kind, entry in zip(kinds, value, strict=True)]
    if origin is Mapping and arguments[0] is not str:
        return [_plain(tuple[arguments], pair) for pair in sorted(value.items())]  # type: ignore[valid-type]
    if origin is Mapping:
        return {key: _plain(arguments[1], entry) for key, entry in value.items()}
    return value


def _entry_kinds(arguments: tuple[Any, ...], length: int) -> tuple[Any, ...]:
    return arguments[:1] * length if arguments[-1] is Ellipsis else arguments


def _allows(limit: object, value: Any) -> bool:  # noqa: ANN401
    if isinstance(limit, Length) and isinstance(value, list):
        return limit.least <= len(value) <= limit.most
    if isinstance(limit, Range) and isinstance(value, int | float):
        return limit.least <= value <= limit.most  # NaN is in no range
    return not isinstance(limit, Matching) or re.fullmatch(limit.pattern, value) is not None


def _remedy(hint: Any, value: object) -> str:  # noqa: ANN401
    """Return what to do about a value, with the separator before it; empty if that is clear."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if isinstance(value, str):
        return nearest(value, [str(name) for kind in kinds for name in get_args(kind)])
    is_scalar = isinstance(value, bool | int | float)
    return "; put it in quotes if it is meant as text" if is_scalar and str in kinds else ""


def _allowed(hint: Any, limits: tuple[Any, ...] = ()) -> str:  # noqa: ANN401
    """Return what a message says about the values that a hint allows."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _allowed(arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        return ", or ".join(_allowed(kind, limits) for kind in arguments)
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if is_dataclass(hint):
        return f"a mapping with {', '.join(_keys(cast('type', hint)))}"
    if origin is Mapping:
        return "a mapping"
    if origin is tuple:
        count = "" if arguments[-1] is Ellipsis else f" of {len(arguments)}"
        for limit in limits:
            if isinstance(limit, Length):
                count = f" of {limit.least} to {limit.most}"
        return f"a list{count}, each {_allowed(arguments[0], limits)}"
    words = "null" if hint is NoneType else _WORDS.get(hint, "any value")
    for limit in limits:
        if isinstance(limit, Matching):
            words = limit.meaning
        elif isinstance(limit, Range):
            words += f" from {limit.least} to {limit.most}"
    return words
