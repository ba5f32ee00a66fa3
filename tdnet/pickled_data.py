"""What a pickle says, without doing what it says: no code that it names is called or imported.

A pickle is a program for a stack machine. Here the machine runs, but where the program wants a
function called or an object made, it gets a note of that wish. So every step takes a bounded
time and adds a bounded number of objects, whatever the program is. That is enough for the
checkpoints of PyTorch: numbers, text, lists, mappings, and notes of tensors.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple


@dataclass(frozen=True, eq=False)
class Name:
    """A function or class that a pickle names, such as ``torch._utils._rebuild_tensor_v2``."""

    name: str


@dataclass(frozen=True, eq=False)
class Call:
    """A call that a pickle wants made, of a function or class that may be anything in it."""

    function: Any
    arguments: Any


@dataclass(frozen=True, eq=False)
class Reference:
    """Something that lies outside of the pickle; PyTorch refers to its numbers so."""

    key: Any


class Pickle(NamedTuple):
    """What a pickle says, and the references in it in the order in which they stand there."""

    content: Any
    references: list[Reference]


def read_pickle(stream: BinaryIO) -> Pickle:
    """Read one pickle from a stream, which is left right behind it.

    Mappings keep their text keys only; sets and the state of objects are left out.

    Raises:
        Exception: of many kinds, where the bytes are no pickle, are damaged, or use what no
            checkpoint needs.
    """
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in _LITERALS:
            machine.stack.append(argument)
        elif opcode.name in _ACTIONS:
            _ACTIONS[opcode.name](machine, argument)
        elif opcode.name == "STOP":
            break
        elif opcode.name not in ("PROTO", "FRAME"):
            raise ValueError(f"a pickle with {opcode.name}")
    return Pickle(machine.stack.pop(), machine.references)


_LITERALS = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "BINUNICODE8"),
        *("SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.references: list[Reference] = []

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self.marks.append(len(self.stack))

    def take(self, count: int) -> tuple[Any, ...]:
        if count > len(self.stack):
            raise ValueError("a pickle that takes what is not there")
        taken = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return taken

    def take_marked(self) -> tuple[Any, ...]:
        return self.take(len(self.stack) - self.marks.pop())

    def remember(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def recall(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def pop(self, _: object) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def collect(self, container: Callable[[tuple[Any, ...]], object]) -> None:
        self.stack.append(container(self.take_marked()))

    def add_to_list(self, items: tuple[Any, ...]) -> None:
        # What else is appended to is an object that only its own code understands.
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def add_to_mapping(self, items: tuple[Any, ...]) -> None:
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(_pairs(items))

    def name(self, module: object, name: object) -> None:
        # Other things than text may take forever to become text.
        known = isinstance(module, str) and isinstance(name, str)
        self.stack.append(Name(f"{module}.{name}" if known else ""))

    def refer(self, key: object) -> None:
        self.references.append(Reference(key))
        self.stack.append(self.references[-1])

    def call(self, function: object, arguments: object) -> None:
        is_mapping = isinstance(function, Name) and function.name == "collections.OrderedDict"
        self.stack.append({} if is_mapping and arguments == () else Call(function, arguments))


def _pairs(items: tuple[Any, ...]) -> dict[str, Any]:
    # Others are left out: to hash a tuple of tuples of tuples can take forever.
    return {
        key: value
        for key, value in zip(items[::2], items[1::2], strict=False)
        if isinstance(key, str)
    }


_ACTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda m, _: m.take_marked(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "PUT": _Machine.remember,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember,
    "GET": _Machine.recall,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE1": lambda m, _: m.push(m.take(1)),
    "TUPLE2": lambda m, _: m.push(m.take(2)),
    "TUPLE3": lambda m, _: m.push(m.take(3)),
    "TUPLE": lambda m, _: m.collect(tuple),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "LIST": lambda m, _: m.collect(list),
    "APPEND": lambda m, _: m.add_to_list(m.take(1)),
    "APPENDS": lambda m, _: m.add_to_list(m.take_marked()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "DICT": lambda m, _: m.collect(_pairs),
    "SETITEM": lambda m, _: m.add_to_mapping(m.take(2)),
    "SETITEMS": lambda m, _: m.add_to_mapping(m.take_marked()),
    "EMPTY_SET": lambda m, _: m.push(Call("set", ())),
    "ADDITEMS": lambda m, _: m.take_marked(),
    "FROZENSET": lambda m, _: m.collect(lambda items: Call("set", items)),
    "GLOBAL": lambda m, argument: m.name(*argument.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.name(*m.take(2)),
    "REDUCE": lambda m, _: m.call(*m.take(2)),
    "NEWOBJ": lambda m, _: m.call(*m.take(2)),
    "NEWOBJ_EX": lambda m, _: m.call(*m.take(3)[:2]),
    "INST": lambda m, argument: m.push(Call(Name(argument), m.take_marked())),
    "OBJ": lambda m, _: m.push(Call(None, m.take_marked())),
    "BUILD": lambda m, _: m.take(1),
    "PERSID": _Machine.refer,
    "BINPERSID": lambda m, _: m.refer(*m.take(1)),
}
